"""The control path: the emulator's own API for tests in other processes.

`POST /_emulator/<verb>` takes the arguments of the method of that name as a JSON object; `PUT
/_emulator/hostility` takes the fields of `Hostility`, durations in seconds, and gives the others
their defaults; `GET /_emulator/...` looks. It needs no credentials and is not in the call log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from hubspot_sync.testing.emulator._faults import Fault
from hubspot_sync.testing.emulator._hostility import Hostility
from hubspot_sync.testing.emulator._wire import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubspot_sync.testing.emulator._emulator import HubSpotEmulator

PREFIX: Final = "/_emulator"
_RECORD_PARTS: Final = 3
# The methods that another process may call, and what their result is called.
_VERBS: Final = {
    "touch": "ids",
    "bump": "ids",
    "create": "id",
    "define_label": "type_id",
    "update": "",
    "associate": "",
    "dissociate": "",
    "expire_access_tokens": "",
    "revoke_access": "",
    "settle_index": "",
}


class Control:
    """Carries out control requests."""

    def __init__(self, emulator: HubSpotEmulator) -> None:
        self._emulator = emulator

    def __call__(self, request: Request) -> Answer:
        """Do what is asked: 200 with a JSON object, 400 for wrong arguments, 404."""
        parts = [part for part in request.path[len(PREFIX) :].split("/") if part]
        try:
            content = self._do(request, parts)
        except (TypeError, ValueError, KeyError) as error:
            # A KeyError's text is the quoted repr of its argument.
            reason = error.args[0] if error.args else repr(error)
            return Answer(status=400, body=orjson.dumps({"error": str(reason)}))
        if content is None:
            return Answer(status=404, body=orjson.dumps({"error": f"no such path {request.path}"}))
        return Answer(body=orjson.dumps(content))

    def _do(self, request: Request, parts: list[str]) -> Mapping[str, Any] | None:
        if request.method == "GET" or len(parts) != 1:
            return self._look(parts) if request.method == "GET" else None
        arguments = orjson.loads(request.body) if request.body else {}
        if request.method == "PUT":
            return self._put(parts[0], arguments)
        if request.method == "DELETE":
            return self._clear(parts[0])
        if parts[0] == "faults":
            return self._arm(arguments)
        if parts[0] == "archive":
            self._emulator.archive(arguments["object_type"], *arguments["object_ids"])
            return {}
        return self._edit(parts[0], arguments)

    def _look(self, parts: list[str]) -> Mapping[str, Any] | None:
        if not parts:
            return self._emulator.describe()
        if parts == ["hostility"]:
            return self._emulator.hostility.to_json()
        if parts == ["calls"]:
            calls = self._emulator.calls
            return {
                "counts": calls.counts(),
                "statuses": {str(status): n for status, n in calls.statuses().items()},
                "calls": [call.to_json() for call in calls],
            }
        if parts[0] != "records" or not 1 < len(parts) <= _RECORD_PARTS:
            return None
        records = self._emulator.records(parts[1])
        if len(parts) == _RECORD_PARTS:
            return records[parts[2]].to_json()
        return {"records": {object_id: one.to_json() for object_id, one in records.items()}}

    def _put(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if name == "hostility":
            self._emulator.hostility = Hostility(**arguments)
            return self._emulator.hostility.to_json()
        if name == "scopes":
            self._emulator.scopes = arguments["scopes"]
            return {}
        return None

    def _clear(self, name: str) -> Mapping[str, Any] | None:
        if name == "faults":
            self._emulator.faults.clear()
        elif name == "calls":
            self._emulator.calls.clear()
        else:
            return None
        return {}

    def _arm(self, arguments: Any) -> Mapping[str, Any]:
        faults = arguments if isinstance(arguments, list) else [arguments]
        self._emulator.faults.add(*(Fault(**fault) for fault in faults))
        return {"armed": len(self._emulator.faults)}

    def _edit(self, verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if verb not in _VERBS:
            return None
        result = getattr(self._emulator, verb)(**arguments)
        return {_VERBS[verb]: result} if _VERBS[verb] else {}
