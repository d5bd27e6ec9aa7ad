"""Prints how large the house is, its largest files and its longest functions.

A report and no limit: an idea is not cut in halves because of its length.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 12


def main() -> None:
    """Three tables."""
    files = {
        file.relative_to(ROOT): file.read_text("utf-8")
        for folder in ("src", "tests", "examples", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
    }
    rooms: dict[str, list[int]] = {}
    for file, text in files.items():
        depth = 4 if file.parts[0] == "src" else 2
        room = "/".join(file.parts[:depth] if len(file.parts) > depth else file.parts[: depth - 1])
        rooms.setdefault(room, []).append(lines_of(text))
    show("Rooms", ((sum(sizes), f"{room}  ({len(sizes)} files)") for room, sizes in rooms.items()))
    show("Files", ((lines_of(text), str(file)) for file, text in files.items()))
    show("Functions", (one for file, text in files.items() for one in functions(file, text)))


def lines_of(text: str) -> int:
    """How many lines it has."""
    return text.count("\n")


def functions(file, text):
    """The functions of a file outside of the tests, with their lengths, docstrings included."""
    if file.parts[0] == "tests":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield length, f"{file}:{node.lineno} {node.name}"


def show(title, sizes):
    """The largest ones."""
    ranked = sorted(sizes, reverse=True)
    print(f"{title}, {sum(size for size, _ in ranked):,} lines in all")
    for size, name in ranked[: None if title == "Rooms" else SHOWN]:
        print(f"  {size:6,}  {name}")


if __name__ == "__main__":
    main()
