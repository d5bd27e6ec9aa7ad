"""Mistakes of a host's that its type checker has to find, each marked where it is expected.

A mark that is no longer needed is an error too, so a parameter that turns into `Any` is noticed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import hubspot_sync
from hubspot_sync import (
    Account,
    Action,
    HubSpotSettings,
    SinkAnswer,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncReport,
    SyncSettings,
)
from hubspot_sync.stores.memory import MemoryStores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.interfaces import ActionSink, Validator


class AsyncSink:
    """Its answer would have to be awaited."""

    async def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """No answer yet."""
        return SinkAnswer()


class SilentSink:
    """It does not say what became of the actions."""

    def write(self, actions: Sequence[Action]) -> None:
        """No answer at all."""


def is_fine(action: Action) -> bool:
    """A validator returns a reason, not a boolean."""
    return bool(action.properties)


def wrong_parts() -> None:
    """They lack what they are meant for."""
    awaited: ActionSink = AsyncSink()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    silent: ActionSink = SilentSink()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    asked: Validator = is_fine  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(awaited, silent, asked)


def wrong_arguments() -> None:
    """Of another type, or by another name."""
    Account()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    StreamSettings(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SyncSettings(turn=60)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SyncSettings(batchsize=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    HubSpotSettings(max_wait=60)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StaticAccessToken(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SyncEngine(MemoryStores(), sink=SilentSink())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrong_uses(report: SyncReport, action: Action) -> None:
    """Values are frozen, names are checked, and None is not forgotten."""
    report.duration = timedelta()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    action.properties["email"] = "a"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    print(report.stream)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    print(report.failure.account)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    hubspot_sync.Engine  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
