"""From a request to an answer: route, faults, access, rate windows, endpoint, call log."""

from __future__ import annotations

import traceback
import uuid
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

import attrs

from hubspot_sync.testing.emulator.calls import Call, CallLog
from hubspot_sync.testing.emulator.endpoints.access import bearer_of, scopes_for
from hubspot_sync.testing.emulator.hostility.faults import broken
from hubspot_sync.testing.emulator.refusals import RefusalError, internal_error, not_found
from hubspot_sync.testing.emulator.server.routes import Route, build_routes, family_of, find_route
from hubspot_sync.testing.emulator.wire import CORRELATION, Answer, Request, refusal

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from datetime import datetime

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator.endpoints.consent import ConsentPage
    from hubspot_sync.testing.emulator.endpoints.installations import Installation, Installations
    from hubspot_sync.testing.emulator.endpoints.oauth import TokenEndpoints
    from hubspot_sync.testing.emulator.hostility.faults import FaultScript
    from hubspot_sync.testing.emulator.hostility.mischief import Mischief
    from hubspot_sync.testing.emulator.portal.portal import Portal

# Measured by others at 16.2 to 16.3 thousand characters: HubSpot 11.6.
MAX_URL: Final = 16_200
_TOO_LONG: Final = b"<html><head><title>414 Request-URI Too Large</title></head></html>"


class ClosingError(Exception):
    """The emulator closes while a call was being held back."""


@attrs.frozen(kw_only=True)
class Application:
    """Answers every request that is not for the control path.

    A call belongs to the account whose credentials it carries. What carries nobody's is answered
    and logged as if it were the first account's.

    Attributes:
        faults: What goes wrong for any account, before the account's own faults.
        calls: The calls of all accounts.
        closing: Set when the emulator closes; ends delays.
    """

    installations: Installations
    tokens: TokenEndpoints
    page: ConsentPage
    faults: FaultScript
    calls: CallLog
    clock: Clock
    closing: threading.Event
    routes: tuple[Route, ...] = attrs.field(
        default=attrs.Factory(lambda self: build_routes(self.tokens, self.page), takes_self=True)
    )

    def __call__(self, request: Request) -> Answer:
        """Answer and log one request.

        Raises:
            ClosingError: The emulator closes; there is no answer.
        """
        at = self.clock.now()
        owner = self._owner(request)
        installation = owner or self.installations.first
        call = Call(
            method=request.method,
            path=request.path,
            query=request.query_text,
            route="unknown",
            at=at,
            account_id=owner.account_id if owner else None,
        )
        call, given = self._answer(installation, request, call)
        self._log(installation, call, given)
        headers: dict[str, str | None] = {CORRELATION: str(uuid.uuid4())}
        headers |= _dates(installation.mischief, request, at)
        return attrs.evolve(given, headers={**headers, **given.headers})

    def _owner(self, request: Request) -> Installation | None:
        if request.path.startswith("/oauth/"):
            return self.tokens.owner_of(request)
        return self.installations.owner(bearer_of(request.headers))

    def _log(self, installation: Installation, call: Call, given: Answer) -> None:
        status = 0 if given.mangle == "reset" else given.status
        call = attrs.evolve(call, status=status, rows=given.rows, expired_for=given.expired_for)
        self.calls.add(call)
        installation.calls.add(call)
        if given.expired_for is not None:
            installation.expired_calls.add(call)

    def _answer(
        self, installation: Installation, request: Request, call: Call
    ) -> tuple[Call, Answer]:
        portal = installation.portal
        if _is_too_long(installation.mischief, request):
            return call, Answer(status=414, body=_TOO_LONG, content_type="text/html")
        try:
            route, args = self._find(installation.mischief, request)
        except RefusalError as error:
            return call, _refused(error)
        request = attrs.evolve(request, args=args)
        object_type = _canonical(portal, args.get("object_type"))
        call = attrs.evolve(call, route=route.name, object_type=object_type)
        archived = request.flag("archived")
        fault = self.faults.take(route.name, object_type, archived=archived)
        fault = fault or installation.faults.take(route.name, object_type, archived=archived)
        self._hold(installation.latency + (fault.delay if fault else 0.0))
        if installation.interventions.active:
            # Outside the portal's lock: a hook may wait for another thread that needs it.
            try:
                installation.interventions.run(call)
            except Exception:  # noqa: BLE001 - a test's mistake must not look like a lost connection
                return call, _failed()
        if fault is None:
            return call, _serve(installation, route, request)
        return call, broken(
            fault, route.name, installation.account_id, lambda: _serve(installation, route, request)
        )

    def _find(self, mischief: Mischief, request: Request) -> tuple[Route, Mapping[str, str]]:
        refused = mischief.settings.refused_families
        if refused and family_of(request.path) in refused:
            mischief.lies.add("refused_families")
            raise not_found()
        return find_route(self.routes, request.method, request.path)

    def _hold(self, seconds: float) -> None:
        # The wire takes real time, whatever the clock says: a client's time-out does so too.
        if seconds > 0 and self.closing.wait(seconds):
            raise ClosingError


