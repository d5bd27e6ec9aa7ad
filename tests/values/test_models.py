"""Values refuse what could not be stored or sent, and say so."""

import re
from datetime import datetime, timedelta, timezone

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync import (
    Account,
    AccountEntry,
    ConfigurationError,
    HubSpotSettings,
    InvariantError,
    OAuthApp,
    OAuthTokens,
    SinkAnswer,
    StaticAccessToken,
    StreamSettings,
    SyncSettings,
)
from hubspot_sync.models import (
    AccountKey,
    Action,
    ActionKind,
    Checkpoint,
    Counts,
    Mode,
    Pass,
    StreamKey,
    canonical_object_type,
    cursor_field,
    from_milliseconds,
    singular_name,
    to_milliseconds,
)
from hubspot_sync.models.object_types import OBJECT_TYPE_IDS

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("account_id", ["", "abc", "62515 ", "٣", "-1", "062515", "00", "62515\n"])
def test_account_id_has_to_be_digits(account_id):
    """HubSpot's ids are ASCII digits, each in one way; all else is a mistake of the caller's."""
    with pytest.raises(ConfigurationError, match="account_id"):
        Account(account_id=account_id)


@pytest.mark.parametrize("domain_id", ["", "a\0b", "\ud800", "x" * 201])
def test_domain_id_has_to_be_storable(domain_id):
    """No store could keep these in a key."""
    with pytest.raises(ConfigurationError, match="domain_id"):
        Account(account_id="1", domain_id=domain_id)


def test_account_refuses_the_same_stream_twice():
    """Two streams of one object type would fight over one lease."""
    twice = (StreamSettings(object_type="0-1"), StreamSettings(object_type="contacts"))

    with pytest.raises(ConfigurationError, match="each object type once"):
        Account(account_id="1", streams=twice)


def test_properties_as_one_text_are_refused():
    """A text is an iterable of letters, which nobody means."""
    with pytest.raises(ConfigurationError, match="single text"):
        StreamSettings(object_type="contacts", properties="email")
    with pytest.raises(ConfigurationError, match="single text"):
        StreamSettings(object_type="contacts", exclude="email")
    with pytest.raises(ConfigurationError, match="single text"):
        AccountEntry(account=Account(account_id="1"), status_since=NOON, scopes="oauth")


def test_secrets_are_no_part_of_a_repr():
    """Logs and tracebacks print values."""
    values = (
        StaticAccessToken(access_token="canary"),
        OAuthTokens(refresh_token="canary", access_token="canary"),
        OAuthApp(client_id="app", client_secret="canary"),
    )

    assert "canary" not in repr(values)


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("canary\nbreak", "cannot be sent"),
        (None, "no text"),
        (b"canary", "no text"),
        ("Bearer canary", "begins with 'Bearer '"),
        (" bearer  canary", "begins with 'Bearer '"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        (StaticAccessToken, "access_token"),
        (OAuthTokens, "refresh_token"),
        (OAuthApp, "client_id"),
        (OAuthApp, "client_secret"),
    ],
)
def test_credentials_that_cannot_be_sent_are_refused(kind, attribute, secret, says):
    """A broken header would fail much later, and less clearly; what is told is which it is."""
    others = {"client_id": "app", "client_secret": "b"} if kind is OAuthApp else {}

    with pytest.raises(
        ConfigurationError, match=rf"{kind.__name__}\.{attribute}.*{says}"
    ) as caught:
        kind(**{**others, attribute: secret})

    assert "canary" not in str(caught.value)


def test_spaces_around_a_credential_are_no_part_of_it():
    """They come along when it is copied."""
    assert StaticAccessToken(access_token=" pat-na1\n").access_token == "pat-na1"


@pytest.mark.parametrize("wrong", ["nope", "app.example.com/hubspot", "", 8000, "ftp://x/"])
def test_a_redirect_uri_is_a_url(wrong):
    """HubSpot would show an error to the person, and nobody would come back."""
    with pytest.raises(ConfigurationError, match=r"OAuthApp\.redirect_uri is .* give a URL"):
        OAuthApp(client_id="app", client_secret="b", redirect_uri=wrong)


@pytest.mark.parametrize("right", ["https://a.example/hubspot/", "http://localhost:8000/a?b=c"])
def test_a_redirect_uri_is_sent_word_for_word(right):
    """HubSpot compares it with the one in the app's settings."""
    app = OAuthApp(client_id="app", client_secret="b", redirect_uri=right)

    assert app.redirect_uri == right


@pytest.mark.parametrize(
    ("given_name", "canonical"),
    [
        ("0-1", "contacts"),
        ("0-2", "companies"),
        ("2-77", "2-77"),
        ("Company", "companies"),
        ("LINE_ITEM", "line_items"),
        ("p123_Contact", "p123_Contact"),
        ("Subscription", "subscriptions"),
        ("Widget", "Widget"),
    ],
)
def test_object_types_go_by_their_name(given_name, canonical):
    """One stream has one name, whether it was given by name or by id."""
    assert canonical == canonical_object_type(given_name)


