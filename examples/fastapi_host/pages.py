"""The few pages that a person sees."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from fastapi.responses import HTMLResponse

from hubspot_sync import ConsentError, HubSpotSyncError, UnknownAccountError, WrongAccountError

from .problems import problem_of

_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui; max-width: 32rem; margin: 4rem auto; padding: 0 1rem }}
section {{ border-top: 1px solid; overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
{content}
</html>
"""
# A style of its own and nothing else; `Bounded` says the rest of each answer.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
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
    return _html(title, f"<p>{escape(text)}</p>\n{anchor}", status)


def _html(title: str, content: str, status: int = 200) -> HTMLResponse:
    text = _PAGE.format(title=escape(title), content=content)
    return HTMLResponse(text, status_code=status, headers=_HEADERS)


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


def description(openapi: dict[str, Any]) -> HTMLResponse:
    """The page that says what clients can ask for, from the description that programs read.

    Args:
        openapi: The application's, as at `/openapi.json`.
    """
    schemas = openapi.get("components", {}).get("schemas", {})
    sections = [
        _operation(method.upper(), path, operation, schemas)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]
    told = (
        "<p>Send your API key as <code>X-API-Key</code> or as a bearer token, and bodies as "
        'JSON. Programs read <a href="openapi.json">openapi.json</a>.</p>\n'
    )
    return _html(openapi["info"]["title"], told + "\n".join(sections))


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    """What one request does and takes."""
    fields = [
        (f"{one['name']} ({one['in']})", one["schema"]) for one in operation.get("parameters", ())
    ]
    content = operation.get("requestBody", {}).get("content", {})
    for one in content.values():
        body = schemas.get(_name_of(one["schema"]), {})
        fields += [(f"{name} (body)", field) for name, field in body.get("properties", {}).items()]
    rows = [
        f"<li><code>{escape(name)}</code>: {escape(_kind(field))}</li>" for name, field in fields
    ]
    answers = ", ".join(map(escape, operation["responses"]))
    return (
        f"<section>\n<h2><code>{method} {escape(path)}</code></h2>\n"
        f"<p>{escape(operation.get('description', ''))}</p>\n"
        f"<ul>{''.join(rows)}</ul>\n<p>Answers: {answers}</p>\n</section>"
    )


def _name_of(schema: dict[str, Any]) -> str:
    """The name of the schema that *schema* refers to, also as one of several, or nothing."""
    options = [schema, *schema.get("anyOf", ()), *schema.get("allOf", ())]
    found: list[str] = [one["$ref"] for one in options if "$ref" in one]
    return found[0].rpartition("/")[2] if found else ""


def _kind(schema: dict[str, Any]) -> str:
    """What a field takes, in a few words."""
    kinds = [_kind(one) for one in schema.get("anyOf", ())]
    words = " or ".join(kinds) or schema.get("type") or _name_of(schema)
    limits = [
        f"{said} {schema[name]}"
        for name, said in (
            ("pattern", "like"),
            ("minimum", "from"),
            ("maximum", "up to"),
            ("maxLength", "characters up to"),
            ("maxItems", "items up to"),
        )
        if name in schema
    ]
    return ", ".join([words, *limits])
