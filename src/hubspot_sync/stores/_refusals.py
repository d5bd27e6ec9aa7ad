"""What every store says when it refuses a call, in one wording."""

from __future__ import annotations

from hubspot_sync.errors import (
    InvariantError,
    LeaseHeldError,
    LeaseLostError,
    RevisionConflictError,
)
from hubspot_sync.models import AccountEntry, AccountKey, Lease, StreamKey


def lease_held(stream: StreamKey, owner: str) -> LeaseHeldError:
    """*owner* holds the lease on *stream*."""
    return LeaseHeldError(
        f"{owner} is synchronising this stream; wait for it to end, or for its lease to run out",
        owner=owner,
        account=str(stream.account),
        stream=stream.object_type,
    )


def lease_lost(lease: Lease) -> LeaseLostError:
    """*lease* is not the current one of its stream."""
    return LeaseLostError(
        f"the lease of {lease.owner} (fence {lease.fence}) is no longer the current one; "
        "nothing was written, the worker that took over goes on from the last commit",
        account=str(lease.stream.account),
        stream=lease.stream.object_type,
    )


def mark_falls(stream: StreamKey) -> InvariantError:
    """A commit would lower the high-water mark of *stream*."""
    return InvariantError(
        "a commit would have lowered the high-water mark; nothing was written, please report it",
        account=str(stream.account),
        stream=stream.object_type,
    )


def revision_conflict(account: AccountKey, expected_revision: int | None) -> RevisionConflictError:
    """The credentials of *account* do not have *expected_revision*."""
    expected = "none yet" if expected_revision is None else f"revision {expected_revision}"
    return RevisionConflictError(
        f"the stored credentials are not what the caller saw ({expected}); nothing was written, "
        "load them again",
        account=str(account),
    )


def entry_conflict(entry: AccountEntry) -> RevisionConflictError:
    """The stored entry of an account does not have the revision of *entry*."""
    expected = f"revision {entry.revision}" if entry.revision else "none yet"
    return RevisionConflictError(
        f"the stored account is not what the caller saw ({expected}); nothing was written, load "
        "it again",
        account=str(entry.key),
    )
