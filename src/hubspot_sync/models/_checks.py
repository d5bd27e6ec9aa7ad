"""Checks that several models share; each turns a wrong value into a `ConfigurationError`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from functools import wraps
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, TypeGuard, TypeVar, cast
from urllib.parse import urlsplit

from attrs import Attribute

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models._display import AsDict

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NUMBER = re.compile("0|[1-9][0-9]*")
# A pipeline or a property, with the object type that it belongs to: "deals.default".
_ITEM = re.compile(r"[A-Za-z0-9_-]+\.[!-~]+")
_SENDABLE = re.compile("[!-~](?:[ -~]*[!-~])?")
_CENTURY: Final = timedelta(days=36_525)
_LONGEST_ID: Final = 20
_LONGEST_KEY: Final = 200
_LONGEST_NAME: Final = 500
_LONGEST_REMARK: Final = 1_000
_LONGEST_SHOWN: Final = 1_000


def hides_arguments(model: type[T]) -> type[T]:
    """Let no argument of *model* show among the local variables when one is refused.

    Collectors of errors take them along from every frame of a traceback.
    """
    construct = model.__init__

    @wraps(construct)
    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807 - in its place
        try:
            construct(self, *arguments, **named)
        except (ConfigurationError, TypeError) as error:
            refused = error.with_traceback(None)
        else:
            return
        del self, arguments, named
        raise refused

    model.__init__ = __init__  # type: ignore[method-assign]
    return model


def to_milliseconds(instant: datetime) -> int:
    """Whole milliseconds since 1970 in UTC, as HubSpot's filters take them; rounds down."""
    since = instant - EPOCH
    # Dividing by a timedelta would take three times as long.
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


def from_milliseconds(milliseconds: int) -> datetime:
    """The aware UTC instant of *milliseconds* since 1970."""
    return EPOCH + timedelta(milliseconds=milliseconds)


class Check:
    """What a value has to be: of a field, as an attrs validator, and of an argument, by `of`.

    Args:
        holds: Whether a value is that.
        wanted: What to give, in words.
        shown: Whether the message repeats the value; else it says what kind of thing it is.
    """

    def __init__(self, holds: Callable[[Any], bool], wanted: str, *, shown: bool = True) -> None:
        self._holds = holds
        self._wanted = wanted
        self._shown = shown

    def __call__(self, instance: Any, attribute: Attribute[Any], value: object) -> None:
        """Validate the field of an attrs class."""
        self.of(f"{type(instance).__name__}.{attribute.name}", value)

    def of(self, name: str, value: object) -> None:
        """Refuse *value*, which was given as *name*, if it is something else.

        Raises:
            ConfigurationError: It is.
        """
        if not self._holds(value):
            what = shown(value) if self._shown else kind_of(value)
            raise ConfigurationError(f"{name} is {what}; give {self._wanted}")


class _Maybe(Check):
    """What may be left out."""

    def __init__(self, check: Check) -> None:
        self._check = check

    def __call__(self, instance: Any, attribute: Attribute[Any], value: object) -> None:
        """Validate the field of an attrs class, if it is not None."""
        if value is not None:
            self._check(instance, attribute, value)

    def of(self, name: str, value: object) -> None:
        """Refuse what is neither None nor what the check wants."""
        if value is not None:
            self._check.of(name, value)


def maybe(check: Check) -> Check:
    """None, or what *check* wants."""
    return _Maybe(check)


def shown(value: object) -> str:
    """The value as it would be written, unless that is long or fails: then what it is."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - whatever a stranger's class does
        return kind_of(value)
    return text if len(text) <= _LONGEST_SHOWN else kind_of(value)


def kind_of(value: object) -> str:
    """What kind of thing it is, and never its value, which may be a secret."""
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    return with_article(type(value))


def with_article(kind: type) -> str:
    """The name of a class, as one says it."""
    return f"{'an' if kind.__name__[0] in 'AEIOaeio' else 'a'} {kind.__name__}"


def is_list(value: object) -> TypeGuard[Iterable[Any]]:
    """Whether it is a row of things: no text, and nothing made of names and values."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping, AsDict))


def optional_names(values: Iterable[str] | None) -> tuple[str, ...] | None:
    """Convert a list of names, where there is one: each once, in their order."""
    if isinstance(values, str):
        raise ConfigurationError(
            f"a list of names was expected, not the single text {shown(values)}; write "
            f"({shown(values)},)"
        )
    if values is None:
        return None
    if not is_list(values):
        raise ConfigurationError(f"a list of names was expected, not {shown(values)}")
    given = tuple(values)
    for name in given:
        if not _is_name(name):
            raise ConfigurationError(f"a list of names was expected, and {shown(name)} is none")
    return tuple(dict.fromkeys(given))


