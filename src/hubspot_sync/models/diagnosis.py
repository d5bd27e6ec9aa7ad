"""Whether a set-up is right: what was looked at, and what to do about what is wrong."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from hubspot_sync.models._display import AsDict
from hubspot_sync.models.accounts import AccountKey


@frozen(kw_only=True)
class Finding(AsDict):
    """One thing that was looked at.

    Attributes:
        what: What it is, in a word or two: "credentials", "clock", "stream contacts".
        ok: Whether it is right.
        said: What was found, without values of objects and credentials.
        remedy: What to do; None where all is well.
    """

    what: str
    ok: bool
    said: str
    remedy: str | None = None

    def __str__(self) -> str:
        mark = "ok" if self.ok else "WRONG"
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{mark}: {self.what}: {self.said}{remedy}"


@frozen(kw_only=True)
class Diagnosis(AsDict):
    """What `Domain.doctor` found.

    Attributes:
        account: The account that was looked at.
        findings: What was looked at, in an order in which to put things right.
    """

    account: AccountKey
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether all is right."""
        return all(one.ok for one in self.findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))

    def __repr__(self) -> str:
        wrong = [one.what for one in self.findings if not one.ok]
        said = f"wrong: {', '.join(wrong)}" if wrong else f"{len(self.findings)} right"
        return f"<Diagnosis {self.account}: {said}>"

    def as_dict(self) -> dict[str, Any]:
        """The findings as values that JSON knows."""
        return {
            "account": str(self.account),
            "ok": self.ok,
            "findings": [one.as_dict() for one in self.findings],
        }
