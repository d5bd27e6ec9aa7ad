"""Sends one request through the official client's own transport and gives the raw answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import urllib3
from attrs import evolve, field, frozen

from hubspot_sync._hubspot.deadline import pools_with_deadline
from hubspot_sync._hubspot.decoding import loads
from hubspot_sync.errors import ConfigurationError, HubSpotUnavailableError
from hubspot_sync.models import HubSpotSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CONNECTIONS: Final = 16
_OK: Final = range(200, 300)
_SECRETS_IN_FORMS: Final = frozenset({"client_secret", "code", "refresh_token", "token"})
_HIDDEN: Final = b"[hidden]"


@frozen(kw_only=True)
class Answer:
    """An HTTP answer, whatever its status.

    Attributes:
        status: The HTTP status.
        headers: The headers, names in any case.
        content: The body as it came.
        base_url: For a refusal, where it came from if that is not HubSpot's own address.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    base_url: str | None = None

    @property
    def ok(self) -> bool:
        """Whether HubSpot did what it was asked for, were it in parts only (207)."""
        return self.status in _OK

    def json(self) -> Any:
        """The decoded body.

        Raises:
            HubSpotUnavailableError: It is no JSON, as proxies in front of HubSpot may answer.
        """
        try:
            return loads(self.content)
        except ValueError as error:
            raise HubSpotUnavailableError(
                "HubSpot's answer is not JSON; a proxy may have cut in, so it is tried again",
                status=self.status,
            ) from error


class Transport:
    """One connection pool to HubSpot; threads may share it.

    Args:
        settings: Base URL and time-outs.
    """

    def __init__(self, settings: HubSpotSettings) -> None:
        # These modules are large, so they are imported when the first account is opened.
        from hubspot.crm.objects import ApiClient, Configuration  # noqa: PLC0415
        from hubspot.crm.objects.exceptions import ApiException  # noqa: PLC0415

        configuration = Configuration(host=settings.base_url)
        # The retry layer is ours; left unset, urllib3 would repeat broken calls three times.
        configuration.retries = False
        configuration.connection_pool_maxsize = _CONNECTIONS
        self._client = ApiClient(configuration)
        self._client.rest_client.pool_manager.pool_classes_by_scheme = pools_with_deadline(
            settings.answer_timeout.total_seconds()
        )
        self._client.user_agent = "hubspot-sync"
        self._api_exception: type[Exception] = ApiException
        own = settings.base_url == HubSpotSettings().base_url
        self._elsewhere = None if own else settings.base_url
        self._place = urlsplit(settings.base_url).netloc
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
        form: Sequence[tuple[str, str]] | None = None,
        access_token: str | None = None,
    ) -> Answer:
        """Make one call and read its answer to the end.

        A refusal that quotes a secret of the request is given without it: its words go into error
        messages.

        Raises:
            HubSpotUnavailableError: No whole answer came: no connection, a time-out, a cut.
        """
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if access_token is not None:
            headers["Authorization"] = f"Bearer {access_token}"
        # Lists of names keep their commas: the URL is shorter, and urllib3 goes through it by
        # characters, four times.
        asked = f"{path}?{urlencode(query, safe=',')}" if query else path
        answer = self._answer(
            asked,
            method,
            path_params=dict(path_params or {}),
            header_params=headers,
            body=body,
            post_params=list(form) if form is not None else None,
        )
        if answer.ok:
            return answer
        secrets = [value for name, value in form or () if name in _SECRETS_IN_FORMS]
        return evolve(_without(answer, [*secrets, access_token or ""]), base_url=self._elsewhere)

    def _answer(self, path: str, method: str, **parts: Any) -> Answer:
        """The answer as it came, whatever its status."""
        try:
            response = self._client.call_api(
                path, method, **parts, _preload_content=False, _request_timeout=self._timeout
            )
            return _read(response)
        except self._api_exception as error:
            return _answer_in(error)
        except UnicodeDecodeError as error:
            # The client decodes the body of an error as UTF-8 while it raises it.
            return _answer_in(error.__context__)
        except urllib3.exceptions.LocationValueError as error:
            raise ConfigurationError(
                f"the base URL leads nowhere: {self._place!r}; correct base_url"
            ) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise HubSpotUnavailableError(
                f"no answer from HubSpot at {self._place}: {_plain(error)}; check the network and "
                "the base URL if this lasts"
            ) from error

    def close(self) -> None:
        """Close the pool's connections."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()


def _read(response: urllib3.BaseHTTPResponse) -> Answer:
    """Read the body to its end, which gives the connection back to the pool."""
    return Answer(status=response.status, headers=response.headers, content=response.data)


def _without(answer: Answer, secrets: Sequence[str]) -> Answer:
    """The answer with nothing of the *secrets* in its body."""
    content = answer.content
    for secret in filter(None, secrets):
        content = content.replace(secret.encode(), _HIDDEN)
    return evolve(answer, content=content)


def _answer_in(error: Any) -> Answer:
    """The answer inside the official client's exception, which holds the body as text."""
    if error is None or not error.status:
        raise HubSpotUnavailableError(
            "no safe connection to HubSpot could be made; check its certificate"
        ) from error
    body = error.body or b""
    content = body.encode("utf-8", "replace") if isinstance(body, str) else body
    return Answer(status=error.status, headers=error.headers or {}, content=content)


def _plain(error: Exception) -> str:
    """What happened, in words, without the addresses of objects that urllib3 prints."""
    names = {
        urllib3.exceptions.NameResolutionError: "its name cannot be resolved",
        urllib3.exceptions.NewConnectionError: "the connection was refused",
        urllib3.exceptions.ConnectTimeoutError: "the connection timed out",
        urllib3.exceptions.ReadTimeoutError: "the answer timed out",
        urllib3.exceptions.IncompleteRead: "the answer was cut off",
        urllib3.exceptions.ProtocolError: "the connection broke",
        urllib3.exceptions.SSLError: "no safe connection could be made",
    }
    for kind, words in names.items():
        if isinstance(error, kind):
            return words
    return type(error).__name__
