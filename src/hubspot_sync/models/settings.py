"""What a host can tune; every default is meant for production."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Literal, get_args

from attrs import evolve, field, frozen

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models._checks import (
    hides_arguments,
    is_ca_file,
    is_choice,
    is_duration,
    is_not_negative,
    is_positive,
    is_positive_duration,
    is_proxy,
    is_share,
    is_url,
    or_none,
    without_user,
)
from hubspot_sync.models._environment import ca_file_in, proxy_for

ApiVersion = Literal["2025-09", "2026-03", "2026-09", "v3"]


_API: Final = "https://api.hubapi.com"
_CONSENT: Final = "https://app.hubspot.com/oauth/authorize"


def _known_version(_instance: object, _attribute: object, value: str) -> None:
    known = get_args(ApiVersion)
    if value not in known:
        raise ConfigurationError(
            f"HubSpotSettings.api_version is {value!r}; give one of {', '.join(known)}"
        )


def _without_slash(value: str) -> str:
    return value.rstrip("/") if isinstance(value, str) else value


@hides_arguments
@frozen(kw_only=True)
class HubSpotSettings:
    """How to talk to HubSpot.

    Attributes:
        base_url: Where the API is; the same for every data centre of HubSpot's. It is https, or
            an address of this machine.
        consent_url: Where people consent to the app; HubSpot sends them on to their data centre.
        api_version: The family of paths: a date-based version, or "v3" for the older paths
            (with associations from "v4"), which HubSpot stops supporting in 2027.
        burst_limit: Our own limit, beside those that HubSpot's answers name, which always count:
            calls in any ten seconds and account, also those of other processes that the answers
            tell of. HubSpot allows 110 to OAuth apps, 100, 190 or 250 to private ones. None for no
            limit of our own: only what the answers name, and none at all before the first answer
            that names one.
        search_limit: Searches in any second and account. HubSpot allows 5, shared by all apps of
            the account, and its answers do not say how many are left; take less to leave a share.
            None for no limit of our own.
        daily_reserve: Calls of the day that are left to the host's and others' use where answers
            tell how many there are (private apps, which share the account's daily quota). When no
            more are left, runs end with a `RateLimitedError` until midnight in the account's time
            zone. A reserve as large as the quota itself counts as a tenth of it. None leaves
            nothing.
        connect_timeout: How long to wait for a connection.
        read_timeout: How long to wait for the next bytes of an answer; HubSpot itself gives up
            after 100 seconds.
        answer_timeout: How long a whole answer may take from when the request was sent, however
            steadily its bytes come in.
        max_tries: How often a call is made at most before its failure ends the stream's run.
        max_wait: The longest single wait between two tries of a call; when HubSpot asks for
            more, the run ends and says when to come back.
        proxy: The HTTP proxy that leads out, such as `"http://user:password@proxy.example:3128"`;
            None goes straight. The variables of the environment count with `from_environment`
            only.
        ca_file: A file with the certificates of the authorities to trust, in PEM, in place of the
            system's; for a proxy that looks into connections.
    """

    base_url: str = field(
        default=_API,
        converter=_without_slash,
        validator=is_url(such_as=_API, query=False, safe=True),
    )
    consent_url: str = field(
        default=_CONSENT, converter=_without_slash, validator=is_url(such_as=_CONSENT, query=False)
    )
    api_version: ApiVersion = field(default="2026-03", validator=_known_version)
    burst_limit: int | None = field(default=110, validator=or_none(is_positive))
    search_limit: int | None = field(default=5, validator=or_none(is_positive))
    daily_reserve: int | None = field(default=1_000, validator=or_none(is_not_negative))
    connect_timeout: timedelta = field(
        default=timedelta(seconds=10), validator=is_positive_duration
    )
    read_timeout: timedelta = field(default=timedelta(seconds=110), validator=is_positive_duration)
    answer_timeout: timedelta = field(
        default=timedelta(seconds=180), validator=is_positive_duration
    )
    max_tries: int = field(default=8, validator=is_positive)
    max_wait: timedelta = field(default=timedelta(seconds=60), validator=is_positive_duration)
    proxy: str | None = field(default=None, repr=without_user, validator=or_none(is_proxy))
    ca_file: str | None = field(default=None, validator=or_none(is_ca_file))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **settings: Any) -> HubSpotSettings:
        """Settings with the proxy and the authorities that *environment* names.

        These are `HTTPS_PROXY`, `HTTP_PROXY` (for a *base_url* with http), `ALL_PROXY` and
        `NO_PROXY`, in capitals or not, and `SSL_CERT_FILE` or `REQUESTS_CA_BUNDLE`. What is among
        *settings* comes first.

        Args:
            environment: The variables, such as `os.environ`.
            **settings: Settings by name.

        Raises:
            ConfigurationError: A variable, or a setting, is wrong.
        """
        given = cls(**settings)
        if "proxy" not in settings:
            given = evolve(given, proxy=proxy_for(given.base_url, environment))
        if "ca_file" not in settings:
            given = evolve(given, ca_file=ca_file_in(environment))
        return given


@frozen(kw_only=True)
class SyncSettings:
    """How the engine works.

    Attributes:
        lookback: How much modified time before the high-water mark is read again, because
            HubSpot's search index shows some changes late.
        settle_lag: How far before the present a window ends.
        clock_margin: How far the clock that HubSpot stamps records by may be behind the one of its
            answers: so much of what was modified before a pass over all records is read again by
            the window that follows.
        reconcile_every: How long after the last pass over all records the next one is due, which
            compares each record with what was delivered and so finds what moved no modified date.
            It costs as many calls as the backfill did, one for 100 records. None for never but on
            demand, and when properties or associations have come since.
        archived_every: How long after deletions were looked for that is due again. It costs one
            call for each stream where nothing went. None for never but in a reconcile pass.
        associations_every: How long after associations were compared that is due again, at the
            earliest: a comparison takes a call for 1,000 records and each associated type, and no
            more calls in a day than 1 % of HubSpot's smallest daily quota. None for never but in a
            reconcile pass.
        reference_every: How long after owners, pipelines or property definitions were read that
            is due again, where an account has streams of them. It costs two calls for owners, and
            one for each object type. None for never but on demand.
        max_gone_share: The share of a stream's records that may be gone at once without a trace,
            and be told of as deleted; more of them have to be confirmed. 1.0 for no bound. See
            `Domain.confirm_deletions`.
        batch_size: Records whose actions are handed to the sink at once; they are gathered from
            whole pages, so it may be some more.
        batch_bytes: The same, as a rough size in bytes; never more than `queue_bytes`.
        queue_size: Actions that wait for the sink at most; the reader waits when it is full.
        queue_bytes: The same, as a rough size in bytes.
        lease_duration: How long a stream stays locked after its worker died without a word.
        deliver_unchanged: Whether a record is delivered whose modified date moved although no
            value that was read changed.
        track_changes: Whether updates and restorations say what changed, in `Action.changes`. The
            values of each object are kept beside its fingerprint then.
        store_tries: How often a call to the host's store is tried while it is unavailable.
        max_attempts: How often a refused action is tried before it is parked.
        first_retry: How long a refused action waits before it is due again; twice as long after
            each further attempt, less up to a half of it by chance.
        longest_retry: The longest of these waits.
        max_rejected_share: The share of refused actions above which a stream ends with a
            `TooManyRejectedError`, as soon as it has handed over 100; 1.0 for no bound.
        turn: How long an account is worked on at a time, while others wait, by
            `SyncEngine.sync_all` and `SyncEngine.run`.
    """

    lookback: timedelta = field(default=timedelta(minutes=5), validator=is_duration)
    settle_lag: timedelta = field(default=timedelta(0), validator=is_duration)
    clock_margin: timedelta = field(default=timedelta(minutes=1), validator=is_duration)
    reconcile_every: timedelta | None = field(
        default=timedelta(days=7), validator=or_none(is_positive_duration)
    )
    archived_every: timedelta | None = field(
        default=timedelta(minutes=15), validator=or_none(is_positive_duration)
    )
    associations_every: timedelta | None = field(
        default=timedelta(hours=1), validator=or_none(is_positive_duration)
    )
    reference_every: timedelta | None = field(
        default=timedelta(hours=1), validator=or_none(is_positive_duration)
    )
    max_gone_share: float = field(default=0.1, validator=is_share)
    batch_size: int = field(default=1_000, validator=is_positive)
    batch_bytes: int = field(default=8 * 1024 * 1024, validator=is_positive)
    queue_size: int = field(default=1_000, validator=is_positive)
    queue_bytes: int = field(default=32 * 1024 * 1024, validator=is_positive)
    lease_duration: timedelta = field(default=timedelta(seconds=60), validator=is_positive_duration)
    deliver_unchanged: bool = field(default=False, validator=is_choice)
    track_changes: bool = field(default=False, validator=is_choice)
    store_tries: int = field(default=6, validator=is_positive)
    max_attempts: int = field(default=10, validator=is_positive)
    first_retry: timedelta = field(default=timedelta(minutes=5), validator=is_positive_duration)
    longest_retry: timedelta = field(default=timedelta(days=1), validator=is_positive_duration)
    max_rejected_share: float = field(default=0.5, validator=is_share)
    turn: timedelta = field(default=timedelta(seconds=30), validator=is_positive_duration)
