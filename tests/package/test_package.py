"""What users install and import: cheap, typed, and with a public list that is meant."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pickle
import subprocess
import sys
import typing
from importlib.metadata import distribution
from pathlib import Path

import pytest

import hubspot_sync

LOADED = "import sys, hubspot_sync; print('\\n'.join(sorted(sys.modules)))"
# Large packages that only some hosts need, and that are imported when they are asked for.
LAZY = {
    "hubspot",
    "urllib3",
    "pymongo",
    "bson",
    "sqlite3",
    "pytest",
    "requests",
    "rich",
    "celery",
    "kombu",
    "opentelemetry",
}


def python(code, cwd=None):
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=cwd
    )
    return done.stdout.split()


def test_the_public_names_are_sorted_and_there():
    """Adding one is a decision."""
    assert sorted(hubspot_sync.__all__) == hubspot_sync.__all__
    assert all(hasattr(hubspot_sync, name) for name in hubspot_sync.__all__)


def test_importing_it_loads_no_back_end_and_no_client():
    """A host pays for what it uses."""
    loaded = {name.partition(".")[0] for name in python(LOADED)}

    assert loaded & LAZY == set()


def test_importing_it_loads_nothing_of_its_own():
    """Every pytest run of a project that has it installed imports it, for the plugin."""
    assert [name for name in python(LOADED) if name.startswith("hubspot_sync")] == ["hubspot_sync"]


def test_an_error_or_a_setting_loads_no_engine():
    """The names come from the lowest floor that has them."""
    code = "import sys; from hubspot_sync import ConfigurationError, SyncSettings;"
    loaded = python(f"{code} print('\\n'.join(sys.modules))")

    assert "hubspot_sync.models.settings" in loaded
    assert "hubspot_sync._engine" not in loaded


def test_every_name_is_the_one_that_a_type_checker_sees():
    """Type checkers and the reference read the imports; at run time the names are looked up."""
    source = ast.parse(Path(hubspot_sync.__file__).read_text("utf-8"))
    (seen,) = (
        one.body
        for one in source.body
        if isinstance(one, ast.If) and one.orelse == [] and isinstance(one.test, ast.Name)
    )
    declared = {name.name: line.module for line in seen for name in line.names}

    assert sorted(declared) == hubspot_sync.__all__
    for name, module in declared.items():
        home = importlib.import_module(module)
        assert getattr(hubspot_sync, name) is getattr(home, name)
        assert name in dir(hubspot_sync)


def test_public_names_are_called_by_their_public_home():
    """In reprs, tracebacks, pickles and help; also where an error was raised that nobody named."""
    for name in hubspot_sync.__all__:
        assert getattr(hubspot_sync, name).__module__ == "hubspot_sync"
    kept = hubspot_sync.AccountKey("acme", "1"), hubspot_sync.ActionKind.CREATED
    assert pickle.loads(pickle.dumps(kept)) == kept
    assert b"hubspot_sync.models" not in pickle.dumps(kept)


def test_the_version_is_that_of_the_distribution():
    """It is looked up when it is asked for."""
    assert hubspot_sync.__version__ == distribution("hubspot-sync").version
    assert "importlib.metadata" not in python(LOADED)


PUBLIC = [
    "hubspot_sync",
    "hubspot_sync.errors",
    "hubspot_sync.interfaces",
    "hubspot_sync.models",
    "hubspot_sync.stores.fan_out",
    "hubspot_sync.stores.memory",
    "hubspot_sync.stores.mongodb",
    "hubspot_sync.stores.sqlite",
]
# Engines and domains know each other; nobody but an engine makes a domain.
UNRESOLVED = {"Domain.__init__"}


def callables(home):
    """All that is public in a module, and what its classes have."""
    for name in getattr(home, "__all__", None) or vars(home):
        found = getattr(home, name)
        if name.startswith("_") or not callable(found):
            continue
        yield name, found
        for method, member in inspect.getmembers(found) if inspect.isclass(found) else ():
            function = member.fget if isinstance(member, property) else member
            public = method == "__init__" or not method.startswith("_")
            if public and (inspect.isfunction(function) or inspect.ismethod(function)):
                yield f"{name}.{method}", function


@pytest.mark.parametrize("home", PUBLIC)
def test_type_hints_of_all_that_is_public_can_be_read(home):
    """By frameworks that build on `typing.get_type_hints`."""
    unreadable = {}
    for name, found in callables(importlib.import_module(home)):
        if name not in UNRESOLVED and getattr(found, "__module__", "").startswith("hubspot_sync"):
            try:
                typing.get_type_hints(found)
            except (NameError, TypeError) as error:
                unreadable[name] = str(error)

    assert unreadable == {}


def test_modules_can_be_reached_by_their_names():
    """As after any import of the package before."""
    code = "import hubspot_sync as h; print(h.errors, h.models, h.interfaces, h.stores)"

    assert "hubspot_sync.stores" in " ".join(python(code))
    with pytest.raises(AttributeError, match="no attribute 'engines'"):
        _ = hubspot_sync.engines


def test_a_pytest_run_of_a_host_loads_only_the_plugin(tmp_path):
    """Whoever has the package installed pays for it in the tests that ask for the fixture."""
    code = (
        "import sys, pytest;"
        "pytest.main(['--collect-only', '-q', '-p', 'hubspot_sync.testing.pytest_plugin']);"
        "print('\\n'.join(sys.modules))"
    )
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass")

    loaded = python(code, cwd=tmp_path)

    ours = {name for name in loaded if name.startswith("hubspot_sync")}
    assert ours == {"hubspot_sync", "hubspot_sync.testing", "hubspot_sync.testing.pytest_plugin"}
    assert {"attrs", "orjson", "pymongo", "cryptography", "backoff"} & set(loaded) == set()


def test_an_integration_without_its_package_names_the_extra():
    """What to install is in the message."""
    code = "import sys; sys.modules['celery'] = None; import hubspot_sync.integrations.celery"

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert "ImportError: " in done.stderr.splitlines()[-1]
    assert "pip install 'hubspot-sync[celery]'" in done.stderr.splitlines()[-1]


@pytest.mark.skipif("WHEEL" not in os.environ, reason="it is the working copy that is tested")
def test_what_is_tested_is_what_users_install():
    """The wheel, and not the folder beside the tests, which may have what the wheel lacks."""
    assert "site-packages" in Path(hubspot_sync.__file__).parts


def test_it_is_typed():
    """Type checkers of hosts look for this marker."""
    assert (Path(hubspot_sync.__file__).parent / "py.typed").exists()


def test_the_core_needs_few_packages():
    """Everything else is an extra."""
    required = distribution("hubspot-sync").requires or []
    core = {line.split(">")[0].split("<")[0].strip() for line in required if "extra ==" not in line}

    assert core == {
        "attrs",
        "backoff",
        "cryptography",
        "hubspot-api-client",
        "msgspec",
        "orjson",
        "pymongo",
    }