def names(values: Iterable[str] | None) -> tuple[str, ...]:
    """Convert a list of names; where there is none, it is empty."""
    return optional_names(values) or ()


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= _LONGEST_NAME and _storable(value)


def digits(value: object) -> object:
    """Convert an id that is given as a number; what is no such number stays as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_LONGEST_ID:
        return str(value)
    return value


class _Digits(Check):
    """An id of HubSpot's: digits, as text; with zeros before them it would be another."""

    def __init__(self) -> None:
        super().__init__(_is_digits, 'a HubSpot id as text, such as "62515"')

    def of(self, name: str, value: object) -> None:
        """Refuse what is none; of an account it says how its id is written."""
        if not isinstance(value, type) and hasattr(value, "account_id"):
            raise ConfigurationError(
                f"{name} is {kind_of(value)}; give a HubSpot id as text, which is its account_id, "
                "and what else is to be known of it, such as streams=..., by name"
            )
        super().of(name, value)


def _is_digits(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_ID and bool(_NUMBER.fullmatch(value))


def _is_item(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_KEY and bool(_ITEM.fullmatch(value))


is_digits = _Digits()
_is_object_id = Check(_is_digits, 'the HubSpot id of an object, as text, such as "51"')


def ids_of(name: str, given: Iterable[object] | object) -> tuple[str, ...]:
    """Return the ids of objects that *name* has, each once; one may be given alone.

    Raises:
        ConfigurationError: One of them is no id of HubSpot's, nor of an item of reference data.
    """
    ids = given if is_list(given) else (given,)
    return tuple(dict.fromkeys(id_of(f"{name} has an id that", one) for one in ids))


def id_of(name: str, given: object) -> str:
    """Return the id of an object that *name* is.

    Raises:
        ConfigurationError: It is no id of HubSpot's, nor of an item of reference data.
    """
    value = digits(given)
    if not _is_item(value):
        _is_object_id.of(name, value)
    return str(value)


is_instant = Check(
    lambda value: isinstance(value, datetime) and value.tzinfo is not None,
    "an aware datetime, such as datetime.now(timezone.utc); without a time zone it could be any",
)
is_text_key = Check(
    lambda value: isinstance(value, str) and 1 <= len(value) <= _LONGEST_KEY and _storable(value),
    "text of 1 to 200 characters without NUL",
)
is_text = Check(
    lambda value: isinstance(value, str),
    "one text, such as request.query_params.get(...)",
    shown=False,
)
is_remark = Check(
    lambda value: isinstance(value, str) and len(value) <= _LONGEST_REMARK and _storable(value),
    "text of at most 1,000 characters without NUL",
)


def stripped(value: str) -> str:
    """Convert text that was copied with spaces around it; what is no text stays as it is."""
    return value.strip() if isinstance(value, str) else value


def can_be_sent(value: object) -> TypeGuard[str]:
    """Whether *value* can be a credential: printable ASCII, and something."""
    return isinstance(value, str) and _SENDABLE.fullmatch(value) is not None


def is_credential(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate what is sent as a credential; the message names it and does not repeat it."""
    name = f"{type(instance).__name__}.{attribute.name}"
    if not can_be_sent(value):
        raise ConfigurationError(
            f"{name} is empty, is no text, or has characters that cannot be sent; copy it again "
            "from HubSpot"
        )
    if value.lower().split(maxsplit=1)[0] == "bearer":
        raise ConfigurationError(f"{name} begins with 'Bearer '; give what comes after it alone")


def is_access_token(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate what a person copied: one word."""
    is_credential(instance, attribute, value)
    if " " in str(value):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} has a space in it; copy it again from "
            "HubSpot"
        )


def is_url(*, such_as: str, query: bool = True, safe: bool = False) -> Callable[..., None]:
    """Validate an address of the web, with a query or not; *such_as* is one that would do.

    A *safe* one is https unless it stays on this machine: access tokens go there.
    """

    def check(instance: Any, attribute: Attribute[Any], value: object) -> None:
        name = f"{type(instance).__name__}.{attribute.name}"
        if not _is_url(value, query=query):
            # What is before an @ may be a password.
            told = "has an @ in it" if "@" in str(value) else f"is {value!r}"
            raise ConfigurationError(f"{name} {told}; give a URL, such as {such_as!r}")
        if safe and urlsplit(str(value)).scheme != "https" and not _is_local(str(value)):
            raise ConfigurationError(
                f"{name} is {value!r}, to which access tokens would go unencrypted; give one with "
                f"https, such as {such_as!r}"
            )

    return check


def _is_url(value: object, *, query: bool) -> bool:
    if not isinstance(value, str) or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
        usable = parts.port != 0  # asking for the port is what checks it
    except ValueError:
        return False
    known = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    return usable and known and (query or not (parts.query or parts.fragment or " " in value))


def _is_local(url: str) -> bool:
    """Whether *url* is on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_proxy(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate the address of a proxy; the message does not repeat it: it may hold a password."""
    scheme, _, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    place = rest.rpartition("@")[2].removesuffix("/")
    if not _is_url(f"{scheme}://{place}", query=False) or "/" in place:
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is no address of an HTTP proxy; give one "
            "such as 'http://proxy.example:3128' or 'http://user:password@proxy.example:3128'"
        )


