"""The few pages that a person sees."""

from __future__ import annotations

from html import escape
from typing import Final

from fastapi.responses import HTMLResponse

from hubspot_sync import ConsentError, HubSpotSyncError, UnknownAccountError, WrongAccountError

from .problems import problem_of

_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ font: 1.1rem/1.5 system-ui; max-width: 32rem; margin: 4rem auto; padding: 0 1rem }}
</style>
<h1>{title}</h1>
<p>{text}</p>
{link}
</html>
"""
# Nothing from elsewhere, in nobody's frame, and no address with a secret in it is passed on.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_AGAIN: Final = "Start again from your application."
# By the reason of a `ConsentError`, in words for the person who reads the page.
_CONSENTS: Final = {
    "denied": (
        "You did not agree at HubSpot. If that was a mistake, start again from your application."
    ),
    "expired": f"Too much time has passed since you left for HubSpot. {_AGAIN}",
    "used": (
        "You came back from HubSpot this way before. See in your application whether the account "
        "is connected, and start again from there if it is not."
    ),
    "other_domain": f"What HubSpot sent you back with was asked for by somebody else. {_AGAIN}",
    "code": f"HubSpot no longer takes the code that it sent you back with. {_AGAIN}",
}


def page(
    title: str, text: str, *, link: tuple[str, str] | None = None, status: int = 200
) -> HTMLResponse:
    """A page with a heading, a sentence, and perhaps a link (its words and where it leads)."""
    words, url = link or ("", "")
    anchor = f'<p><a href="{escape(url)}">{escape(words)}</a></p>' if link else ""
    content = _PAGE.format(title=escape(title), text=escape(text), link=anchor)
    return HTMLResponse(content, status_code=status, headers=_HEADERS)


def not_connected(refusal: HubSpotSyncError, account_id: str | None) -> HTMLResponse:
    """The page for a person whose account was not connected; they are spoken to.

    Args:
        refusal: Why not; the log has its own words where they are the operator's affair.
        account_id: The account that was to be connected again, or None for any.
    """
    problem = problem_of(refusal)
    match refusal:
        case ConsentError(reason=reason):
            text = _CONSENTS.get(reason, f"What HubSpot sent you back with is not right. {_AGAIN}")
        case WrongAccountError():
            text = (
                f"You chose another HubSpot account than {account_id}, which was to be connected "
                f"again. Nothing was changed. {_AGAIN}"
            )
        case UnknownAccountError():
            text = f"The account that you were to connect again is no longer there. {_AGAIN}"
        case _:
            text = problem.detail
    return page("Not connected", text, status=problem.status)
