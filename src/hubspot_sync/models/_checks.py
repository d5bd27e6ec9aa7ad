"""Checks that several models share; each turns a wrong value into a `ConfigurationError`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import wraps
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from hubspot_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeGuard

    from attrs import Attribute

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NUMBER = re.compile("0|[1-9][0-9]*")
_SENDABLE = re.compile("[!-~](?:[ -~]*[!-~])?")
_MILLISECOND = timedelta(milliseconds=1)


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
    return (instant - EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """The aware UTC instant of *milliseconds* since 1970."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def optional_names(values: Iterable[str] | None) -> tuple[str, ...] | None:
    """Convert a list of names, where there is one: each once, in their order."""
    if isinstance(values, str):
        raise ConfigurationError(
            f"a list of names was expected, not the single text {values!r}; write ({values!r},)"
        )
    if values is None:
        return None
    if not isinstance(values, Iterable):
        raise ConfigurationError(f"a list of names was expected, not {values!r}")
    given = tuple(values)
    for name in given:
        if not isinstance(name, str):
            raise ConfigurationError(f"a list of names was expected, and {name!r} is none")
    return tuple(dict.fromkeys(given))


def names(values: Iterable[str] | None) -> tuple[str, ...]:
    """Convert a list of names; where there is none, it is empty."""
    return optional_names(values) or ()


def is_aware(instance: Any, attribute: Attribute[Any], value: datetime | None) -> None:
    """Validate that an instant, where there is one, says its zone."""
    if value is not None and value.tzinfo is None:
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}, an instant without a time "
            "zone; give an aware datetime, such as datetime.now(timezone.utc)"
        )


def is_text_key(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate a name that becomes part of a key in a store: 1 to 200 storable characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= 200 or not _storable(value):  # noqa: PLR2004
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give text of 1 to 200 "
            "characters without NUL"
        )


def is_digits(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate an id of HubSpot's: digits, as text; with zeros before them it would be another."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give a HubSpot id as text, "
            'such as "62515"'
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
            f"{name} is empty, is no text, or has characters that cannot be sent; copy it anew "
            "from HubSpot"
        )
    if value.lower().split(maxsplit=1)[0] == "bearer":
        raise ConfigurationError(f"{name} begins with 'Bearer '; give what comes after it alone")


def is_access_token(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate what a person copied: one word."""
    is_credential(instance, attribute, value)
    if " " in str(value):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} has a space in it; copy it anew from "
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


def is_positive(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate a whole number from 1 on."""
    _is_whole(instance, attribute, value, least=1)


def is_not_negative(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate a whole number from 0 on."""
    _is_whole(instance, attribute, value, least=0)


def _is_whole(instance: Any, attribute: Attribute[Any], value: object, *, least: int) -> None:
    # True and False are numbers to Python, but to nobody who writes settings.
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give a whole number from "
            f"{least} on"
        )


def is_duration(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate a duration of zero or more; a bare number is none."""
    if not isinstance(value, timedelta):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give a timedelta, such as "
            "timedelta(minutes=5)"
        )
    if value < timedelta(0):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; it cannot be below zero"
        )


def is_positive_duration(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate a duration above zero."""
    is_duration(instance, attribute, value)
    if value == timedelta(0):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; it has to be above zero"
        )


def is_share(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate a part of a whole: 0.0 for nothing, 1.0 for all."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give a share from 0.0 to 1.0"
        )


def is_choice(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate a choice between two: a text such as "no" would count as a yes."""
    if not isinstance(value, bool):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give True or False"
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
