"""Who is synchronised: domains, accounts, streams, and the credentials that open them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from attrs import field, frozen

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models._checks import (
    digits,
    hides_arguments,
    is_access_token,
    is_aware,
    is_choice,
    is_credential,
    is_digits,
    is_list,
    is_positive_duration,
    is_text_key,
    is_url,
    names,
    optional_names,
    or_none,
    shown,
    stripped,
)
from hubspot_sync.models._display import AsDict, settings_repr
from hubspot_sync.models.object_types import canonical_object_type, is_reference

# https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
LEAST_CALLS_A_DAY: Final = 250_000


@frozen(order=True)
class AccountKey(AsDict):
    """Names one HubSpot account of one domain; every store call is scoped by it.

    Attributes:
        domain_id: The tenant, as the host names it: 1 to 200 characters.
        account_id: HubSpot's id of the account (portal id), digits as text.
    """

    domain_id: str = field(validator=is_text_key)
    account_id: str = field(converter=digits, validator=is_digits)

    def __str__(self) -> str:
        return f"{self.domain_id}/{self.account_id}"


@frozen(order=True)
class StreamKey(AsDict):
    """Names one stream: one object type of one account.

    Attributes:
        account: The account.
        object_type: The object type by the name that is kept of it: "contacts", and a custom type
            by its id, "2-3465404".
    """

    account: AccountKey
    object_type: str = field(converter=canonical_object_type)

    def __str__(self) -> str:
        return f"{self.account}/{self.object_type}"


def object_types_of(values: Iterable[str]) -> tuple[str, ...]:
    """The canonical names of some object types, each once."""
    return tuple(dict.fromkeys(canonical_object_type(value) for value in names(values)))


def _no_patterns(_instance: object, _attribute: object, given: tuple[str, ...]) -> None:
    for name in given:
        if "*" in name or "?" in name:
            raise ConfigurationError(
                f"StreamSettings.unlisted_properties has the pattern {shown(name)}; give whole "
                "names, since nothing lists what a pattern could match"
            )


@frozen
class StreamSettings(AsDict):
    """What to read of one object type.

    "owners", "pipelines" and "properties" are reference data, which comes whole: all owners, also
    those who are archived; the pipelines, with their stages, and the definitions of the properties
    of the object types that the account syncs beside them. So of all that is said here, only the
    object type is for them, and `SyncSettings.reference_every` for how often.

    Properties are chosen by names and by patterns such as "hs_analytics_*", in which `*` stands
    for any characters and `?` for one, as in `fnmatch`, in the case as given. A name that the
    account does not have, and a pattern that matches nothing there, is a `ConfigurationError`
    when the stream is read. The record's id, create date and modified date come always.

    Attributes:
        object_type: Name or id of the object type; an id, a singular or capitals are turned into
            the name, see `canonical_object_type`. A custom type goes by its id, its name, or a
            label that people gave it, and is kept under its id.
        properties: Names and patterns of the properties to ask for; None asks for all.
        associations: Object types whose associated ids come with each record.
        exclude: Names and patterns of the properties not to ask for, whatever *properties* says.
        raw_values: Whether values stay the text that HubSpot sends, instead of being converted
            by the type of their property; see `Value`.
        ignore_missing: Whether names and patterns that the account does not have are left out
            instead of being an error; for one list that serves several object types.
        unlisted_properties: Names of properties to ask for, too, that HubSpot does not list but
            may know all the same, such as "hs_v2_date_entered_123"; no patterns. Nothing tells
            whether one exists, and their values stay text.
    """

    object_type: str = field(converter=canonical_object_type)
    properties: tuple[str, ...] | None = field(default=None, converter=optional_names, kw_only=True)
    associations: tuple[str, ...] = field(default=(), converter=object_types_of, kw_only=True)
    exclude: tuple[str, ...] = field(default=(), converter=names, kw_only=True)
    raw_values: bool = field(default=False, validator=is_choice, kw_only=True)
    ignore_missing: bool = field(default=False, validator=is_choice, kw_only=True)
    unlisted_properties: tuple[str, ...] = field(
        default=(), converter=names, validator=_no_patterns, kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        if is_reference(self.object_type) and self._chooses:
            raise ConfigurationError(
                f"{self.object_type} come whole, and without associations; give "
                f"StreamSettings({self.object_type!r}) alone"
            )

    @property
    def _chooses(self) -> bool:
        """Whether it says which values to read, other than in a list for several object types."""
        chosen = self.properties is not None and not self.ignore_missing
        other = self.associations or self.exclude or self.unlisted_properties or self.raw_values
        return chosen or bool(other)

    def __repr__(self) -> str:
        return settings_repr(self, "object_type")


DEFAULT_STREAMS: Final = (
    StreamSettings("companies"),
    StreamSettings("contacts", associations=("companies",)),
)


def streams_of(values: Iterable[StreamSettings]) -> tuple[StreamSettings, ...]:
    """Convert what an account is to have read: at least one stream, each object type once."""
    if not is_list(values):
        raise ConfigurationError(
            f"Account.streams is {shown(values)}; give a list of StreamSettings, also of one, or "
            "leave it out for companies and contacts"
        )
    streams = tuple(values)
    for stream in streams:
        if not isinstance(stream, StreamSettings):
            raise ConfigurationError(
                f"Account.streams has {shown(stream)}; give StreamSettings(object_type=...)"
            )
    object_types = [stream.object_type for stream in streams]
    if not object_types or len(set(object_types)) != len(object_types):
        raise ConfigurationError(
            f"an account needs at least one stream and each object type once, not {object_types}"
        )
    return streams


@frozen
class Account(AsDict):
    """One HubSpot account of one domain, and what to read of it.

    Attributes:
        account_id: HubSpot's id of the account (portal id), digits as text.
        domain_id: The tenant that owns the account.
        streams: What to read, in this order; companies and contacts by default, each contact
            with the companies that it is associated with.
        sync_every: How long after the beginning of a sync the next one is due, for hosts that let
            the engine choose what to sync.
    """

    account_id: str = field(converter=digits, validator=is_digits)
    domain_id: str = field(default="default", validator=is_text_key, kw_only=True)
    streams: tuple[StreamSettings, ...] = field(
        default=DEFAULT_STREAMS, converter=streams_of, kw_only=True
    )
    sync_every: timedelta = field(
        default=timedelta(minutes=15), validator=is_positive_duration, kw_only=True
    )

    def __repr__(self) -> str:
        return settings_repr(self, "account_id")

    @property
    def key(self) -> AccountKey:
        """The name of the account in every store."""
        return AccountKey(self.domain_id, self.account_id)


@hides_arguments
@frozen
class StaticAccessToken:
    """A credential that does not expire: a private app's access token or a service key.

    Attributes:
        access_token: The secret; never part of the repr.
    """

    access_token: str = field(repr=False, converter=stripped, validator=is_access_token)


@hides_arguments
@frozen(kw_only=True)
class OAuthTokens:
    """One set of OAuth 2.0 tokens.

    Attributes:
        refresh_token: The secret that access tokens are requested with; never part of the repr.
        access_token: The secret sent with each call, or None before the first refresh.
        expires_at: When the access token ends, aware; None where it is not known.
        issued_at: When HubSpot issued it, aware; None where it is not known.
        refreshing_until: Until when a worker has the refresh to itself, aware; None when nobody
            is at it. A worker that died loses it by then.
    """

    refresh_token: str = field(repr=False, converter=stripped, validator=is_credential)
    access_token: str | None = field(default=None, repr=False, validator=or_none(is_credential))
    expires_at: datetime | None = field(default=None, validator=is_aware)
    issued_at: datetime | None = field(default=None, validator=is_aware)
    refreshing_until: datetime | None = field(default=None, validator=is_aware)


Credentials = StaticAccessToken | OAuthTokens


@frozen(kw_only=True)
class StoredCredentials:
    """Credentials as a `TokenStore` gave them out.

    Attributes:
        credentials: What was stored.
        revision: Grows with every save, from 1; give it back to `TokenStore.save`.
    """

    credentials: Credentials
    revision: int


# What the default streams need, and "oauth", without which no app is installed. An object's scope
# opens the definitions of its properties too, so "crm.schemas..." is not asked for.
# https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/scopes
DEFAULT_SCOPES: Final = (
    "oauth",
    "crm.objects.companies.read",
    "crm.objects.contacts.read",
)


@hides_arguments
@frozen(kw_only=True)
class OAuthApp:
    """The HubSpot app whose OAuth tokens are used.

    Attributes:
        client_id: HubSpot's id of the app.
        client_secret: The app's secret; never part of the repr.
        redirect_uri: Where HubSpot sends people back after they consented, word for word as in
            the app's settings; needed only to connect accounts.
        scopes: What to ask people to consent to; all of it, or the account is not connected. Give
            here what the app's settings at HubSpot name as required, neither more nor less.
        optional_scopes: What to ask for besides, and to do without where an account has not the
            feature or the person not the right; what the app's settings name as optional.
    """

    client_id: str = field(converter=stripped, validator=is_credential)
    client_secret: str = field(repr=False, converter=stripped, validator=is_credential)
    redirect_uri: str | None = field(
        default=None, validator=or_none(is_url(such_as="https://host.example/hubspot/callback"))
    )
    scopes: tuple[str, ...] = field(default=DEFAULT_SCOPES, converter=names)
    optional_scopes: tuple[str, ...] = field(default=(), converter=names)


@frozen(kw_only=True)
class Grant:
    """What HubSpot says that a set of OAuth tokens opens.

    Attributes:
        account_id: HubSpot's id of the account, digits as text.
        tokens: The tokens.
        scopes: What they may be used for.
        user: The e-mail address of the person who consented, or None; never part of the repr.
        account_name: The account's domain name at HubSpot ("acme.com"), or None.
    """

    account_id: str = field(converter=digits, validator=is_digits)
    tokens: OAuthTokens
    scopes: tuple[str, ...] = field(default=(), converter=names)
    user: str | None = field(default=None, repr=False)
    account_name: str | None = None


@frozen(kw_only=True)
class AccountDetails:
    """What HubSpot says about the account that the credentials open.

    Attributes:
        account_id: HubSpot's id of the account, digits as text.
        time_zone: The account's IANA time zone ("Europe/Dublin"), or None.
        account_type: "STANDARD", "DEVELOPER_TEST", "SANDBOX", "APP_DEVELOPER", or None.
    """

    account_id: str
    time_zone: str | None = None
    account_type: str | None = None


@frozen(kw_only=True)
class Quota(AsDict):
    """How often HubSpot may be asked for an account, as far as its answers say so.

    Attributes:
        calls_a_day: Calls of all apps in a day; where HubSpot does not say, 250,000, the least
            that an account may make.
        calls_a_second: Calls of this app, on the average of ten seconds; None for no bound.
        left_today: How many of the day's calls were left at the last answer; None where HubSpot
            does not say, as it does not to apps that are installed by OAuth.
    """

    calls_a_day: int = LEAST_CALLS_A_DAY
    calls_a_second: float | None = None
    left_today: int | None = None
