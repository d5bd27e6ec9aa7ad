"""Rules of the engine that its code has to keep: who commits, and how a store is asked."""

import ast
from pathlib import Path

import hubspot_sync

ENGINE = Path(hubspot_sync.__file__).parent / "_engine"
STORES = {"checkpointer", "sink", "error_queue", "queue", "store"}
# A queue of batches and one of accounts, which are no stores.
NO_STORES = {("stream/pipeline.py", "queue"), ("fleet/workers.py", "queue")}
METHODS = {
    *("acquire", "renew", "release", "load", "recall", "commit"),
    *("write", "put", "due", "browse", "held", "settle", "count"),
    *("save", "delete", "domains", "accounts"),
}


def modules():
    for path in sorted(ENGINE.rglob("*.py")):
        yield path.relative_to(ENGINE).as_posix(), path.read_text("utf-8")


def name_of(node):
    """The last part of a dotted name, without leading underscores."""
    last = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return last.lstrip("_")


def calls(tree):
    """Calls of methods, each as the owner's name, the method's name and the node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield name_of(node.func.value), node.func.attr, node


def lines_with(owner, method):
    return [
        f"{name}:{node.lineno}"
        for name, text in modules()
        for found, called, node in calls(ast.parse(text))
        if (found, called) == (owner, method)
    ]


def rooms(lines):
    return [line.partition(":")[0] for line in lines]


def test_one_line_commits_a_checkpoint():
    """Only with the lease in hand: for a batch, a tombstone, a mark, or a wrong clock put right.

    So it is for what a killed run announced. A pass that looked for something notes how far it is.
    """
    assert rooms(lines_with("checkpointer", "commit")) == ["stream/lease.py"]
    assert rooms(lines_with("progress", "commit")) == [
        "stream/delivery.py",
        "stream/erasure.py",
        "stream/marks.py",
        "stream/session.py",
        "stream/session.py",
    ]
    assert rooms(lines_with("progress", "note")) == [
        "stream/archived.py",
        "stream/associations.py",
        "stream/gone.py",
        "stream/session.py",
        "stream/session.py",
    ]


def test_one_line_writes_to_the_sink():
    """Fresh actions and those that were rejected before go the same way."""
    assert rooms(lines_with("sink", "write")) == ["stream/delivery.py"]


def test_a_store_is_asked_through_the_context_alone():
    """So each question is repeated while the store is away, and ends with the run."""
    asked, outside = 0, []
    for name, text in modules():
        tree = ast.parse(text)
        through = {
            id(inner)
            for _, method, call in calls(tree)
            if method.lstrip("_") in ("call", "ask")
            for argument in call.args
            if isinstance(argument, ast.Lambda)
            for inner in ast.walk(argument)
        }
        for owner, method, node in calls(tree):
            if owner in STORES and method in METHODS and (name, owner) not in NO_STORES:
                asked += 1
                if id(node) not in through:
                    outside.append(f"{name}:{node.lineno} {owner}.{method}")

    assert asked > 15, "the test knows where the stores are"
    assert outside == []


def test_services_travel_by_name():
    """And not in a dictionary, whose values nothing checks."""
    handed_on = {name for name, text in modules() if "context: RunContext" in text}
    assert {"stream/session.py", "account/run.py", "fleet/fleet.py"} <= handed_on
    assert [name for name, text in modules() if "-> dict[str, Any]" in text] == []
