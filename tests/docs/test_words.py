"""Plain English: one word for one idea, and no metaphor where there is a name.

A word is refused in code, comments, messages, tests and docs, in any case, and as a part of a name.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each with what to write in its place.
REFUSED = {
    r"anew": "again",
    r"mend(s|ed|ing)?": "fix",
    r"thief|thieves|robber\w*|victims?": "say who takes what: lower and upper, old and new",
    r"shops?|buy(s|ing)?|bought|sells?|selling|sold|owe[sd]?": "refresh, exchange, issue",
    r"in vain": "without success, for nothing",
    r"at hand": "given, there",
}
WORD = re.compile(
    "|".join(rf"(?<![^\W_])(?:{pattern})(?![^\W_])" for pattern in REFUSED), re.IGNORECASE
)
PLACES = [
    ROOT / "Makefile",
    *ROOT.glob("*.md"),
    *ROOT.glob("*.toml"),
    *(
        file
        for folder in ("src", "docs", "examples", "benchmarks", "tests")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in {".md", ".py", ".toml", ".html"} and file != Path(__file__)
    ),
]


def refused(text):
    """The words of *text* that are refused, with their lines."""
    return [
        (number, found[0])
        for number, line in enumerate(text.splitlines(), start=1)
        for found in WORD.finditer(line)
    ]


def test_no_word_is_refused():
    """Write what stands beside the word in `REFUSED`."""
    found = [
        f"{file.relative_to(ROOT)}:{number}: {word!r}, better: {better(word)}"
        for file in PLACES
        for number, word in refused(file.read_text("utf-8"))
    ]

    assert len(PLACES) > 300
    assert found == [], "\n".join(["refused words:", *found])


def better(word):
    """What to write in the place of *word*."""
    return next(
        text for pattern, text in REFUSED.items() if re.fullmatch(pattern, word, re.IGNORECASE)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Decide anew.", ["anew"]),
        ("def _bought_tokens(sold):", ["bought", "sold"]),
        ("No key At hand", ["At hand"]),
        ("what the hand reaches; solder, amend, workshop, renewal", []),
    ],
)
def test_words_are_found_in_sentences_and_names(text, words):
    """And not inside of others."""
    assert [word for _, word in refused(text)] == words
