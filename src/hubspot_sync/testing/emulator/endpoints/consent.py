"""HubSpot's consent page, at which people choose an account and allow the app in (HubSpot 5.6)."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs

from hubspot_sync.testing.emulator.wire import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubspot_sync.testing.emulator.endpoints.installations import Installation, Installations
    from hubspot_sync.testing.emulator.endpoints.oauth import App

# An account in the path is the only one that can be chosen.
AUTHORIZE: Final = r"/oauth/(?:(?P<account_id>\d+)/)?authorize"
_HTML: Final = "text/html;charset=utf-8"
_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>{body}</body></html>
"""
_FORM: Final = """
<p>{client_id} wants to: {scopes}</p>
<form method="post"><p><label>Account <select name="account_id">{options}</select></label></p>
<p><button name="decision" value="allow">Connect app</button>
<button name="decision" value="deny">Cancel</button></p></form>
"""


class ConsentRefusedError(Exception):
    """The page shows an error instead of the form, or of sending anybody back."""


@attrs.frozen(kw_only=True)
class Asked:
    """What an authorization URL asks for, checked.

    Attributes:
        account_id: The account that it is for; None lets people choose.
        state: What comes back with the code, or None.
    """

    redirect_uri: str
    scopes: frozenset[str]
    optional_scopes: frozenset[str]
    account_id: str | None
    state: str | None


class ConsentPage:
    """Shows the page, and sends people back with a code."""

    def __init__(self, app: App, installations: Installations) -> None:
        self._app = app
        self._installations = installations

    def show(self, request: Request) -> Answer:
        """`GET /oauth/authorize`: the form, or what is wrong."""
        try:
            asked = self._read(request.query, request.args.get("account_id"))
        except ConsentRefusedError as error:
            return _error(error)
        offered = [
            f'<option value="{one.account_id}">{escape(one.hub_domain)} ({one.account_id})</option>'
            for one in self._installations.open
            if asked.account_id in {None, one.account_id}
        ]
        form = _FORM.format(
            client_id=escape(self._app.client_id),
            scopes=escape(", ".join(sorted(asked.scopes))),
            options="".join(offered),
        )
        return _page(200, "Connect an app", form)

    def decide(self, request: Request) -> Answer:
        """`POST` of the form: 302 to where the URL says."""
        form = request.form()
        allow = form.get("decision") == "allow"
        try:
            asked = self._read(request.query, request.args.get("account_id"))
            location = self._send_back(asked, form.get("account_id"), allow=allow)
        except ConsentRefusedError as error:
            return _error(error)
        return Answer(status=302, headers={"Location": location}, content_type=_HTML)

    def consent(self, url: str, account_id: str | None, *, allow: bool) -> str:
        """What `decide` does, for an authorization URL of any host; returns where it sends to.

        Raises:
            ConsentRefusedError: With what the page would say.
        """
        parts = urlsplit(url)
        match = re.fullmatch(AUTHORIZE, parts.path)
        if match is None:
            raise ConsentRefusedError(f"{parts.path!r} is not the path of an authorization URL")
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        asked = self._read(query, match["account_id"])
        chosen = account_id or asked.account_id or self._installations.first.account_id
        return self._send_back(asked, chosen, allow=allow)

    def _read(self, query: Mapping[str, Sequence[str]], account_id: str | None) -> Asked:
        given = {name: values[-1] for name, values in query.items()}
        app = self._app
        # The wording of these pages is that of people who were shown them: HubSpot 5.6.
        if given.get("client_id") != app.client_id:
            raise ConsentRefusedError(
                "An invalid app client_id was provided. Please contact the app developer."
            )
        redirect_uri = given.get("redirect_uri", "")
        known = app.redirect_uris
        if not redirect_uri or (known is not None and redirect_uri not in known):
            raise ConsentRefusedError(
                f"Authorization failed as the redirect URL '{redirect_uri}' doesn't match the "
                "app's registered redirect URL."
            )
        scopes = frozenset(given.get("scope", "").split())
        optional = frozenset(given.get("optional_scope", "").split())
        if not scopes:
            raise ConsentRefusedError(
                "An invalid scope name was provided. Please contact the app developer."
            )
        if not app.asks_for(scopes, optional):
            raise ConsentRefusedError(
                "Authorization failed because there is a mismatch between the scopes in the "
                "install URL and the app's configured scopes. Please contact the app developer."
            )
        return Asked(
            redirect_uri=redirect_uri,
            scopes=scopes,
            optional_scopes=optional,
            account_id=account_id,
            state=given.get("state"),
        )

    def _send_back(self, asked: Asked, account_id: str | None, *, allow: bool) -> str:
        if not allow:
            # What HubSpot sends is not documented; RFC 6749 (4.1.2.1) has this.
            denied = {"error": "access_denied", "error_description": "The user denied access."}
            return _with(asked.redirect_uri, denied, asked.state)
        installation = self._chosen(asked, account_id)
        available = installation.available_scopes
        lacking = asked.scopes - (asked.scopes if available is None else available)
        if lacking:
            raise ConsentRefusedError(
                "Authorization failed because your account lacks access to the required scopes "
                f"[{', '.join(sorted(lacking))}]"
            )
        further = asked.optional_scopes
        granted = asked.scopes | (further if available is None else further & available)
        code = installation.access.issue_code(asked.redirect_uri, granted)
        return _with(asked.redirect_uri, {"code": code}, asked.state)

    def _chosen(self, asked: Asked, account_id: str | None) -> Installation:
        installation = self._installations.find(account_id or "")
        if installation is None or asked.account_id not in {None, account_id}:
            raise ConsentRefusedError(f"The account {account_id!r} cannot be chosen here.")
        return installation


def _with(redirect_uri: str, added: Mapping[str, str], given_state: str | None) -> str:
    parts = urlsplit(redirect_uri)
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *added.items()]
    if given_state is not None:
        pairs.append(("state", given_state))
    return urlunsplit(parts._replace(query=urlencode(pairs)))


def _error(error: ConsentRefusedError) -> Answer:
    # Its status is not known; one that is no success cannot be taken for the form.
    return _page(400, "Couldn't complete the connection", f"<p>{escape(str(error))}</p>")


def _page(status: int, title: str, body: str) -> Answer:
    text = _PAGE.format(title=escape(title, quote=False), body=body)
    return Answer(status=status, body=text.encode(), content_type=_HTML)
