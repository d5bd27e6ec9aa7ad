"""Wrong arguments are refused where they are given, with what was given and what to give."""

from __future__ import annotations

import pytest

from hubspot_sync import (
    Account,
    ConfigurationError,
    HubSpotSettings,
    LoggingObserver,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncSettings,
    embedded_engine,
    hubspot_connecting,
    hubspot_source_factory,
    mongodb_engine,
)
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.stores.memory import (
    MemoryActionSink,
    MemoryCheckpointer,
    MemoryNonceStore,
    MemoryTokenStore,
)

WRONG_PARTS = [
    ({"sink": print}, "sink is a builtin_function_or_method; give an object with .* `write`"),
    ({"accounts": {}}, "accounts is a dict; give an object with a method `due`"),
    ({"error_queue": "errors.db"}, "error_queue is a str; give an object with a method `put`"),
    ({"validators": print}, "validators is a .*; give a list"),
    ({"validators": "rule"}, "validators is a str; give a list"),
    ({"validators": [1]}, "validators has an int; give functions"),
    ({"observers": LoggingObserver()}, "observers is a LoggingObserver; give a list"),
    ({"observers": [print]}, "observers has a .*; give objects with a method `notify`"),
    ({"settings": HubSpotSettings()}, "settings is a HubSpotSettings; give a SyncSettings"),
    ({"settings": {}}, "settings is a dict; give a SyncSettings"),
]
WRONG_SETTINGS = [
    ({"hubspot": SyncSettings()}, "hubspot is a SyncSettings; give a HubSpotSettings"),
    ({"hubspot": {}}, "hubspot is a dict; give a HubSpotSettings"),
    ({"oauth_app": ("id", "geheim")}, "oauth_app is a tuple; give an OAuthApp"),
]
A_STREAM = StreamSettings(object_type="contacts")


@pytest.mark.parametrize(("wrong", "message"), [*WRONG_PARTS, *WRONG_SETTINGS])
def test_a_preset_refuses_it_before_it_opens_anything(tmp_path, wrong, message):
    """No file is made, no server asked."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        embedded_engine(tmp_path / "crm.db", **wrong)
    with pytest.raises(ConfigurationError, match=message):
        mongodb_engine("mongodb://127.0.0.1:1/never", **wrong)

    assert "geheim" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        *WRONG_PARTS,
        ({"tokens": None}, "tokens is a NoneType"),
        ({"sink": None}, "sink is a NoneType"),
        ({"checkpointer": {}}, "is a dict"),
    ],
)
def test_an_engine_refuses_it(wrong, message):
    """The same for hosts that put theirs together themselves."""
    tokens = MemoryTokenStore()
    parts = {
        "open_source": hubspot_source_factory(tokens),
        "tokens": tokens,
        "sink": MemoryActionSink(),
        "checkpointer": MemoryCheckpointer(),
    }
    with pytest.raises(ConfigurationError, match=message):
        SyncEngine(**parts | wrong)


@pytest.mark.parametrize(("wrong", "message"), WRONG_SETTINGS)
def test_what_an_engine_is_made_of_refuses_it(wrong, message):
    """Also where no preset did."""
    with pytest.raises(ConfigurationError, match=message):
        hubspot_source_factory(MemoryTokenStore(), **wrong)
    with pytest.raises(ConfigurationError, match=message):
        hubspot_connecting(MemoryNonceStore(), **wrong)


@pytest.mark.parametrize("database", [None, 5, {"host": "127.0.0.1"}])
def test_a_preset_needs_a_database(database):
    """Each says what it takes."""
    with pytest.raises(ConfigurationError, match="not a path"):
        embedded_engine(database)
    with pytest.raises(ConfigurationError, match="give a connection string or a MongoClient"):
        mongodb_engine(database)


def test_a_sink_of_no_length_is_a_sink(tmp_path):
    """One that counts what it holds, nothing at first, is not taken for none."""

    class Counting(MemoryActionSink):
        def __len__(self):
            return len(self.actions)

    class Empty(list):
        due = put = list.append

    with embedded_engine(
        tmp_path / "crm.db", sink=Counting(), accounts=Empty(), error_queue=Empty()
    ) as engine:
        assert isinstance(engine._runner.sink, Counting)
        assert isinstance(engine._runner.error_queue, Empty)


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        (["contacts"], r"has 'contacts'; give StreamSettings\(object_type=\.\.\.\)"),
        ("contacts", "is 'contacts'; give a list of StreamSettings"),
        (None, "is None; give a list of StreamSettings"),
        (A_STREAM, "is StreamSettings.*; give a list of StreamSettings"),
        ([A_STREAM, None], "has None; give StreamSettings"),
    ],
)
def test_streams(streams, message):
    """Each is a StreamSettings, and they come in a list."""
    with pytest.raises(ConfigurationError, match=f"Account.streams {message}"):
        Account(account_id="62515", streams=streams)


@pytest.mark.parametrize("field", ["properties", "exclude", "associations"])
@pytest.mark.parametrize("names", [[1], ["email", None], 5, [["email"]]])
def test_names(field, names):
    """They are text."""
    with pytest.raises(ConfigurationError, match="list of names was expected"):
        StreamSettings(object_type="contacts", **{field: names})


@pytest.mark.parametrize("account", ["62515", None, Account(account_id="62515").key])
def test_an_account(tmp_path, account):
    """Its id alone does not say what to read."""
    with embedded_engine(tmp_path / "crm.db") as engine:
        for call in (
            engine.sync,
            engine.redrive,
            lambda account: engine.connect(account, StaticAccessToken(access_token="a")),
            lambda account: engine.sync_all(accounts=[account]),
        ):
            with pytest.raises(ConfigurationError, match="give an Account"):
                call(account)
        with pytest.raises(ConfigurationError, match="give a list of Account"):
            engine.sync_all(accounts=Account(account_id="62515"))


@pytest.mark.parametrize("sinks", [print, [print], [MemoryActionSink(), None], MemoryActionSink()])
def test_the_sinks_of_a_fan_out(sinks):
    """Each has to take actions."""
    with pytest.raises(ConfigurationError, match="a FanOutSink takes"):
        FanOutSink(sinks)
