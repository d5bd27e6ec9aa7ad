"""Errors as problem documents (RFC 9457), for programs and for people, without secrets."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from hubspot_sync import (
    AccessError,
    ActionRejectedError,
    ConfigurationError,
    ConsentError,
    HubSpotSyncError,
    NotConnectedError,
    OAuthAppError,
    RequestRefusedError,
    RetryableError,
    SupersededError,
    UnknownAccountError,
    WrongAccountError,
)

_logger = logging.getLogger(__name__)
_SERVER_ERROR: Final = 500
_PLACES_SHOWN: Final = 20
_LONGEST_PLACE: Final = 200
# The first class that fits counts. Nobody learns from a 404 what other tenants have, and from a 5xx
# how the host is built: the words for these are fixed, and the log has the rest. A mistake in the
# set-up is the operator's, for what a client sends is looked at before the library is asked; the
# library's words may name the host's servers.
_Kind = tuple[type[HubSpotSyncError], int, str, str | None]
_KINDS: Final[tuple[_Kind, ...]] = (
    (UnknownAccountError, 404, "No such account", "You have no account with this id."),
    (OAuthAppError, 500, "The HubSpot app is not accepted", "The operator has to look at it."),
    (WrongAccountError, 409, "Another HubSpot account", None),
    (
        NotConnectedError,
        409,
        "The account is not connected",
        "Connect it again: ask for a link with POST /accounts/connect.",
    ),
    (ConfigurationError, 500, "Not set up for this", "The operator has to look at it."),
    (ConsentError, 400, "Not connected", None),
    (AccessError, 403, "HubSpot refuses access", None),
    (SupersededError, 409, "Busy", "Somebody else works on this account just now; try again."),
    (RetryableError, 503, "Not available", "HubSpot or a database is away; try again later."),
    (RequestRefusedError, 502, "HubSpot refused a request", "The log of the host says why."),
    (ActionRejectedError, 409, "Actions are refused", None),
    (HubSpotSyncError, 500, "Something is wrong here", "The log of the host says what."),
)


class Problem(BaseModel, frozen=True):
    """What went wrong, as RFC 9457 has it.

    Attributes:
        title: Its kind, the same each time.
        status: The HTTP status.
        detail: What happened and what to do.
        reason: Why a consent was refused; see `hubspot_sync.ConsentError`.
        retry_after: How many seconds to wait at least, where that is known.
        errors: What is wrong with the input, by place.
    """

    title: str
    status: int
    detail: str
    reason: str | None = None
    retry_after: int | None = None
    errors: dict[str, str] | None = None


def problem_of(error: HubSpotSyncError) -> Problem:
    """What a client is told of *error*; the log has the rest."""
    note_down(error)
    _, status, title, _ = _kind_of(error)
    wait = getattr(error, "retry_after", None)
    return Problem(
        title=title,
        status=status,
        detail=detail_of(error),
        reason=getattr(error, "reason", None),
        retry_after=None if wait is None else int(wait.total_seconds()) + 1,
    )


def note_down(error: HubSpotSyncError) -> None:
    """Log an error that is the host's own affair."""
    _, status, title, _ = _kind_of(error)
    if status >= _SERVER_ERROR:
        _logger.error("%s: %s", title, error)


def detail_of(error: HubSpotSyncError) -> str:
    """What happened and what to do, as far as it is a client's affair."""
    *_, detail = _kind_of(error)
    return detail or error.message


def _kind_of(error: HubSpotSyncError) -> _Kind:
    return next(kind for kind in _KINDS if isinstance(error, kind[0]))


def _as_response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The problem as an answer."""
    waiting = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=problem.status,
        headers={**(headers or {}), **waiting},
        media_type="application/problem+json",
    )


def answer_with_problems(app: FastAPI) -> None:
    """Let *app* answer every error with a problem document."""
    app.add_exception_handler(HubSpotSyncError, _ours)
    app.add_exception_handler(RequestValidationError, _bad_input)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(_: Request, error: Any) -> JSONResponse:
    return _as_response(problem_of(error))


async def _bad_input(_: Request, error: Any) -> JSONResponse:
    # Without the input itself: it may be a secret that was put into the wrong place.
    places = {_place_of(one): one["msg"] for one in error.errors()[:_PLACES_SHOWN]}
    detail = "Something that you sent is not as it has to be."
    return _as_response(Problem(title="Bad input", status=422, detail=detail, errors=places))


def _place_of(error: Any) -> str:
    """Where the input is wrong; names of fields are the client's, so they may be odd themselves."""
    place = ".".join(map(str, error["loc"]))[:_LONGEST_PLACE]
    return place.encode("utf-8", "backslashreplace").decode()


async def _of_http(_: Request, error: Any) -> JSONResponse:
    return of_status(error.status_code, error.detail, error.headers)


def of_status(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A refusal that has nothing to do with the library."""
    wait = (headers or {}).get("Retry-After")
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        retry_after=None if wait is None else int(wait),
    )
    return _as_response(problem, headers)


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    # The server's own log has the traceback.
    return _as_response(problem_of(HubSpotSyncError(f"unexpected {type(error).__name__}")))
