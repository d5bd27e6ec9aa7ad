"""For the tests of applications that embed `hubspot_sync`, and for our own.

`HubSpotEmulator` answers like HubSpot over real HTTP, `Fault` scripts what goes wrong there,
`ScriptedSource` reads what a test wrote down, and `ManualClock` is a clock that a test moves.
The names are loaded when they are first used, so importing this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubspot_sync.testing.clock import ManualClock
    from hubspot_sync.testing.emulator import Fault, HubSpotEmulator
    from hubspot_sync.testing.scripted import ScriptedSource

__all__ = ["Fault", "HubSpotEmulator", "ManualClock", "ScriptedSource"]


if not TYPE_CHECKING:  # else every name that is none would be Any

    def __getattr__(name: str) -> Any:
        if name == "ManualClock":
            from hubspot_sync.testing import clock  # noqa: PLC0415 - lazy on purpose

            return clock.ManualClock
        if name == "ScriptedSource":
            from hubspot_sync.testing import scripted  # noqa: PLC0415 - lazy on purpose

            return scripted.ScriptedSource
        if name in __all__:
            from hubspot_sync.testing import emulator  # noqa: PLC0415 - lazy on purpose

            return getattr(emulator, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
