"""What users install and import: cheap, typed, and with a public list that is meant."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

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
}


def python(code):
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
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


def test_an_integration_without_its_package_names_the_extra():
    """What to install is in the message."""
    code = "import sys; sys.modules['celery'] = None; import hubspot_sync.integrations.celery"

    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )

    assert "ImportError: " in done.stderr.splitlines()[-1]
    assert "pip install 'hubspot-sync[celery]'" in done.stderr.splitlines()[-1]


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
        "orjson",
        "pymongo",
    }
