"""Which accounts there are, and what opens them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hubspot_sync.models import (
        AccountKey,
        Credentials,
        StoredCredentials,
    )


class TokenStore(Protocol):
    """Keeps the credentials of each account."""

    def load(self, account: AccountKey) -> StoredCredentials | None:
        """Give the credentials of *account* and their revision.

        - Absent: None.
        - Twice: the same answer as long as nobody saved.
        - Racing: a load beside a save sees either all of the old or all of the new.

        Raises:
            ConfigurationError: They are stored encrypted and no key at hand opens them.
            InvariantError: They were damaged, or sealed for another account.
        """

    def save(
        self, account: AccountKey, credentials: Credentials, *, expected_revision: int | None
    ) -> StoredCredentials:
        """Store *credentials* if the stored revision is still *expected_revision*.

        None as *expected_revision* means: there are none yet. The first revision is 1, and each
        save adds one, also after a delete.

        - Twice: the second call with the same *expected_revision* is refused.
        - Racing: of two callers with the same *expected_revision* exactly one wins.

        Raises:
            RevisionConflictError: The stored revision is another one; nothing was written.
        """

    def delete(self, account: AccountKey) -> None:
        """Forget the credentials of *account* so that no later load finds them.

        - Absent and twice: nothing happens.
        """
