"""The benchmarks still run, and both sides of a ratio do the same work; no speed is asked for."""

import pickle
import sys
from pathlib import Path

import pytest

from hubspot_sync.testing import HubSpotEmulator

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def throughput(monkeypatch):
    """The module, which is a script."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import throughput

    yield throughput
    del sys.modules["throughput"]


@pytest.fixture
def stages(throughput):
    """The module, which is a script, too."""
    import stages

    yield stages
    del sys.modules["stages"]


@pytest.mark.parametrize("workload", ["bare", "engine"])
def test_a_workload_reads_and_stores_every_contact(
    throughput, workload, mongodb_uri, mongodb_client
):
    """In a process of its own, which tells what it took."""
    with HubSpotEmulator(contacts=230, companies=40) as emulator:
        result = throughput.measure(workload, emulator.base_url, mongodb_uri)

    database = mongodb_client[mongodb_uri.rpartition("/")[2].partition("?")[0]]
    stored = database["bare_actions" if workload == "bare" else "actions"]
    assert result["records"] == stored.count_documents({}) == 230
    assert result["seconds"] > 0
    assert result["cpu_seconds"] > 0
    assert result["peak_megabytes"] > 0


def test_the_stages_take_what_hubspot_sends(stages, tmp_path):
    """The pages hold each contact once, and both sides get to their last stage with them."""
    definitions, contents = stages.fetched(230)
    pages = tmp_path / "pages"
    pages.write_bytes(pickle.dumps((definitions, contents)))

    assert sum(content.count(b'"createdAt"') for content in contents) == 230
    assert stages.engine(len(stages.ENGINE) - 1, pages) == 230
    assert stages.bare(len(stages.BARE) - 1, pages) == 230
