"""Reads pages of the list that are built like the one before them, column by column.

HubSpot sends the same properties with each row. Once a page was read by `Subject.records`, which
takes rows of any shape, types are generated from its keys, and msgspec decodes the next pages into
them. A page that does not fit in every respect, in a further key, in a value that is no text or in
half a surrogate pair, is not read here at all: it goes the first way, and both ways come to the
same records.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from attrs import frozen
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, astuple

from hubspot_sync._hubspot.records.associations import NO_KEYS, PageKeys, edges_of
from hubspot_sync._hubspot.records.values import (
    MISFITS,
    to_instant,
    to_instants,
    to_integers,
    to_number,
)
from hubspot_sync.models import Record, cursor_field
from hubspot_sync.models.properties import DATES_OF_CHANGE, Properties, comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from hubspot_sync._hubspot.records.values import Conversion, Reading
    from hubspot_sync.models import Association, Value

    Texts: TypeAlias = Sequence[str | None]

_CREATED: Final = "createdate"
# As many pages in a row that do not fit are no exceptions, and decoding twice costs more.
_MOST_MISFITS: Final = 8
# Of values that repeat; a few megabytes at most.
_REMEMBERED: Final = 4_096
_LONGEST_REMEMBERED: Final = 40
_Id = Annotated[str, Meta(min_length=1, max_length=64)]
_Text = Annotated[str, Meta(min_length=1)]


class _Next(Struct, gc=False):
    after: _Text


class _Paging(Struct, gc=False):
    next: _Next | None = None


class _Edge(Struct, gc=False):
    id: str
    type: str


class _Block(Struct, gc=False):
    results: list[_Edge]
    paging: msgspec.Raw | UnsetType = UNSET


@frozen
class ReadPage:
    """A page of the list whose rows are records, all of them.

    Attributes:
        records: The records.
        ids: Their ids as numbers, in the order they came.
        after: The paging value of the next page, or None on the last one.
    """

    records: tuple[Record, ...]
    ids: tuple[int, ...]
    after: str | None


class LayoutReader:
    """Reads pages of one object type by the layout of earlier ones; threads may share it.

    Args:
        object_type: What the rows are.
        convert: How the values are converted.
    """

    def __init__(self, object_type: str, convert: Conversion) -> None:
        self._object_type = object_type
        self._convert = convert
        self._memories: dict[Reading | None, _Memory] = {}
        self._names: tuple[str, ...] = ()
        self._keys = NO_KEYS
        self._layout: _Layout | None = None
        self._misfits = 0

    def learn(self, rows: Sequence[Any], keys: PageKeys) -> None:
        """Expect further pages to be like the one with *rows*, which was read in the other way."""
        sent = rows[0].get("properties") if rows else None
        if isinstance(sent, dict):
            self._names = tuple(sent)
            self._keys = PageKeys({**self._keys.names, **keys.names}, keys.silent)
            self._layout = None

    def read(self, content: bytes) -> ReadPage | None:
        """The records of a page; None where it has to be read in the other way."""
        if not self._names or self._misfits >= _MOST_MISFITS:
            return None
        try:
            layout = self._layout
            if layout is None:  # only now, so that a list of one page costs no types
                layout = self._layout = self._made(self._names, self._keys)
            page = layout.read(content)
        except (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, RuntimeError):
            page = None
        self._misfits = self._misfits + 1 if page is None else 0
        return page

    def _made(self, names: Sequence[str], keys: PageKeys) -> _Layout:
        columns: list[_Column] = []
        for name in names:
            reading = self._convert.reading_of(name)
            memory = self._memories.setdefault(reading, _Memory(reading))
            columns.append(_Column(name, reading, memory))
        return _Layout(self._object_type, columns, keys)


class _Memory(dict[str | None, tuple[Any, Any]]):
    """What values the texts are, and what is compared of these."""

    def __init__(self, reading: Reading | None) -> None:
        super().__init__()
        self._reading = reading

    def __missing__(self, text: str | None) -> tuple[Value, Any]:
        value = self._reading(text) if text and self._reading else None
        pair = value, comparable(value)
        if text is None or len(text) <= _LONGEST_REMEMBERED:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[text] = pair
        return pair


@frozen
class _Column:
    """One property of all rows of a page.

    Attributes:
        name: Its name.
        reading: How its text is read; None where it is text anyway.
        memory: Remembers what was read of values that repeat.
    """

    name: str
    reading: Reading | None
    memory: _Memory

    def values(self, texts: Texts, misfits: list[tuple[int, str]]) -> tuple[Iterable[Any], ...]:
        """The values of *texts*, and what is compared of them.

        Args:
            texts: What HubSpot sent.
            misfits: Takes the rows in which the value is none of its type.
        """
        if self.reading is None:
            values: Iterable[Value] = [text or None for text in texts] if "" in texts else texts
            return values, values
        present = [text for text in texts if text]
        try:
            if self.reading is to_instant:
                return self._instants(to_instants(present), texts, present)
            if self.reading is to_number and (integers := to_integers(present)) is not None:
                values = _spread(integers, texts, present)
                return values, values
            return tuple(zip(*map(self.memory.__getitem__, texts), strict=True))
        except MISFITS:
            values = list(self._one_by_one(self.reading, texts, misfits))
            return values, [comparable(value) for value in values]

    def _instants(
        self, instants: list[datetime], texts: Texts, present: Sequence[str]
    ) -> tuple[Iterable[Any], Iterable[Any]]:
        values = _spread(instants, texts, present)
        if self.name in DATES_OF_CHANGE:
            return values, values
        # Exact: a float has room for the milliseconds of ten thousand years.
        stamps = [{"instant": round(one * 1_000)} for one in map(datetime.timestamp, instants)]
        return values, _spread(stamps, texts, present)

    def _one_by_one(
        self, reading: Reading, texts: Texts, misfits: list[tuple[int, str]]
    ) -> Iterator[Value]:
        for row, text in enumerate(texts):
            try:
                yield reading(text) if text else None
            except MISFITS:
                misfits.append((row, self.name))
                yield text


def _spread(found: list[Any], texts: Texts, present: Sequence[str]) -> list[Any]:
    """What was *found* of the texts that are *present*, with None for the others."""
    if len(present) == len(texts):
        return found
    following = iter(found).__next__
    return [following() if text else None for text in texts]


class _Layout:
    """The types of one page, and what makes records of it.

    Args:
        object_type: What the rows are.
        columns: The properties, in the order in which HubSpot sends them.
        keys: What the keys of inline associations mean.

    Raises:
        ValueError: There are no such types.
        TypeError: Likewise.
    """

    def __init__(self, object_type: str, columns: Sequence[_Column], keys: PageKeys) -> None:
        self._object_type = object_type
        self._columns = columns
        self._names = [column.name for column in columns]
        self._as_dict = _dict_maker(self._names)
        self._cursor = self._names.index(cursor_field(object_type))
        self._created = self._names.index(_CREATED) if _CREATED in self._names else None
        self._none: dict[str, tuple[Association, ...]] = dict.fromkeys(keys.silent, ())
        if len(set(keys.names.values())) != len(keys.names):
            raise ValueError("two keys for associations of one kind")
        self._blocks = [(_field(at), name) for at, name in enumerate(keys.names.values())]
        compared = sorted(set(self._names) - DATES_OF_CHANGE)
        self._compared = [self._names.index(name) for name in compared]
        self._comparable = _struct("Comparable", compared, Any, None)
        self._decode = msgspec.json.Decoder(_page_type(self._names, list(keys.names))).decode

    def read(self, content: bytes) -> ReadPage | None:
        """The records of the page; None where one of its rows is no such row.

        Raises:
            ValueError: It is another page; also for a `RecursionError` or a value that is none.
        """
        page = self._decode(content)
        ids = [row.id for row in page.results]
        digits = "".join(ids)
        if ids and not (digits.isascii() and digits.isdigit()):
            return None
        after = page.paging.next.after if page.paging and page.paging.next else None
        return ReadPage(tuple(self._records(page.results, ids)), tuple(map(int, ids)), after)

    def _records(self, rows: Sequence[Any], ids: Sequence[str]) -> Iterator[Record]:
        if not rows:
            return
        as_dict = self._as_dict
        texts = list(zip(*(astuple(row.properties) for row in rows), strict=True))
        misfits: list[tuple[int, str]] = []
        pairs = [
            column.values(column_texts, misfits)
            for column, column_texts in zip(self._columns, texts, strict=True)
        ]
        values = [pair[0] for pair in pairs]
        compared = [pairs[at][1] for at in self._compared]
        changed = [text or row.updated for text, row in zip(texts[self._cursor], rows, strict=True)]
        unconverted = [()] * len(rows) if not misfits else _by_row(misfits, len(rows))
        found = zip(
            rows,
            ids,
            zip(*values, strict=True),
            zip(*compared, strict=True) if compared else [()] * len(rows),
            self._instants([row.created for row in rows], self._created, texts, values),
            self._instants(changed, self._cursor, texts, values),
            unconverted,
            strict=True,
        )
        for row, object_id, held, what_counts, created_at, modified_at, kept_as_text in found:
            properties = Properties(as_dict(held))
            properties.comparable = self._comparable(*what_counts)
            yield Record(
                object_type=self._object_type,
                object_id=object_id,
                properties=properties,
                created_at=created_at,
                modified_at=modified_at,
                associations=self._associations(row.associations),
                unconverted=kept_as_text,
            )

    def _instants(
        self,
        sent: Texts,
        column: int | None,
        texts: Sequence[Texts],
        values: Sequence[Iterable[Value]],
    ) -> Iterable[Any]:
        """The instants that *sent* are; those of a column where it has the very same."""
        if column is not None and self._columns[column].reading is to_instant:
            found = values[column]
            if list(texts[column]) == sent and set(map(type, found)) == {datetime}:
                return found
        return [_instant(text) for text in sent]

    def _associations(self, blocks: Any) -> dict[str, tuple[Association, ...]]:
        """As `read_inline` reads them: what is not whole has no key."""
        found = self._none.copy()
        if blocks is None:
            return found
        for field, name in self._blocks:
            block = getattr(blocks, field)
            if block is UNSET:
                continue
            results = block.results
            edges = edges_of([edge.id for edge in results], [edge.type for edge in results])
            if edges is None or block.paging is not UNSET:
                found.pop(name, None)
            else:
                found[name] = edges
        return found


def _by_row(misfits: Iterable[tuple[int, str]], rows: int) -> list[tuple[str, ...]]:
    names: list[tuple[str, ...]] = [()] * rows
    for row, name in misfits:
        names[row] += (name,)
    return names


def _instant(text: str | None) -> datetime:
    if not text:
        raise ValueError("it has no date of creation or change")
    return to_instant(text)


def _page_type(names: Sequence[str], keys: Sequence[str]) -> Any:
    row = msgspec.defstruct(
        "Row",
        [
            ("id", _Id),
            ("properties", _struct("Sent", names, str | None)),
            ("created", _Text),
            ("updated", str | None, None),
            ("associations", _struct("Blocks", keys, _Block | UnsetType, UNSET) | None, None),
        ],
        rename={"created": "createdAt", "updated": "updatedAt"},
        gc=False,
    )
    return msgspec.defstruct(
        "Page",
        [
            ("results", list[row]),  # type: ignore[valid-type]  # made just now
            ("paging", _Paging | None, None),
        ],
    )


def _field(place: int) -> str:
    """What an attribute is called whose name in JSON may be any."""
    return f"f{place}"


def _dict_maker(names: Sequence[str]) -> Callable[[Sequence[Value]], dict[str, Value]]:
    """What makes a dictionary of values in the order of *names*; by way of a structure if it can.

    Pairs of names and values would take half as long again.
    """
    if not all(name.isidentifier() and not name.startswith("__") for name in names):
        return lambda values: dict(zip(names, values, strict=True))
    structure = msgspec.defstruct("Values", [(name, Any) for name in names], gc=False)
    return lambda values: asdict(structure(*values))


def _struct(kind: str, names: Sequence[str], of: Any, *default: Any) -> Any:
    """A type with these *names* and no others; fields have names of their own, those may be any."""
    fields: Mapping[str, str] = {_field(place): name for place, name in enumerate(names)}
    return msgspec.defstruct(
        kind,
        [(one, of, *default) for one in fields],
        rename=fields,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,
    )
