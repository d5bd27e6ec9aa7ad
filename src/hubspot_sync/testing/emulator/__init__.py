"""A HubSpot look-alike over real HTTP, for tests, demonstrations and benchmarks.

From Python: `HubSpotEmulator`. From pytest: the fixture `hubspot_emulator`. From a shell:
`python -m hubspot_sync.testing.emulator --contacts 10000 --companies 2000`.
It is well-behaved until `Hostility` makes it as nasty as the real one has been seen to be.
It needs nothing but what `hubspot-sync` itself needs.

What it does is what HubSpot is known to do: "HubSpot 1.2" in its comments and tests is section 1.2
of `docs/hubspot.md`, which names the sources.

Inside are four rooms, one above the other: `server` (HTTP, routes, the control path), `endpoints`
(what HubSpot does), `hostility` (how it misbehaves) and `portal` (what is in an account). What is
public is named here.
"""

from hubspot_sync.testing.emulator.account import EmulatedAccount
from hubspot_sync.testing.emulator.calls import Call, CallLog
from hubspot_sync.testing.emulator.emulator import HubSpotEmulator
from hubspot_sync.testing.emulator.endpoints.oauth import App
from hubspot_sync.testing.emulator.hostility.faults import Fault, FaultScript
from hubspot_sync.testing.emulator.hostility.mischief import Lies
from hubspot_sync.testing.emulator.hostility.settings import Hostility, Meddling
from hubspot_sync.testing.emulator.portal.associations import AssociationType
from hubspot_sync.testing.emulator.portal.content import Content
from hubspot_sync.testing.emulator.portal.definitions import PropertyDefinition
from hubspot_sync.testing.emulator.portal.history import Change, History
from hubspot_sync.testing.emulator.portal.records import EmulatedRecord, Records, Truth
from hubspot_sync.testing.emulator.portal.reference import Owner, Pipeline, Reference, Stage
from hubspot_sync.testing.emulator.portal.relations import Relations

__all__ = [
    "App",
    "AssociationType",
    "Call",
    "CallLog",
    "Change",
    "Content",
    "EmulatedAccount",
    "EmulatedRecord",
    "Fault",
    "FaultScript",
    "History",
    "Hostility",
    "HubSpotEmulator",
    "Lies",
    "Meddling",
    "Owner",
    "Pipeline",
    "PropertyDefinition",
    "Records",
    "Reference",
    "Relations",
    "Stage",
    "Truth",
]
