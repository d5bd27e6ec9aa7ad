"""Every shipped store is held to its contract, and the contracts would notice."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import hubspot_sync.stores
from hubspot_sync import interfaces
from hubspot_sync.testing import contracts

pytest_plugins = ["pytester"]

KINDS = {
    "AccountStore": contracts.AccountStoreContract,
    "NonceStore": contracts.NonceStoreContract,
    "TokenStore": contracts.TokenStoreContract,
    "ActionSink": contracts.ActionSinkContract,
    "Checkpointer": contracts.CheckpointerContract,
    "ErrorQueue": contracts.ErrorQueueContract,
}
# What else a store may be called that keeps the contract of an interface of another name.
ALSO = {"RecordSink": "ActionSink", "FanOutSink": "ActionSink"}
TESTS = {
    "memory": ("test_memory", "test_record_sinks", "test_account_stores"),
    "sqlite": ("test_sqlite", "test_record_sinks", "test_account_stores"),
    "mongodb": ("test_mongodb", "test_record_sinks", "test_account_stores"),
    "fan_out": ("test_fan_out",),
}


def public_stores() -> list[type]:
    """Every class that some module of `hubspot_sync.stores` shows and that is a store."""
    found = []
    for module in pkgutil.iter_modules(hubspot_sync.stores.__path__, "hubspot_sync.stores."):
        if not module.name.rpartition(".")[2].startswith("_"):
            shown = importlib.import_module(module.name)
            found += [getattr(shown, name) for name in shown.__all__]
    return [kind for kind in found if kind.__name__.endswith((*KINDS, *ALSO))]


def cases_of(kind: type) -> list[type]:
    """The contract classes that the tests make of the store *kind*."""
    names = {name for names in TESTS.values() for name in names}
    modules = [importlib.import_module(f"stores.{name}") for name in sorted(names)]
    return [
        case
        for module in modules
        for name, case in vars(module).items()
        if name == f"Test{kind.__name__}" and inspect.isclass(case)
    ]


def test_every_module_of_stores_has_a_test_module():
    """A new back end cannot be forgotten in the list above."""
    modules = [module.name for module in pkgutil.iter_modules(hubspot_sync.stores.__path__)]

    assert {name for name in modules if not name.startswith("_")} == set(TESTS)


@pytest.mark.parametrize("kind", public_stores(), ids=lambda kind: kind.__name__)
def test_every_store_is_held_to_its_contract(kind):
    """A public store without a subclass of its contract fails here."""
    contract = KINDS[_interface(kind)]

    cases = cases_of(kind)

    assert len(cases) == 1, f"{kind.__name__} has no class Test{kind.__name__}"
    assert issubclass(cases[0], contract)


@pytest.mark.parametrize("contract", KINDS.values(), ids=lambda kind: kind.__name__)
def test_no_case_of_a_contract_is_switched_off(contract):
    """The tests of our own stores override fixtures only, never a case."""
    own = [kind for kind in public_stores() if KINDS[_interface(kind)] is contract]
    overridden = [
        name
        for kind in own
        for case in cases_of(kind)
        for name in vars(case)
        if name.startswith("test_")
    ]

    name = contract.__name__.removesuffix("Contract")
    assert {f"{start}{name}" for start in ("Memory", "Sqlite", "Mongo")} <= {
        kind.__name__ for kind in own
    }
    assert overridden == []


def _interface(kind: type) -> str:
    names = {**{name: name for name in KINDS}, **ALSO}
    return next(name for end, name in names.items() if kind.__name__.endswith(end))


@pytest.mark.parametrize("contract", contracts.__all__)
def test_a_contract_is_no_test_itself(contract):
    """Pytest must not collect a contract before it is subclassed."""
    assert contract.endswith("Contract")
    assert not contract.startswith("Test")


PROTOCOLS = [
    kind
    for kind in vars(interfaces).values()
    if inspect.isclass(kind) and getattr(kind, "_is_protocol", False)
]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda kind: kind.__name__)
def test_interfaces_stay_small(protocol):
    """At most six methods each; a checkpointer keeps leases, progress and fingerprints."""
    methods = [name for name in vars(protocol) if not name.startswith("_")]

    assert len(methods) <= (11 if protocol is interfaces.Checkpointer else 6)


@pytest.mark.parametrize("kind", public_stores(), ids=lambda kind: kind.__name__)
def test_a_store_has_the_methods_of_its_interface(kind):
    """With the parameters of the interface, in the same order, and the same defaults."""
    protocol = getattr(interfaces, _interface(kind))
    methods = [name for name in vars(protocol) if not name.startswith("_")]

    for name in methods:
        expected = inspect.signature(getattr(protocol, name))
        assert expected == inspect.signature(getattr(kind, name)), f"{kind.__name__}.{name}"


def test_stores_are_imported_when_asked_for():
    """The package of the stores loads no back end, and an engine needs none."""
    code = "import sys, hubspot_sync.stores, hubspot_sync.engine; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    back_ends = {"memory", "sqlite", "mongodb"}
    assert not {f"hubspot_sync.stores.{name}" for name in back_ends} & set(loaded)
    assert "pymongo" not in loaded


BROKEN = """
import pytest
from attrs import evolve
from msgspec.structs import replace
from hubspot_sync.models import Action, ActionKind
from hubspot_sync.stores.memory import {kind}
from hubspot_sync.testing.contracts import {contract}