@given(st.sampled_from(sorted(OBJECT_TYPE_IDS.items())), st.data())
def test_two_spellings_of_a_standard_type_are_one_stream(standard, data):
    """Id, singular, plural, capitals: however an account names its contacts, it has them once."""
    object_type_id, plural = standard
    singular = singular_name(plural).replace(" ", "_")
    spellings = st.sampled_from([object_type_id, plural, singular]).flatmap(_in_any_case)
    one, other = data.draw(spellings), data.draw(spellings)
    account = AccountKey("acme", "62515")

    assert StreamKey(account, one) == StreamKey(account, other) == StreamKey(account, plural)
    with pytest.raises(ConfigurationError, match="each object type once"):
        Account(
            account_id="62515",
            streams=[StreamSettings(object_type=one), StreamSettings(object_type=other)],
        )
    assert StreamSettings(object_type="deals", associations=[one, other]).associations == (plural,)


def _in_any_case(name):
    """The name with any of its letters in capitals."""
    return st.tuples(
        *(st.sampled_from(sorted({letter.lower(), letter.upper()})) for letter in name)
    ).map("".join)


@pytest.mark.parametrize("field", ["repeated", "already_created", "partly_repeated"])
@pytest.mark.parametrize("ids", ["acme:62515:contacts:1:2", None, 5])
def test_an_answer_names_actions_in_a_set(field, ids):
    """The letters of a text are no ids."""
    with pytest.raises(ConfigurationError, match="ids of actions in a set"):
        SinkAnswer(**{field: ids})


@pytest.mark.parametrize("refused", [["1"], None, {"1": None}, {"1": ValueError("no")}])
def test_an_answer_has_reasons(refused):
    """They are stored and logged, so they are text."""
    with pytest.raises(ConfigurationError, match="reasons, as text"):
        SinkAnswer(refused=refused)


@pytest.mark.parametrize("name", ["", " pets", "contacts:x", "../contacts", "a" * 101, None])
def test_impossible_object_types_are_refused(name):
    """Names become parts of paths and keys."""
    with pytest.raises(ConfigurationError, match="object type"):
        canonical_object_type(name)


@pytest.mark.parametrize(
    ("object_type", "singular"),
    [
        ("contacts", "Contact"),
        ("companies", "Company"),
        ("line_items", "Line Item"),
        ("p62515_pets", "p62515_pets"),
        ("p62515_addresses", "p62515_addresses"),
        ("p62515_contacts", "p62515_contacts"),
        ("2-77", "2-77"),
    ],
)
def test_action_names_use_the_singular(object_type, singular):
    """Of HubSpot's own types; what a custom one is called stands in its schema only."""
    assert singular == singular_name(object_type)


def test_only_contacts_have_a_cursor_field_of_their_own():
    """HubSpot answers the wrong one with no rows and no error."""
    assert cursor_field("contacts") == "lastmodifieddate"
    assert cursor_field("companies") == "hs_lastmodifieddate"


@given(st.integers(min_value=-(10**13), max_value=10**14))
def test_milliseconds_survive_the_round_trip(milliseconds):
    """No float is involved anywhere."""
    assert milliseconds == to_milliseconds(from_milliseconds(milliseconds))


def test_action_ids_tell_all_parts_apart():
    """A domain may hold colons; ids stay unique all the same."""

    def action_id(domain_id, account_id, object_id):
        return Action(
            account=AccountKey(domain_id, account_id),
            object_type="contacts",
            object_id=object_id,
            kind=ActionKind.CREATED,
            version=1,
            occurred_at=NOON,
            properties={},
        ).action_id

    assert action_id("a", "1", "2") == "a:1:contacts:2:1"
    assert action_id("a:1", "1", "2") != action_id("a", "1", "2")


def test_counts_add_up():
    """What was read is the sum of where it ended."""
    counts = Counts(delivered=1, repeated=2, unchanged=3, rejected=4, skipped=5)

    assert counts.read == 15
    assert (counts + counts).read == 30


def test_instants_without_a_zone_are_refused():
    """A naive datetime would mean another instant on another machine."""
    with pytest.raises(ConfigurationError, match="time zone"):
        Checkpoint(high_water_mark=NOON.replace(tzinfo=None))


