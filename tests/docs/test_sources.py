"""What the emulator does can be looked up: each "HubSpot 1.2" is a section of `docs/hubspot.md`."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "hubspot.md"
CITATION = re.compile(r"HubSpot\s+(\d+(?:\.\d+)?)(?:(?:,| and| to|,\s+\d[\d.]* and)\s+(\d+\.\d+))?")


def cited() -> dict[str, str]:
    """The numbers that code, tests and docs cite, each with a file that does."""
    files = [
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "docs").rglob("*.md"),
    ]
    return {
        number: file.name
        for file in files
        for match in CITATION.finditer(file.read_text("utf-8"))
        for number in match.groups()
        if number
    }


def test_every_citation_leads_to_a_section():
    """Numbers are cited in many places, so a section keeps its number."""
    page = PAGE.read_text("utf-8")
    sections = set(re.findall(r"^#{2,3} (\d+(?:\.\d+)?) ", page, re.MULTILINE))

    numbers = cited()

    assert len(numbers) > 30
    assert {number: file for number, file in numbers.items() if number not in sections} == {}


def test_every_source_is_named_and_used():
    """A reference without an address would be shown in brackets; one that is not used is waste."""
    page = PAGE.read_text("utf-8")
    addresses = dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", page, re.MULTILINE))
    text = re.sub(r"^\[[^\]]+\]: .*$", "", page, flags=re.MULTILINE)
    used = {
        second or first
        for first, second in re.findall(r"\[([^\]]+)\](?!\()(?:\[([^\]]+)\])?", text)
    }

    assert used == set(addresses)
    assert [name for name, address in addresses.items() if not address.startswith("https://")] == []