class Broken({kind}):
    {change}

class TestBroken({contract}):
    {flags}

    @pytest.fixture
    def store(self):
        return Broken()

    @pytest.fixture
    def reopen(self, store):
        return lambda: store

    @pytest.fixture
    def stored(self, store):
        return lambda: store.actions
"""
STORES_WITH_A_FAULT = {
    "renews anything": ("MemoryCheckpointer", "def renew(self, lease, duration): return lease"),
    "releases anything": (
        "MemoryCheckpointer",
        "def release(self, lease): self._streams[lease.stream].lease = None",
    ),
    "forgets fingerprints": (
        "MemoryCheckpointer",
        "def recall(self, stream, object_ids): return {}",
    ),
    "refuses nobody": (
        "MemoryTokenStore",
        """def save(self, account, credentials, *, expected_revision):
        kept = self.load(account)
        revision = kept.revision if kept else None
        return super().save(account, credentials, expected_revision=revision)""",
    ),
    "starts again after a delete": (
        "MemoryTokenStore",
        """def delete(self, account):
        super().delete(account)
        self._revisions.pop(account, None)""",
    ),
    "never looks at a version again": (
        "MemoryCheckpointer",
        """def commit(self, lease, checkpoint, fingerprints=()):
        known = self.recall(lease.stream, [one.object_id for one in fingerprints])
        fresh = [
            one for one in fingerprints
            if one.object_id not in known or known[one.object_id].version < one.version
        ]
        super().commit(lease, checkpoint, fresh)""",
    ),
    "creates twice": ("MemoryActionSink", "def _may_be_created(self, action): return True"),
    "keeps amounts as floats": (
        "MemoryActionSink",
        """@property
    def actions(self):
        from decimal import Decimal
        def rounded(value):
            return float(value) if isinstance(value, Decimal) else value
        return tuple(
            replace(kept, properties={n: rounded(v) for n, v in kept.properties.items()})
            for kept in super().actions
        )""",
    ),
    "keeps the last to come": (
        "MemoryErrorQueue",
        """def put(self, failures):
        for failure in failures:
            action = failure.action
            self.settle(failure.stream, {action.object_id: 2**99})
        super().put(failures)""",
    ),
    "settles whatever is there": (
        "MemoryErrorQueue",
        """def settle(self, stream, versions):
        super().settle(stream, dict.fromkeys(versions, 2**99))""",
    ),
    "wakes the dead": (
        "MemoryErrorQueue",
        """def due(self, stream, now, *, limit):
        from hubspot_sync.models import RejectedSelection
        return self.browse(
            RejectedSelection(account=stream.account, object_type=stream.object_type), limit=limit
        )""",
    ),
    "walks in circles": (
        "MemoryErrorQueue",
        """def browse(self, selection, *, limit, after=None):
        return super().browse(selection, limit=limit) if after is None else []""",
    ),
    "drops everything": (
        "MemoryErrorQueue",
        """def drop(self, selection):
        from hubspot_sync.models import RejectedSelection
        return super().drop(RejectedSelection(account=selection.account))""",
    ),
    "lets the last saver win": (
        "MemoryAccountStore",
        """def save(self, entry):
        kept = self.load(entry.key)
        return super().save(evolve(entry, revision=kept.revision if kept else 0))""",
    ),
    "begins again after a delete": (
        "MemoryAccountStore",
        """def delete(self, account):
        super().delete(account)
        self._revisions.pop(account, None)""",
    ),
    "lets one domain come first": (
        "MemoryAccountStore",
        """def due(self, now, *, limit, domain_id=None):
        found = super().due(now, limit=10**6, domain_id=domain_id)
        return sorted(found, key=lambda one: one.next_sync_at)[:limit]""",
    ),
    "shows the neighbours": (
        "MemoryAccountStore",
        """def browse(self, domain_id, *, limit, after=None, status=None):
        return super().browse(None, limit=limit, after=after, status=status)""",
    ),
    "filters after it has cut": (
        "MemoryAccountStore",
        """def browse(self, domain_id, *, limit, after=None, status=None):
        page = super().browse(domain_id, limit=limit, after=after)
        return [one for one in page if status in (None, one.status)]""",
    ),
    "orders ids as numbers": (
        "MemoryAccountStore",
        """def browse(self, domain_id, *, limit, after=None, status=None):
        place = lambda key: (key.domain_id, int(key.account_id))
        found = super().browse(domain_id, limit=10**6, status=status)
        found = sorted(found, key=lambda one: place(one.key))
        return [one for one in found if not after or place(one.key) > place(after)][:limit]""",
    ),
    "forgets a stream": (
        "MemoryAccountStore",
        """def load(self, account):
        kept = super().load(account)
        return kept and evolve(kept, streams={"contacts": kept.streams["contacts"]}
            if "contacts" in kept.streams else {})""",
    ),
    "spends twice": ("MemoryNonceStore", "def spend(self, nonce, expires_at): return True"),
    "goes by small letters": (
        "MemoryNonceStore",
        """def spend(self, nonce, expires_at):
        return super().spend(nonce.lower(), expires_at)""",
    ),
    "forgets with what is outdated": (
        "MemoryNonceStore",
        """def spend(self, nonce, expires_at):
        if expires_at <= self._clock.now():
            self._spent.clear()
            self._ends.clear()
        return super().spend(nonce, expires_at)""",
    ),
    "answers nothing": (
        "MemoryActionSink",
        """def write(self, actions):
        answer = super().write(actions)
        return type(answer)()""",
    ),
}
# What the mirrors below keep, as actions.
MIRRORED = """
    @property
    def actions(self):
        return [
            Action(
                account=one.account,
                object_type=one.object_type,
                object_id=one.object_id,
                kind=next(kind for kind in ActionKind if kind.gone is one.gone)
                if one.gone
                else ActionKind.CREATED if one.created_at else ActionKind.UPDATED,
                version=one.version,
                variant=one.variant,
                occurred_at=one.gone_at or one.created_at or one.modified_at,
                merged_into=one.merged_into,
                properties=one.properties,
                associations=one.associations,
            )
            for one in self.records
        ]