def test_a_backfill_has_no_start():
    """A pass in the wrong shape is a bug of ours."""
    with pytest.raises(InvariantError):
        Pass(mode=Mode.BACKFILL, start=NOON, end=NOON)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "api.hubapi.com"}, "Settings.base_url is 'api.hubapi.com'; give a URL"),
        ({"base_url": "ftp://x"}, "base_url is 'ftp://x'"),
        ({"base_url": "http://x/?a=b"}, r"base_url is 'http://x/\?a=b'"),
        ({"base_url": 8080}, "base_url is 8080"),
        ({"base_url": None}, "base_url is None"),
        ({"consent_url": b"http://x"}, "consent_url is b'http://x'"),
        ({"base_url": "http://127.0.0.1:port"}, "base_url is 'http://127.0.0.1:port'"),
        ({"api_version": "2024-01"}, "Settings.api_version is '2024-01'; give one of 2025-09"),
        ({"burst_limit": 0}, "burst_limit is 0"),
        ({"max_tries": 0}, "max_tries is 0"),
        ({"read_timeout": timedelta(0)}, "read_timeout"),
    ],
)
def test_wrong_hubspot_settings_are_refused(settings, said):
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match=said):
        HubSpotSettings(**settings)


def test_wrong_sync_settings_are_refused():
    """Before anything is read."""
    with pytest.raises(ConfigurationError, match="lookback"):
        SyncSettings(lookback=timedelta(seconds=-1))
    with pytest.raises(ConfigurationError, match="batch_size"):
        SyncSettings(batch_size=0)
    for share in (-0.1, 1.1):
        with pytest.raises(ConfigurationError, match="max_rejected_share"):
            SyncSettings(max_rejected_share=share)


# By the type that a setting is declared with: what it takes, and what it says to all else.
TAKEN = {
    "int": st.integers(min_value=1),
    "float": st.one_of(st.floats(min_value=0, max_value=1), st.sampled_from([0, 1])),
    "timedelta": st.timedeltas(min_value=timedelta(microseconds=1)),
    "bool": st.booleans(),
}
ADVICE = {
    "int": "give a whole number from [01] on",
    "float": "give a share from 0.0 to 1.0",
    "timedelta": "give a timedelta",
    "bool": "give True or False",
}
NEITHER = st.one_of(
    st.text(),
    st.integers().map(str),
    st.timedeltas().map(str),
    st.decimals(),
    st.binary(),
    st.lists(st.integers(), max_size=1),
)
ALSO_REFUSED = {
    "int": st.one_of(st.booleans(), st.floats(), st.timedeltas(), st.integers(max_value=-1)),
    "float": st.one_of(
        st.booleans(),
        st.timedeltas(),
        st.sampled_from([float("nan"), float("inf"), -0.1, 1.1, 2, -1]),
    ),
    "timedelta": st.one_of(st.booleans(), st.integers(), st.floats()),
    "bool": st.one_of(st.integers(), st.floats(), st.timedeltas()),
}
NEEDED = {StreamSettings: {"object_type": "contacts"}, Account: {"account_id": "62515"}}
TUNED = {
    f"{kind.__name__}.{attribute.name}": (kind, attribute.name, attribute.type)
    for kind in (HubSpotSettings, SyncSettings, StreamSettings, Account)
    for attribute in fields(kind)
    if attribute.type.removesuffix(" | None") in TAKEN
}


@pytest.mark.parametrize("setting", TUNED)
@given(st.data())
def test_a_setting_takes_what_it_is_declared_with(setting, drawn):
    """Any number, duration or choice in its bounds."""
    kind, name, declared = TUNED[setting]
    taken = TAKEN[declared.removesuffix(" | None")]
    value = drawn.draw(taken if declared in TAKEN else st.one_of(st.none(), taken))

    assert getattr(kind(**NEEDED.get(kind, {}), **{name: value}), name) == value


@pytest.mark.parametrize("setting", TUNED)
@given(st.data())
def test_a_setting_takes_nothing_else(setting, drawn):
    """Text is no number, and neither is a truth; the words say which, what, and what to give."""
    kind, name, declared = TUNED[setting]
    plain = declared.removesuffix(" | None")
    refused = st.one_of(NEITHER, ALSO_REFUSED[plain])
    value = drawn.draw(refused if declared != plain else st.one_of(st.none(), refused))

    with pytest.raises(ConfigurationError) as caught:
        kind(**NEEDED.get(kind, {}), **{name: value})

    assert caught.value.message.startswith(f"{setting} is {value!r}; ")
    assert re.search(ADVICE[plain], caught.value.message)


def test_every_number_among_the_settings_is_looked_at():
    """None is of a type that the tests above do not know."""
    others = {
        attribute.type
        for kind in (HubSpotSettings, SyncSettings)
        for attribute in fields(kind)
        if f"{kind.__name__}.{attribute.name}" not in TUNED
    }
    assert others == {"str", "str | None", "ApiVersion"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: SyncSettings(lookback=300),
        lambda: SyncSettings(turn=30.0),
        lambda: HubSpotSettings(read_timeout=5),
        lambda: Account(account_id="62515", sync_every=15),
    ],
)
def test_a_bare_number_is_no_duration(make):
    """It does not say of what."""
    with pytest.raises(ConfigurationError, match=r"give a timedelta, such as timedelta\("):
        make()