def _is_too_long(mischief: Mischief, request: Request) -> bool:
    length, most = len(request.path) + len(request.query_text), mischief.settings.url_limit
    if length >= MAX_URL:
        return True
    if most is None or length < most:
        return False
    mischief.lies.add("url_limit")
    return True


def _dates(mischief: Mischief, request: Request, now: datetime) -> Mapping[str, str | None]:
    """The header `Date` where it is not the clock's; None leaves it out."""
    settings, roll = mischief.settings, mischief.roll
    if not (settings.date_offset or settings.date_jumps or settings.date_missing) and not (
        settings.date_broken
    ):
        return {}
    subject = request.fingerprint
    if roll("date_missing", subject):
        return {"Date": None}
    if roll("date_broken", subject):
        return {"Date": "yesterday, about noon"}
    if settings.date_offset:
        mischief.lies.add("date_offset")
    now += settings.date_offset
    if roll("date_jumps", subject):
        now += settings.date_jump
    return {"Date": format_datetime(now, usegmt=True)}


def _canonical(portal: Portal, name: str | None) -> str | None:
    kind = portal.types.find(name) if name else None
    return kind.name if kind else name


def _serve(installation: Installation, route: Route, request: Request) -> Answer:
    headers: Mapping[str, str] = {}
    try:
        if not route.open:
            static = _admit(installation, route, request)
            headers = installation.limits.count(route.pot, static=static)
        with installation.portal.lock:
            given = route.endpoint(installation, request)
    except RefusalError as error:
        given = _refused(error)
    except Exception:  # noqa: BLE001 - a server answers 500 and goes on
        given = _failed()
    return attrs.evolve(given, headers={**headers, **given.headers})


def _admit(installation: Installation, route: Route, request: Request) -> bool:
    """Let a call pass; returns whether its access token is static."""
    access, mischief = installation.access, installation.mischief
    early = mischief.settings.early_expiry
    if early and mischief.roll("early_expiry", request.fingerprint):
        access.end(request.headers)
    static = access.check(request.headers)
    _check_scopes(installation, route, request)
    return static


def _check_scopes(installation: Installation, route: Route, request: Request) -> None:
    portal, access = installation.portal, installation.access
    if access.scopes is None and not access.withheld:
        return
    strict = installation.mischief.settings.strict_scopes and route.name != "properties"
    names = [request.args.get("object_type"), request.args.get("to_type")]
    if strict:
        names += request.names("associations")
    kinds = [portal.types.find(name) for name in names if name]
    for any_of in scopes_for(route.name, [kind for kind in kinds if kind], strict=strict):
        access.check_scopes(any_of)


def _failed() -> Answer:
    traceback.print_exc()
    return _refused(internal_error())


def _refused(error: RefusalError) -> Answer:
    return refusal(error, str(uuid.uuid4()))
