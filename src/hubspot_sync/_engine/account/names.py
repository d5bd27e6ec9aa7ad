"""The object types of an account, by any of their names, and what is synced of each."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync.errors import ConfigurationError, HubSpotSyncError
from hubspot_sync.interfaces._answers import guarded_source, unforeseen
from hubspot_sync.models import ObjectType, StreamKey, StreamSettings
from hubspot_sync.models.accounts import object_types_of
from hubspot_sync.models.object_types import is_custom, is_settled, standard_types

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import Account


def opened(context: RunContext, account: Account) -> Source:
    """Open *account*; a token store that is away is waited for.

    Raises:
        NotConnectedError: There are no credentials for the account.
        StoreUnavailableError: The token store stays away.
        InvariantError: What opens the account raised what it may not.
    """
    try:
        source = context.ask(
            "token store",
            lambda: context.open_source(account, stop=context.stop, notify=context.notify),
            account.key,
        )
        return guarded_source(source, context.open_source)
    except HubSpotSyncError:
        raise
    except Exception as error:
        raise unforeseen(error, account.key, "opening the account").locate(
            account=str(account.key)
        ) from error


def canonical_names(context: RunContext, account: Account, names: Iterable[str]) -> dict[str, str]:
    """Return the name that is kept of each object type, by the name that is given.

    HubSpot is asked only for names that may be those of custom types.

    Raises:
        ConfigurationError: There is no such type, or there are several.
        AccessError: HubSpot refuses the schemas to these credentials, or there are none.
        RetryableError: HubSpot or a store is away.
    """
    found = {name: name for name in names}
    unsettled = [name for name in found if not is_settled(name)]
    if unsettled:
        with closing(opened(context, account)) as source:
            found.update(
                (name, source.resolve(StreamSettings(name)).object_type) for name in unsettled
            )
    return found


def label_of(context: RunContext, account: Account, object_type: str) -> str | None:
    """Return what people call one object of a custom type, where HubSpot says so now."""
    if not is_custom(object_type):
        return None
    try:
        with closing(opened(context, account)) as source:
            return source.label(object_type)
    except HubSpotSyncError:
        return None


def streams_of(
    context: RunContext, account: Account, object_types: Iterable[str] | None
) -> list[StreamKey]:
    """Return the streams of *account*, or those of these object types.

    Raises:
        ConfigurationError: *object_types* is no list of names, or the account has no such stream.
        HubSpotSyncError: As in `canonical_names`.
    """
    configured = [one.object_type for one in account.streams]
    wanted = configured if object_types is None else object_types_of(object_types)
    may_have = any(is_custom(name) or not is_settled(name) for name in configured)
    asked = [name for name in (*configured, *wanted) if may_have or is_settled(name)]
    kept = canonical_names(context, account, asked)
    known = {kept[name] for name in configured}
    unknown = [name for name in wanted if kept.get(name) not in known]
    if unknown:
        raise ConfigurationError(
            f"the account has no stream of {', '.join(sorted(unknown))}; give some of "
            f"{', '.join(configured)}",
            account=str(account.key),
        )
    chosen = {kept[name] for name in wanted}
    return [StreamKey(account.key, kept[name]) for name in configured if kept[name] in chosen]


def object_types(context: RunContext, account: Account) -> list[ObjectType]:
    """Return all object types that *account* has, and what is synced of each.

    Raises:
        HubSpotSyncError: As in `canonical_names`.
    """
    with closing(opened(context, account)) as source:
        types = {one.object_type: one for one in (*standard_types(), *source.object_types())}
        streams = [source.resolve(one) for one in account.streams]
    for wanted in streams:
        name = wanted.object_type
        known = types.get(name) or ObjectType(id=name, object_type=name, name=name)
        types[name] = _with_stream(context, StreamKey(account.key, name), wanted, known)
    return list(types.values())


def _with_stream(
    context: RunContext, stream: StreamKey, wanted: StreamSettings, known: ObjectType
) -> ObjectType:
    checkpoint = context.call(stream, lambda: context.checkpointer.load(stream))
    return evolve(
        known,
        synced=True,
        associations=wanted.associations,
        high_water_mark=checkpoint.high_water_mark,
    )
