"""Sends one request through the official client's own transport and gives the raw answer."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlencode, urlsplit

import urllib3
from attrs import evolve, field, frozen
from urllib3.util.ssl_ import create_urllib3_context

from hubspot_sync._clock import StopRequested
from hubspot_sync._hubspot.calls.bodies import OK, Received, loads
from hubspot_sync._hubspot.calls.breakdowns import breakdown
from hubspot_sync._hubspot.calls.secrets import Mask, Secret
from hubspot_sync._hubspot.calls.sockets import Sockets, Waits, sockets_with
from hubspot_sync.errors import ConfigurationError, HubSpotSyncError, HubSpotUnavailableError
from hubspot_sync.models import HubSpotSettings
from hubspot_sync.models._checks import load_authorities

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

_CONNECTIONS: Final = 16


@frozen(kw_only=True)
class Answer:
    """An HTTP answer, whatever its status.

    Attributes:
        status: The HTTP status.
        headers: The headers, names in any case.
        content: The body, decompressed.
        base_url: For a refusal, where it came from if that is not HubSpot's own address.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    base_url: str | None = None

    @property
    def ok(self) -> bool:
        """Whether HubSpot did what it was asked for, were it in parts only (207)."""
        return self.status in OK

    def json(self) -> Any:
        """The decoded body.

        Raises:
            HubSpotUnavailableError: It is no JSON, as proxies in front of HubSpot may answer.
        """
        try:
            return loads(self.content)
        except ValueError:
            pass  # the error holds the body, which may hold tokens
        raise HubSpotUnavailableError(
            "HubSpot's answer is not JSON; a proxy may have cut in, so it is tried again",
            status=self.status,
        )


class Transport:
    """One connection pool to HubSpot; threads may share it.

    What leaves it has no foreign exception behind it, and no frame in which a secret is a
    variable.

    Args:
        settings: Base URL, proxy, certificates and time-outs.
        stop: Ends what is waited for, or never, where there is none.
    """

    def __init__(self, settings: HubSpotSettings, stop: threading.Event | None = None) -> None:
        # These modules are large, so they are imported when the first account is opened.
        from hubspot.crm.objects import ApiClient, Configuration  # noqa: PLC0415
        from hubspot.crm.objects.exceptions import ApiException  # noqa: PLC0415

        self._waits = Waits(settings.answer_timeout.total_seconds(), stop or threading.Event())
        self._client = ApiClient(Configuration(host=settings.base_url))
        self._client.rest_client.pool_manager = _pool_manager(settings, sockets_with(self._waits))
        self._client.user_agent = "hubspot-sync"
        self._api_exception: type[Exception] = ApiException
        own = settings.base_url == HubSpotSettings().base_url
        self._elsewhere = None if own else settings.base_url
        self._place = urlsplit(settings.base_url).netloc
        self._proxy = _place_of(settings.proxy)
        self._secrets = tuple(map(Secret, _proxy_secrets(settings.proxy)))
        self._timeout = (
            settings.connect_timeout.total_seconds(),
            settings.read_timeout.total_seconds(),
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        path_params: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        form: Sequence[tuple[str, str | Secret]] | None = None,
        access_token: Secret | None = None,
    ) -> Answer:
        """Make one call and read its answer to the end.

        A refusal that quotes a secret of the request is given without it: its words go into error
        messages.

        Raises:
            ConfigurationError: The base URL, or the proxy, leads nowhere.
            HubSpotUnavailableError: No whole answer came: no connection, a time-out, a cut.
            StopRequested: The run was stopped while it was waited for.
        """
        # Lists of names keep their commas: the URL is shorter, and urllib3 goes through it by
        # characters, four times.
        asked = f"{path}?{urlencode(query, safe=',')}" if query else path
        parts = {"path_params": dict(path_params or {}), "body": body}
        outcome = self._outcome(method, asked, parts, form, access_token)
        if not isinstance(outcome, Answer):
            raise outcome
        return outcome

    def _outcome(
        self,
        method: str,
        path: str,
        parts: Mapping[str, Any],
        form: Sequence[tuple[str, str | Secret]] | None,
        access_token: Secret | None,
    ) -> Answer | BaseException:
        """The answer, or what is to be raised instead by a function that knows no secret."""
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if access_token is not None:
            headers["Authorization"] = f"Bearer {access_token.reveal()}"
        try:
            answer = self._answer(
                path,
                method,
                **parts,
                header_params=headers,
                post_params=None if form is None else [(name, _plain(it)) for name, it in form],
            )
        except (HubSpotSyncError, StopRequested) as error:
            return _alone(error)
        except Exception as error:  # noqa: BLE001 - only foreign code runs in there
            return breakdown(error, self._place, self._proxy)
        except BaseException as error:  # noqa: BLE001 - such as KeyboardInterrupt, raised by `send`
            return _alone(error)
        if answer.ok:
            return answer
        secrets = [it for _, it in form or () if isinstance(it, Secret)]
        secrets += [*self._secrets, *([access_token] if access_token else [])]
        return evolve(_without(answer, secrets), base_url=self._elsewhere)

    def _answer(self, path: str, method: str, **parts: Any) -> Answer:
        """The answer as it came, whatever its status."""
        self._waits.begin()
        try:
            response: Received = self._client.call_api(
                path, method, **parts, _preload_content=False, _request_timeout=self._timeout
            )
        except self._api_exception as error:
            return _answer_in(error)
        except UnicodeDecodeError as error:
            # The client decodes the body of an error as UTF-8 while it raises it.
            if not isinstance(error.__context__, self._api_exception):
                raise
            return _answer_in(error.__context__)
        return Answer(status=response.status, headers=response.headers, content=response.data)

    def close(self) -> None:
        """Close the pool's connections."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()


def _pool_manager(settings: HubSpotSettings, sockets: Sockets) -> urllib3.PoolManager:
    """What keeps the connections, in place of the official client's own."""
    options: dict[str, Any] = {
        "maxsize": _CONNECTIONS,
        # The retry layer is ours; left unset, urllib3 would repeat broken calls three times.
        "retries": False,
    }
    addresses = (settings.base_url, settings.proxy or "")
    if any(address.startswith("https:") for address in addresses):
        options["ssl_context"] = _ssl_context(settings.ca_file, sockets)
    if settings.proxy is None:
        manager = urllib3.PoolManager(**options)
    else:
        manager = urllib3.ProxyManager(
            settings.proxy,
            proxy_headers=_proxy_headers(settings.proxy),
            proxy_ssl_context=options.get("ssl_context"),
            **options,
        )
    manager.pool_classes_by_scheme = sockets.pools
    return manager


