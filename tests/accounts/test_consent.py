"""Only what was given out for this domain, just now, and once, leads to a connection."""

from __future__ import annotations

import re
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hubspot_sync import ConsentError, OAuthApp, StoreUnavailableError
from hubspot_sync._consent import ConsentDesk
from hubspot_sync.testing import ManualClock

APP = OAuthApp(client_id="app", client_secret="canary-client-secret")


class Nonces:
    """The simplest store that keeps the promise."""

    def __init__(self):
        self._spent = set()
        self._lock = threading.Lock()

    def spend(self, nonce, expires_at):
        with self._lock:
            first = nonce not in self._spent
            self._spent.add(nonce)
            return first


def desk(app=APP, **parts):
    return ConsentDesk(**{"app": app, "nonces": Nonces(), "clock": ManualClock(), **parts})


def refusal(desk, proof, domain_id="acme"):
    with pytest.raises(ConsentError) as caught:
        desk.accept(proof, domain_id)
    assert "send the person to HubSpot again" in str(caught.value)
    return caught.value.reason


@given(
    domain_id=st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()),
    account_id=st.none() | st.from_regex(r"[0-9]{1,12}", fullmatch=True),
)
def test_what_was_given_out_is_taken_back(domain_id, account_id):
    """Whatever the domain is called."""
    one = desk()
    consent = one.accept(one.ask(domain_id, account_id), domain_id)

    assert (consent.domain_id, consent.account_id) == (domain_id, account_id)


@given(data=st.data())
def test_any_alteration_is_refused(data):
    """A character changed, put in, left out; a part taken from another one."""
    one = desk()
    proof, other = one.ask("acme", "62515"), one.ask("globex")
    position = data.draw(st.integers(0, len(proof)))
    length = data.draw(st.integers(0, 3))
    insert = data.draw(
        st.text(string.printable, max_size=3)
        | st.text(max_size=3)
        | st.integers(0, len(other)).map(lambda end: other[:end])
    )
    altered = proof[:position] + insert + proof[position + length :]
    assume(altered != proof)

    assert refusal(one, altered) in ("altered", "other_domain")
    assert one.accept(proof, "acme")


@pytest.mark.parametrize("proof", ["", ".", "a.b", "=.=", "\ud800.\ud800", "ž.ž", "." * 100])
def test_nonsense_is_refused(proof):
    """And nothing but refused."""
    assert refusal(desk(), proof) == "altered"


@pytest.mark.parametrize(
    "app",
    [
        OAuthApp(client_id="app", client_secret="another secret"),
        OAuthApp(client_id="another app", client_secret="canary-client-secret"),
    ],
)
def test_another_apps_is_refused(app):
    """Its secret and its id both count."""
    assert refusal(desk(), desk(app).ask("acme")) == "altered"


def test_another_domains_is_refused_and_stays_good_for_that_one():
    """Nobody can use up what belongs to somebody else."""
    one = desk()
    proof = one.ask("globex")

    assert refusal(one, proof) == "other_domain"
    assert one.accept(proof, "globex").domain_id == "globex"


def test_it_is_good_for_ten_minutes():
    """And not a moment longer."""
    clock = ManualClock()
    one = desk(clock=clock)
    early, late = one.ask("acme"), one.ask("acme")
    clock.advance(timedelta(minutes=9, seconds=59))
    assert one.accept(early, "acme")
    clock.advance(1)

    assert refusal(one, late) == "expired"


def test_it_is_used_once_whoever_comes_first():
    """Of many who come with the same one, one is served; another process counts too."""
    nonces = Nonces()
    desks = [desk(nonces=nonces) for _ in range(8)]
    proof = desks[0].ask("acme")

    def outcome(one):
        try:
            one.accept(proof, "acme")
        except ConsentError as error:
            return error.reason
        return "taken"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(outcome, desks))

    assert ["taken"] + ["used"] * 7 == outcomes


def test_it_stays_good_while_the_store_is_away():
    """What could not be asked for is not used up."""
    nonces = Nonces()
    spend = nonces.spend
    one = desk(nonces=nonces)
    proof = one.ask("acme")

    def away(nonce, expires_at):
        raise StoreUnavailableError("away")

    nonces.spend = away
    with pytest.raises(StoreUnavailableError):
        one.accept(proof, "acme")
    nonces.spend = spend

    assert one.accept(proof, "acme")


def test_it_fits_in_a_url_and_says_no_secret():
    """Short, without a character that would have to be escaped."""
    proof = desk().ask("acme", "62515")

    assert re.fullmatch(r"[\w.-]+", proof, re.ASCII)
    assert len(proof) < 200
    assert "canary" not in proof


def test_no_two_are_alike():
    """Not even in the same instant."""
    one = desk()

    assert len({one.ask("acme") for _ in range(100)}) == 100


def test_a_proof_from_the_future_is_out_of_date():
    """A clock that was years ahead gives out none that is good for years."""
    clock = ManualClock()
    one, right = desk(clock=clock), clock.now()
    clock.set(right + timedelta(days=3653))
    proof = one.ask("acme")

    clock.set(right)

    assert refusal(one, proof) == "expired"
    assert one.accept(one.ask("acme"), "acme").domain_id == "acme"
