"""What stands beside the package: the workflow, the servers to try it with, the policies."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_workflow_runs_what_there_is():
    """Its make targets exist, it may only read, and it has all Pythons that are promised."""
    text = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    workflow = yaml.safe_load(text)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    promised = set(re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8")))

    assert set(re.findall(r"make ([a-z-]+)", text)) <= targets
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    tested = {*jobs["pythons"]["strategy"]["matrix"]["python"]}
    tested.add(jobs["all"]["steps"][1]["with"]["python-version"])
    assert tested == promised
    assert jobs["all"]["steps"][-1] == {"run": ".ci/run"}


def test_the_servers_to_try_it_with_listen_on_this_machine_only():
    """Each says when it is ready."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]

    assert services.keys() == {"mongodb", "redis"}
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["healthcheck"]["test"]