def without_user(url: str | None) -> str:
    """The repr of *url* without what is before its @, which is a secret."""
    if url is None or "@" not in url:
        return repr(url)
    return repr(f"{url.partition('://')[0]}://[hidden]@{url.rpartition('@')[2]}")


def is_ca_file(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate a file, or a folder, with certificates of authorities."""
    try:
        load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cast("str", value))
    except (OSError, ValueError, TypeError):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give a file with the "
            "certificates of the authorities to trust, in PEM"
        ) from None


def load_authorities(context: ssl.SSLContext, path: str) -> None:
    """Let *context* trust the authorities in the file, or folder, *path*.

    Raises:
        OSError: There are none that can be read.
    """
    if Path(path).is_dir():
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


def is_whole(least: int, most: int | None = None) -> Check:
    """A whole number; True and False are numbers to Python, but to nobody who writes settings."""
    return Check(
        lambda value: (
            isinstance(value, int)
            and not isinstance(value, bool)
            and least <= value
            and (most is None or value <= most)
        ),
        f"a whole number from {least} on" + (f", at most {most:,}" if most is not None else ""),
    )


class _Duration(Check):
    """A duration; a bare number does not say of what."""

    def __init__(
        self,
        *,
        above_zero: bool,
        longest: timedelta = timedelta.max,
        written: Callable[[object], str] = repr,
    ) -> None:
        super().__init__(
            lambda value: isinstance(value, timedelta), "a timedelta, such as timedelta(minutes=5)"
        )
        self._above_zero = above_zero
        self._longest = longest
        self._written = written

    def of(self, name: str, value: object) -> None:
        """Refuse what is none, and what is too short or too long."""
        super().of(name, value)
        if isinstance(value, timedelta) and (problem := self._problem(value)) is not None:
            raise ConfigurationError(f"{name} is {self._written(value)}; it {problem}")

    def _problem(self, value: timedelta) -> str | None:
        if self._above_zero and value == timedelta(0):
            return "has to be above zero"
        if value < timedelta(0):
            return "cannot be below zero"
        return "cannot be longer than a century" if value > self._longest else None


is_aware = maybe(is_instant)
is_positive = is_whole(1)
is_not_negative = is_whole(0)
is_duration = _Duration(above_zero=False)
is_positive_duration = _Duration(above_zero=True)
# What is added to the present time, or handed to the system, as it is.
is_number = is_whole(1, 2**53)
is_delay = _Duration(above_zero=False, longest=_CENTURY, written=str)
is_positive_delay = _Duration(above_zero=True, longest=_CENTURY, written=str)
is_share = Check(
    lambda value: (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
    ),
    "a share from 0.0 to 1.0",
)
# A text such as "no" would count as a yes.
is_choice = Check(lambda value: isinstance(value, bool), "True or False")


def is_kind(kind: type, *, such_as: str = "") -> Check:
    """An object of that class; *such_as* says how one is made."""
    example = f", such as {such_as}" if such_as else ""
    return Check(
        lambda value: isinstance(value, kind), f"{with_article(kind)}{example}", shown=False
    )


def or_none(check: Callable[[Any, Attribute[Any], Any], None]) -> Callable[..., None]:
    """Validate by *check* what is not None."""

    def checked(instance: Any, attribute: Attribute[Any], value: object) -> None:
        if value is not None:
            check(instance, attribute, value)

    return checked


def _storable(text: str) -> bool:
    """Whether every store can keep *text* in a key: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
