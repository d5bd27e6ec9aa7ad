"""The host's own rules, asked before the sink is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from hubspot_sync.errors import ActionRejectedError
from hubspot_sync.interfaces._answers import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hubspot_sync.interfaces import Validator
    from hubspot_sync.models import Action


@frozen(kw_only=True)
class Refusal:
    """An action that was refused just now.

    Attributes:
        action: The action.
        reason: Why.
        error: The class of the error.
    """

    action: Action
    reason: str
    error: str = ActionRejectedError.__name__


def validated(
    actions: Iterable[Action], validators: Sequence[Validator]
) -> tuple[list[Action], list[Refusal]]:
    """The actions that all *validators* let pass, and the refusals of the others."""
    passed: list[Action] = []
    refusals: list[Refusal] = []
    for action in actions:
        refusal = _first_refusal(action, validators)
        if refusal is None:
            passed.append(action)
        else:
            refusals.append(refusal)
    return passed, refusals


def _first_refusal(action: Action, validators: Sequence[Validator]) -> Refusal | None:
    for validator in validators:
        refusal = _asked(validator, action)
        if refusal is not None:
            return refusal
    return None


def _asked(validator: Validator, action: Action) -> Refusal | None:
    try:
        reason: object = validator(action)
    except Exception as error:  # noqa: BLE001 - a host's mistake must not end the stream
        return Refusal(action=action, reason=_failed(validator, error), error=type(error).__name__)
    if reason is None:
        return None
    if isinstance(reason, str):
        return Refusal(action=action, reason=reason)
    kind = type(reason).__name__
    return Refusal(
        action=action, reason=f"the validator {_name(validator)} gave a {kind}, not a reason"
    )


def _failed(validator: Validator, error: Exception) -> str:
    """Which line failed and how, without the error's text, because that can hold values."""
    return (
        f"the validator {_name(validator)} failed with {type(error).__name__} ({place_of(error)})"
    )


def _name(validator: Validator) -> str:
    return getattr(validator, "__qualname__", type(validator).__qualname__)
