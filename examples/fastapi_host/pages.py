"""The few pages that a person sees."""

from __future__ import annotations

from html import escape
from typing import Final

from fastapi.responses import HTMLResponse

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


def page(
    title: str, text: str, *, link: tuple[str, str] | None = None, status: int = 200
) -> HTMLResponse:
    """A page with a heading, a sentence, and perhaps a link (its words and where it leads)."""
    words, url = link or ("", "")
    anchor = f'<p><a href="{escape(url)}">{escape(words)}</a></p>' if link else ""
    content = _PAGE.format(title=escape(title), text=escape(text), link=anchor)
    return HTMLResponse(content, status_code=status, headers=_HEADERS)
