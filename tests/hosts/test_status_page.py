"""The FastAPI example's status page in a real browser, by keyboard, on a telephone and a desk."""

from __future__ import annotations

import os
import shutil
import threading

import pytest
from attrs import evolve
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from kit.hosted import ACME, TENANTS, serving, settings_for, sync, two_accounts, waiting_for

NARROW, WIDE = 390, 1280
SECONDS = 10


@pytest.fixture
def emulator(hubspot_emulator):
    return two_accounts(hubspot_emulator)


@pytest.fixture
def settings(emulator, tmp_path):
    return settings_for(emulator, tmp_path)


@pytest.fixture
def host(settings, emulator):
    with serving(settings, emulator) as served:
        yield served


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Debian's Chromium; a machine without it leaves these tests out, CI does not."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not program or not driver:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium: apt-get install chromium chromium-driver")
        pytest.skip("there is no Chromium here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    with webdriver.Chrome(options=options, service=service) as browser:
        yield browser


@pytest.fixture(params=[NARROW, WIDE])
def person(request, chromium, host):
    """Somebody at a screen of this width who has only a keyboard."""
    metrics = {"width": request.param, "height": 800, "deviceScaleFactor": 1}
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**metrics, "mobile": request.param == NARROW}
    )
    chromium.get(f"{host.url}/status")
    yield Person(chromium)
    chromium.execute_script("sessionStorage.clear()")
    chromium.delete_all_cookies()
    chromium.get("about:blank")


class Person:
    """Does what people do, and sees what they see."""

    def __init__(self, browser):
        self.browser = browser

    def sees(self, text):
        """Wait until the page shows *text*."""
        try:
            WebDriverWait(self.browser, SECONDS).until(lambda _: text in self.all_text)
        except TimeoutException:
            raise AssertionError(f"no {text!r} on the page, but {self.all_text}") from None

    @property
    def all_text(self):
        """What can be read."""
        return self.browser.execute_script("return document.body.innerText")

    @property
    def focused(self):
        """What the keyboard acts on, in the words that it has."""
        return self.browser.execute_script(
            "const one = document.activeElement;"
            "return (one.innerText || one.getAttribute('aria-label') || one.id || '').trim()"
        )

    def is_on(self, words):
        """Wait until *words* have the focus: the page's script may run behind the load."""
        try:
            WebDriverWait(self.browser, SECONDS).until(lambda _: self.focused == words)
        except TimeoutException:
            raise AssertionError(f"the focus is on {self.focused!r}, not {words!r}") from None

    def tab_to(self, words):
        """Press Tab until what begins with *words* has the focus, as it must in the end."""
        for _ in range(40):
            if self.focused.startswith(words):
                return
            self.press(Keys.TAB)
        raise AssertionError(f"Tab does not reach {words!r}; the page shows {self.all_text}")

    def press(self, *keys):
        """Type."""
        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    def sign_in(self, tenant="acme"):
        """Type the API key; the field has the focus."""
        self.is_on("key")
        self.press(TENANTS[tenant], Keys.ENTER)

    def fits(self):
        """Whether nothing is cut off to the right, and nothing came from elsewhere."""
        width, shown, sources = self.browser.execute_script(
            "return [document.documentElement.scrollWidth, innerWidth,"
            "performance.getEntriesByType('resource').map(one => new URL(one.name).origin)]"
        )
        origin = self.browser.execute_script("return location.origin")
        assert set(sources) == {origin}
        return width <= shown


def test_from_the_first_key_to_the_first_sync(person):
    """Connect, see "Connected" also when the page is loaded again, and sync."""
    person.sign_in()
    person.sees("No account is connected yet.")
    person.tab_to("Connect an account")
    person.press(Keys.ENTER)
    person.sees("copied to acme")
    person.tab_to("Choose an account at HubSpot")
    person.press(Keys.ENTER)
    person.sees(ACME)
    person.tab_to("Connect app")
    person.press(Keys.ENTER)
    person.sees("acme-canary.example is connected to acme.")
    assert person.all_text.startswith("Connected")
    for _ in range(2):
        person.browser.refresh()
        person.sees("acme-canary.example is connected to acme.")

    person.tab_to("See how your accounts are")
    person.press(Keys.ENTER)
    person.sees("1 account not loaded yet")
    person.tab_to("Sync now")
    person.press(Keys.SPACE)

    person.sees("Sync completed · companies: 10 records · contacts: 30 records")
    person.sees("1 account fresh")
    person.is_on("Sync now")
    assert person.fits()
    said = person.browser.get_log("browser")
    origin = person.browser.execute_script("return location.origin")
    assert [one["message"] for one in said if one["message"].startswith(origin)] == []