"""
MIRRORS_WITH_A_FAULT = {
    "lets an older version win": """def write(self, actions):
        for action in actions:
            place = (action.account, action.object_type, action.object_id)
            held = self._kept.get(place)
            if held and held.version > action.version:
                del self._kept[place]
        return super().write(actions)""",
    "keeps what a newer version does not carry": """def write(self, actions):
        held = {one.object_id: one.properties for one in self.records}
        return super().write([
            replace(one, properties={**held.get(one.object_id, {}), **one.properties})
            for one in actions
        ])""",
    "keeps the first variant": """def write(self, actions):
        held = {one.object_id: one.version for one in self.records}
        return super().write([
            replace(one, variant=0) if held.get(one.object_id) == one.version else one
            for one in actions
        ])""",
    "takes an older version for accepted": """def write(self, actions):
        return type(super().write(actions))()""",
}


@pytest.mark.parametrize("fault", [None, *MIRRORS_WITH_A_FAULT])
def test_the_contract_notices_a_fault_of_a_mirror(pytester, fault):
    """A mirror that keeps every promise passes, one that breaks one fails."""
    flags = "knows_creations = keeps_versions = False"
    change = MIRRORS_WITH_A_FAULT.get(fault, "pass") + MIRRORED
    parts = {"kind": "MemoryRecordSink", "contract": "ActionSinkContract"}
    pytester.makepyfile(BROKEN.format(flags=flags, change=change, **parts))

    outcome = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider").parseoutcomes()

    assert (fault is not None) is (outcome.get("failed", 0) > 0)
    assert outcome["passed"] > 10


@pytest.mark.parametrize("fault", STORES_WITH_A_FAULT)
def test_a_contract_notices_a_fault(pytester, fault):
    """A store that breaks one promise fails its contract."""
    kind, change = STORES_WITH_A_FAULT[fault]
    contract = kind.removeprefix("Memory") + "Contract"
    pytester.makepyfile(BROKEN.format(kind=kind, contract=contract, change=change, flags="pass"))

    outcome = pytester.runpytest_inprocess("-q", "-x", "-p", "no:cacheprovider")

    assert outcome.parseoutcomes().get("failed", 0) >= 1


def test_a_contract_that_was_given_no_store_says_so(pytester):
    """An implementer who forgot the fixtures gets errors, not a green run."""
    pytester.makepyfile(
        "from hubspot_sync.testing.contracts import TokenStoreContract\n"
        "class TestMine(TokenStoreContract): pass\n"
    )

    outcome = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider").parseoutcomes()

    assert "passed" not in outcome
    assert outcome["errors"] > 10
