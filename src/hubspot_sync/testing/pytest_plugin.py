"""The pytest plugin: the fixture `hubspot_emulator`.

Every pytest run on a machine with this package loads this module, so it imports the emulator
only when a test asks for one.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hubspot_sync.testing.emulator import HubSpotEmulator


@pytest.fixture
def hubspot_emulator() -> Iterator[Callable[..., HubSpotEmulator]]:
    """A function that starts an emulator: `hubspot_emulator(contacts=10)`.

    It takes the arguments of `HubSpotEmulator`, may be called several times in one test, and
    every emulator is closed when the test ends.
    """
    from hubspot_sync.testing.emulator import HubSpotEmulator  # noqa: PLC0415 - cheap plugin

    with ExitStack() as stack:

        def start(**settings: Any) -> HubSpotEmulator:
            return stack.enter_context(HubSpotEmulator(**settings))

        yield start