def _ssl_context(ca_file: str | None, sockets: Sockets) -> ssl.SSLContext:
    """Whom to trust: the authorities in *ca_file*, or else those that OpenSSL finds."""
    context = create_urllib3_context()
    context.sslsocket_class = sockets.safe_socket
    if ca_file is None:
        context.load_default_certs()
        return context
    try:
        load_authorities(context, ca_file)
    except (OSError, ValueError):
        pass
    else:
        return context
    raise ConfigurationError(
        f"HubSpotSettings.ca_file is {ca_file!r}, which holds no certificates that can be read"
    )


def _proxy_headers(proxy: str) -> dict[str, str]:
    credentials = _proxy_credentials(proxy)
    if credentials is None:
        return {}
    encoded = base64.b64encode(credentials.encode()).decode()
    return {"Proxy-Authorization": f"Basic {encoded}"}


def _proxy_secrets(proxy: str | None) -> list[str]:
    credentials = _proxy_credentials(proxy or "")
    if credentials is None:
        return []
    encoded = base64.b64encode(credentials.encode()).decode()
    return [encoded, credentials.partition(":")[2]]


def _proxy_credentials(proxy: str) -> str | None:
    """User and password as the proxy wants them, with a colon between."""
    user, separator, _ = urlsplit(proxy).netloc.rpartition("@")
    return unquote(user) if separator else None


def _place_of(url: str | None) -> str | None:
    return urlsplit(url).netloc.rpartition("@")[2] if url else None


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _alone(error: BaseException) -> BaseException:
    """*error* without the frames that it went through, and what was handled in them."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _without(answer: Answer, secrets: Sequence[Secret]) -> Answer:
    """The answer with nothing of the *secrets* in its headers and its body."""
    mask = Mask(secret.reveal() for secret in secrets)
    headers = urllib3.HTTPHeaderDict()
    for name, value in answer.headers.items():
        headers.add(name, mask.words(value))
    return evolve(answer, headers=headers, content=mask.content(answer.content))


def _answer_in(error: Any) -> Answer:
    """The answer inside the official client's exception, which holds the body as text."""
    if not error.status:
        raise error
    body = error.body or b""
    content = body.encode("utf-8", "replace") if isinstance(body, str) else body
    return Answer(status=error.status, headers=error.headers or {}, content=content)
