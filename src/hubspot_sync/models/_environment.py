"""What the variables that most programs know say about the way out: proxies and authorities."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from hubspot_sync.errors import ConfigurationError

_AUTHORITIES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_HTTP: Final = ("http", "https")


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy that leads to *url*, or None.

    Raises:
        ConfigurationError: It is no HTTP proxy; the message names the variable, not its value.
    """
    parts = urlsplit(url)
    if _is_excepted(parts.hostname or "", parts.port, _variable("NO_PROXY", environment)[1]):
        return None
    for name in (f"{parts.scheme}_PROXY".upper(), "ALL_PROXY"):
        # A web server hands the header "Proxy" of a request on as HTTP_PROXY: https://httpoxy.org
        if name == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
            continue
        found, value = _variable(name, environment)
        if value:
            return _address(value, found)
    return None


def ca_file_in(environment: Mapping[str, str]) -> str | None:
    """The file, or folder, with the authorities to trust, or None for the system's."""
    return next((path for name in _AUTHORITIES if (path := environment.get(name))), None)


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """The name as it is used, and the value; names not in capitals come first, as in curl."""
    for spelling in (name.lower(), name):
        if spelling in environment:
            return spelling, environment[spelling].strip()
    return name, ""


def _address(value: str, variable: str) -> str:
    address = value if "://" in value else f"http://{value}"
    if address.partition("://")[0].lower() not in _HTTP:
        raise ConfigurationError(
            f"{variable} names a proxy that is no HTTP proxy; HubSpot is reached through one that "
            "begins with http:// or https://, or directly where NO_PROXY has api.hubapi.com"
        )
    return address


def _is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    """Whether *host* is among the *exceptions*: names, their ends, addresses, networks, or `*`."""
    return any(
        _fits(host.lower().rstrip("."), port, one.strip().lower())
        for one in exceptions.split(",")
        if one.strip()
    )


def _fits(host: str, port: int | None, exception: str) -> bool:
    if exception == "*":
        return True
    try:
        return ip_address(host) in ip_network(exception.strip("[]"), strict=False)
    except ValueError:
        pass  # one of them is a name
    name, separator, wanted = exception.rpartition(":")
    if separator and wanted.isdecimal():
        if str(port) != wanted:
            return False
        exception = name.strip("[]")
    name = exception.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