def test_a_sync_is_seen_while_it_goes_on(host, settings, emulator, chromium):
    """Whoever began it."""
    gate = threading.Event()
    with serving(evolve(settings, validators=[waiting_for(gate)]), emulator) as served:
        assert served.connect("acme", ACME).status_code == 200
        with served.client("acme") as client:
            client.post(f"/accounts/{ACME}/sync")
        chromium.get(f"{served.url}/status")
        person = Person(chromium)
        person.sign_in()
        person.sees("Syncing")
        button = chromium.find_element(By.CSS_SELECTOR, ".sync")
        assert button.get_attribute("aria-disabled") == "true"

        gate.set()

        person.sees("Sync completed")
        person.sees("1 account fresh")
        chromium.execute_script("sessionStorage.clear()")


def test_refused_actions_are_tried_again(host, settings, emulator, chromium):
    """Their reasons are shown first."""
    gate = threading.Event()

    def rule(action):
        return None if gate.is_set() or action.object_type == "companies" else "no room for it"

    with serving(evolve(settings, validators=[rule]), emulator) as served:
        assert served.connect("acme", ACME).status_code == 200
        with served.client("acme") as client:
            sync(client, ACME)
        chromium.get(f"{served.url}/status")
        person = Person(chromium)
        person.sign_in()
        person.sees("30 refused")
        person.tab_to("30 refused actions")
        person.press(Keys.ENTER)
        person.sees("Contact Created, object")
        person.sees("no room for it")
        gate.set()
        person.tab_to("Try all of them again")
        person.press(Keys.ENTER)

        person.sees("30 refused actions were tried again, 30 went well.")
        assert "no room for it" not in person.all_text
        chromium.execute_script("sessionStorage.clear()")


def test_an_account_that_has_to_be_connected_again(person, host, emulator):
    """What to do is said, and done from there."""
    assert host.connect("acme", ACME).status_code == 200
    emulator.revoke_access()
    emulator.expire_access_tokens()
    with host.client("acme") as client:
        sync(client, ACME)
    person.sign_in()
    person.sees("needs reconnect")
    person.sees("Somebody who may connect this account has to do so again.")

    person.tab_to("Connect again")
    person.press(Keys.ENTER)

    person.sees("copied to acme")


def test_a_wrong_key_and_a_key_that_is_forgotten(person, host):
    """Nothing of the tenant stays on the page."""
    assert host.connect("acme", ACME).status_code == 200
    person.is_on("key")
    person.press("hsk_wrong", Keys.ENTER)
    person.sees("Send a valid API key")
    person.press(TENANTS["acme"], Keys.ENTER)
    person.sees("acme-canary.example")

    person.tab_to("Forget my key")
    person.press(Keys.ENTER)

    person.is_on("key")
    assert "acme-canary.example" not in person.all_text
    person.browser.refresh()
    assert "acme-canary.example" not in person.all_text


def test_another_tenant_sees_nothing_of_it(person, host):
    """The page asks for what the key opens."""
    assert host.connect("acme", ACME).status_code == 200

    person.sign_in("globex")

    person.sees("No account is connected yet.")
    assert "acme" not in person.all_text


def test_the_page_lets_nothing_else_in(host):
    """No other script, no frame, nobody's form."""
    with host.client() as client:
        page = client.get("/status")
        parts = [client.get(f"/status/{name}") for name in ("status.js", "status.css")]
        other = client.get("/status/status.py")

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert [one.status_code for one in (page, *parts)] == [200] * 3
    assert other.status_code == 404
    assert "http" not in page.text + parts[0].text + parts[1].text
