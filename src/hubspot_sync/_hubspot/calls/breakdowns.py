"""What it means that a call got no answer: the one place where foreign exceptions become ours.

They come from the official client, urllib3, http.client, ssl, zlib and the sockets.
"""

from __future__ import annotations

import http.client
import re
import ssl
import zlib
from typing import TYPE_CHECKING, Final

from urllib3 import exceptions

from hubspot_sync.errors import ConfigurationError, HubSpotSyncError, HubSpotUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROXY_WANTS_CREDENTIALS: Final = "407"
_TUNNEL_REFUSED: Final = re.compile(r"Tunnel connection failed: (\d{3})")
_NOWHERE: Final = (
    exceptions.LocationValueError,
    exceptions.URLSchemeUnknown,
    http.client.InvalidURL,
    UnicodeError,
)
# The first that fits counts.
_WORDS: Final[dict[type[BaseException], str]] = {
    exceptions.NameResolutionError: "its name cannot be resolved",
    exceptions.NewConnectionError: "the connection was refused",
    exceptions.ConnectTimeoutError: "the connection timed out",
    exceptions.TimeoutError: "the answer timed out",
    TimeoutError: "the answer timed out",
    exceptions.IncompleteRead: "the answer was cut off",
    http.client.IncompleteRead: "the answer was cut off",
    exceptions.DecodeError: "the answer cannot be decompressed",
    zlib.error: "the answer cannot be decompressed",
    http.client.HTTPException: "the answer is no HTTP",
    exceptions.HTTPError: "the connection broke",
    OSError: "the connection broke",
    MemoryError: "there was no memory for the answer",
}


def breakdown(error: BaseException, place: str, proxy: str | None) -> HubSpotSyncError:
    """The error of ours that *error* stands for.

    It is to be raised where *error* is no longer handled: as a cause, or a context, it would show
    the header with the access token among its local variables.

    Args:
        error: What the call raised.
        place: Host and port that the call was for.
        proxy: Host and port of the proxy that it went through, or None.
    """
    chain = list(_chain(error))
    if proxy is not None:
        refused = [match[1] for one in chain if (match := _TUNNEL_REFUSED.search(str(one)))]
        if refused:
            return _refused_by_proxy(proxy, place, refused[0])
    unsafe = _unsafe(chain)
    through = [one for one in chain if isinstance(one, exceptions.ProxyError)]
    if unsafe is not None:
        return _no_safe_connection(unsafe, proxy if through and proxy else place)
    if isinstance(error, (exceptions.ProxySchemeUnknown, exceptions.ProxySchemeUnsupported)):
        return ConfigurationError("the proxy's address leads nowhere; correct proxy")
    if any(isinstance(one, _NOWHERE) for one in chain):
        return ConfigurationError(f"the base URL leads nowhere: {place!r}; correct base_url")
    if through and proxy:
        return HubSpotUnavailableError(
            f"no answer from the proxy {proxy}: {_words(chain)}; check proxy and the network if "
            "this lasts"
        )
    return HubSpotUnavailableError(
        f"no answer from HubSpot at {place}: {_words(chain)}; check the network and the base URL "
        "if this lasts"
    )


def refused_by_proxy(proxy: str | None) -> ConfigurationError:
    """The error for a proxy that does not know who asks."""
    return ConfigurationError(
        f"the proxy {proxy or 'in front of HubSpot'} wants other credentials (HTTP "
        f"{_PROXY_WANTS_CREDENTIALS}); give HubSpotSettings(proxy='http://user:password@host:port')"
    )


def _refused_by_proxy(proxy: str, place: str, status: str) -> HubSpotSyncError:
    if status == _PROXY_WANTS_CREDENTIALS:
        return refused_by_proxy(proxy)
    return HubSpotUnavailableError(
        f"the proxy {proxy} made no connection to {place} (HTTP {status}); check proxy and the "
        "base URL if this lasts"
    )


def _no_safe_connection(error: BaseException, place: str) -> HubSpotUnavailableError:
    reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or "no reason"
    reason = " ".join(str(reason).split()).rstrip(".")
    return HubSpotUnavailableError(
        f"no safe connection to HubSpot could be made; check its certificate, that of {place}: "
        f"{reason}; where a proxy or an authority of your own signs it, give "
        "HubSpotSettings(ca_file=...)"
    )


def _unsafe(chain: list[BaseException]) -> BaseException | None:
    """What says why there is no safe connection, if that is what happened."""
    causes = [one for one in chain if isinstance(one, ssl.SSLError)]
    for kind in (ssl.SSLCertVerificationError, ssl.SSLError):
        for cause in causes:
            # A connection that ends without a word is a broken one, encrypted or not.
            if isinstance(cause, kind) and not isinstance(cause, (ssl.SSLEOFError, TimeoutError)):
                return cause
    named = [one for one in chain if isinstance(one, exceptions.SSLError)]
    return named[0] if named and not causes else None


def _words(chain: list[BaseException]) -> str:
    """What happened, without the addresses of objects that urllib3 prints."""
    for kind, words in _WORDS.items():
        if any(isinstance(one, kind) for one in chain):
            return words
    return f"{type(chain[-1]).__name__} in the HTTP client"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """*error* and what it came from, as far as that is foreign."""
    seen: set[int] = set()
    left: list[object] = [error]
    while left:
        one = left.pop(0)
        if not isinstance(one, BaseException) or isinstance(one, HubSpotSyncError):
            continue
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += [
            getattr(one, "reason", None),
            getattr(one, "original_error", None),
            *getattr(one, "args", ()),
            one.__cause__,
            one.__context__,
        ]
