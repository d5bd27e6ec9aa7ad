"""What each stage of the pipeline costs, in instructions of the processor for each record.

    python benchmarks/stages.py [--records 2000]

Instructions are the same on a busy machine and on a quiet one, so small gains show. Cachegrind, of
valgrind, counts them. Each stage runs in a process of its own together with those before it; what
one more stage adds is its cost, garbage collection included. Calls and threads are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import urllib.request
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import workloads

from hubspot_sync.testing.emulator import HubSpotEmulator

ENGINE = ("imports", "JSON decoded", "records", "actions", "BSON documents")
BARE = ("imports", "JSON decoded", "BSON documents")
BATCH_PAGES = 10
COUNTED = re.compile(r"I\s+refs:\s+([0-9,]+)")


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=2_000)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        pipeline, stage, pages = options.child
        {"engine": engine, "bare": bare}[pipeline](int(stage), Path(pages))
        return
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "pages"
        pages.write_bytes(pickle.dumps(fetched(options.records)))
        for pipeline, names in (("engine", ENGINE), ("bare", BARE)):
            costs = counted(pipeline, len(names), pages)
            print(f"{pipeline}: {sum(costs[1:]) / options.records / 1000:.0f} thousand a record")
            for name, cost in zip(names[1:], costs[1:], strict=True):
                print(f"  {name:16} {cost / options.records / 1000:6.1f}")


def fetched(records: int) -> tuple[bytes, list[bytes]]:
    """The definitions, and pages of the list, as HubSpot would send them."""
    with HubSpotEmulator(contacts=records, companies=records // 5) as emulator:
        headers = {"Authorization": f"Bearer {emulator.access_token}"}

        def get(path: str) -> bytes:
            request = urllib.request.Request(emulator.base_url + path, headers=headers)
            with urllib.request.urlopen(request) as answer:
                return answer.read()

        query = f"limit=100&associations=companies&properties={','.join(workloads.PROPERTIES)}"
        pages: list[bytes] = []
        after = ""
        while after is not None:
            page = get(f"/crm/objects/2026-03/contacts?{query}{after and '&after=' + after}")
            after = json.loads(page).get("paging", {}).get("next", {}).get("after")
            pages.append(page)
        return get("/crm/properties/2026-03/contacts"), pages


def counted(pipeline: str, stages: int, pages: Path) -> list[int]:
    """The instructions of the imports, and what each stage adds."""
    totals = [0, *(total(pipeline, stage, pages) for stage in range(stages))]
    return [upper - lower for lower, upper in pairwise(totals)]


def total(pipeline: str, stage: int, pages: Path) -> int:
    """The instructions of a process that goes up to *stage*."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, __file__, "--child", pipeline, str(stage), str(pages)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return int(COUNTED.search(done.stderr)[1].replace(",", ""))


def engine(stage: int, pages: Path) -> int:
    """The engine's stages, batch by batch; how many documents came out of the last one."""
    from hubspot_sync import _actions
    from hubspot_sync._hubspot.calls.bodies import loads
    from hubspot_sync._hubspot.records.associations import InlineKeys
    from hubspot_sync._hubspot.records.layout import LayoutReader
    from hubspot_sync._hubspot.records.properties import _definition
    from hubspot_sync._hubspot.records.values import conversion_for
    from hubspot_sync.models import AccountKey
    from hubspot_sync.stores.mongodb._actions import encoded_actions

    definitions, contents = pickle.loads(pages.read_bytes())
    convert = conversion_for([_definition(row) for row in json.loads(definitions)["results"]])
    keys = InlineKeys({"companies": ("companies",)})
    reader = LayoutReader("contacts", convert)
    rows = loads(contents[0])["results"]
    reader.learn(rows, keys.on_page(rows))
    layout = reader._made(reader._names, reader._keys)
    account, now = AccountKey("default", workloads.ACCOUNT_ID), datetime.now(timezone.utc)
    made = 0
    for batch in batches(contents) if stage else ():
        records = []
        for content in batch:
            if stage >= ENGINE.index("records"):
                records += layout.read(content).records
            else:
                layout._decode(content)
        if stage >= ENGINE.index("actions"):
            outcome = _actions.to_actions(account, records, {}, deliver_unchanged=False)
            if stage >= ENGINE.index("BSON documents"):
                made += len(encoded_actions(outcome.actions, now)[0])
    return made


def bare(stage: int, pages: Path) -> int:
    """The same without the library."""
    import bson
    import orjson

    _, contents = pickle.loads(pages.read_bytes())
    made = 0
    for batch in batches(contents) if stage else ():
        rows = [row for content in batch for row in orjson.loads(content)["results"]]
        if stage >= BARE.index("BSON documents"):
            for row in rows:
                made += bool(bson.encode(workloads.document(row)))
    return made


def batches(contents: list[bytes]) -> list[list[bytes]]:
    """What is processed together."""
    return [contents[at : at + BATCH_PAGES] for at in range(0, len(contents), BATCH_PAGES)]


if __name__ == "__main__":
    main()
