"""For the reference: signatures of classes whose `__init__` attrs or msgspec makes."""

from __future__ import annotations

from typing import Any

import griffe

_DECORATORS = {"frozen", "define"}


class MadeSignatures(griffe.Extension):
    """Gives each such class the `__init__` that it has when it runs."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Look at a class when all of it was read."""
        by_name = _takes_names_only(cls)
        if by_name is None or "__init__" in cls.members:
            return
        fields = [one for one in cls.members.values() if one.is_attribute and _is_field(one)]
        if not fields or any(one.name.startswith("_") for one in fields):
            return
        parameters = [
            griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword),
            *(
                griffe.Parameter(
                    one.name,
                    annotation=one.annotation,
                    default=_default(one.value),
                    kind=griffe.ParameterKind.keyword_only
                    if by_name or "kw_only=True" in str(one.value)
                    else griffe.ParameterKind.positional_or_keyword,
                )
                for one in fields
            ),
        ]
        cls.set_member(
            "__init__",
            griffe.Function("__init__", parameters=griffe.Parameters(*parameters), parent=cls),
        )


def _takes_names_only(cls: griffe.Class) -> bool | None:
    """Whether arguments go by name only; None where neither library makes the class."""
    for decorator in cls.decorators:
        value = decorator.value
        name = str(value.function if isinstance(value, griffe.ExprCall) else value)
        if name in _DECORATORS:
            return "kw_only=True" in str(value)
    if any(str(base) == "Struct" for base in cls.bases):
        return str(cls.keywords.get("kw_only")) == "True"
    return None


def _is_field(one: Any) -> bool:
    """Whether the attribute is an argument: annotated, in the class itself, and not left out."""
    if one.annotation is None or "property" in one.labels:
        return False
    return "ClassVar" not in str(one.annotation) and "init=False" not in str(one.value)


def _default(value: Any) -> Any:
    """What stands for the argument that is left out; None where it has to be given."""
    if not isinstance(value, griffe.ExprCall) or str(value.function) != "field":
        return value
    given = {one.name: one.value for one in value.arguments if isinstance(one, griffe.ExprKeyword)}
    if "factory" in given:
        return f"{given['factory']}()"
    return given.get("default")
