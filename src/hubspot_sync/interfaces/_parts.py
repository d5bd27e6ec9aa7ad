"""What the parts of a host's have to have, asked where they are given."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from attrs import Attribute

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models._checks import Check, is_list, kind_of

T = TypeVar("T")
_MISSING: Final = "no method"


class Part(Check):
    """A part of the host's, by the methods that are asked of it; one of them may be `__call__`.

    Args:
        methods: What it has to have. None of them may be async: nobody would await it.
        classes: Whether a class will do, as a function that makes something.
    """

    def __init__(self, *methods: str, classes: bool = False) -> None:
        self._methods = methods
        self._classes = classes

    def __call__(
        self,
        instance: Any,  # noqa: ARG002 - the interface
        attribute: Attribute[Any],
        value: object,
    ) -> None:
        """Validate the field of an attrs class; the part is known by its name alone."""
        self.of(attribute.name, value)

    def of(self, name: str, value: object) -> None:
        """Refuse what is no such part.

        Raises:
            ConfigurationError: It is something else, a class, or async.
        """
        self._check(name, value, f"is {kind_of(value)}; give {self._described('a', '')}")

    def each_of(self, name: str, parts: Iterable[T]) -> tuple[T, ...]:
        """The *parts*, each of which is one.

        Raises:
            ConfigurationError: They are no list, or one of them is something else.
        """
        if not is_list(parts):
            raise ConfigurationError(f"{name} is {kind_of(parts)}; give a list, also of one")
        given = tuple(parts)
        for part in given:
            self._check(name, part, f"has {kind_of(part)}; give {self._described('', 's')}")
        return given

    def _check(self, name: str, value: object, problem: str) -> None:
        if isinstance(value, type) and not self._classes:
            raise ConfigurationError(f"{name} {problem}, here {value.__name__}(...)")
        for method in self._methods:
            found = getattr(value, method, _MISSING)
            # None is how a class says that it does without, as with `__hash__`.
            if found is not None and not callable(found):
                raise ConfigurationError(f"{name} {problem}")
            if is_async(value if method == "__call__" else found):
                what = name if method == "__call__" else f"{name}: `{method}`"
                raise ConfigurationError(
                    f"{what} is async, and would never be awaited; give one that is not, it may "
                    "block: each run has threads of its own"
                )

    def _described(self, article: str, plural: str) -> str:
        if self._methods == ("__call__",):
            what = f"{article} function{plural}"
        else:
            methods = " and ".join(f"`{method}`" for method in self._methods)
            several = "methods" if len(self._methods) > 1 else "a method"
            what = f"{article and 'an'} object{plural} with {several} {methods}"
        return f"{what.strip()}, see hubspot_sync.interfaces"


def is_async(function: object) -> bool:
    """Whether what it returns has to be awaited, or iterated over by `async for`."""
    inner = getattr(function, "func", None)  # of a functools.partial
    return any(
        inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
        for one in (function, inner, type(function).__dict__.get("__call__"))
    )


is_sink = Part("write")
is_checkpointer = Part(
    *("commit", "acquire", "renew", "release", "load", "survey", "recall"),
    *("streams", "browse", "count", "forget"),
)
is_token_store = Part("load", "save", "delete")
is_account_store = Part("due")
is_error_queue = Part("put")
is_nonce_store = Part("spend")
is_validator = Part("__call__")
is_observer = Part("notify")
is_function = Part("__call__", classes=True)
is_callback = Part("__call__")
is_cipher = Part("seal", "open")
is_clock = Part("now", "monotonic", "sleep", "random")
