"""The control path: the emulator's own API for tests in other processes.

`POST /_emulator/<verb>` takes the arguments of the method of that name as a JSON object; `PUT
/_emulator/hostility` takes the fields of `Hostility`, durations in seconds, and gives the others
their defaults; `GET /_emulator/...` looks. All this is for the first account;
`/_emulator/accounts/<number>/...` is the same for another one, and `POST /_emulator/accounts` adds
one. It needs no credentials and is not in the call log.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import orjson

from hubspot_sync.testing.emulator.hostility.faults import Fault
from hubspot_sync.testing.emulator.hostility.settings import Hostility
from hubspot_sync.testing.emulator.wire import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubspot_sync.testing.emulator.account import EmulatedAccount
    from hubspot_sync.testing.emulator.calls import CallLog
    from hubspot_sync.testing.emulator.hostility.faults import FaultScript

PREFIX: Final = "/_emulator"
_RECORD_PARTS: Final = 3
# The methods that another process may call, and what their result is called.
_VERBS: Final = {
    "archive": "",
    "restore": "",
    "merge": "id",
    "erase": "",
    "relabel": "",
    "withhold_scopes": "",
    "set_owner": "",
    "set_pipeline": "",
    "remove_pipeline": "",
    "touch": "ids",
    "bump": "ids",
    "recalculate": "ids",
    "create": "id",
    "add_object_type": "name",
    "remove_property": "",
    "define_label": "type_id",
    "update": "",
    "associate": "",
    "dissociate": "",
    "expire_access_tokens": "",
    "revoke_access": "",
    "delete_account": "",
    "settle_index": "",
}
# Of methods that take any number of something: the arguments before it, and what it is called.
_SPREAD: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "archive": (("object_type",), "object_ids"),
    "restore": (("object_type",), "object_ids"),
    "merge": (("object_type", "primary_id"), "object_ids"),
    "erase": (("object_type",), "object_ids"),
    "relabel": (("from_type", "from_id", "to_type", "to_id"), "labels"),
    "withhold_scopes": ((), "scopes"),
}


class Control:
    """Carries out control requests.

    Args:
        accounts: By number, the first one first.
        add: Adds one.
        describe: Where the emulator is and how to get in.
        faults: Those of all accounts.
        calls: Those of all accounts.
    """

    def __init__(
        self,
        accounts: Mapping[str, EmulatedAccount],
        add: Callable[..., EmulatedAccount],
        describe: Callable[[], Mapping[str, Any]],
        *,
        faults: FaultScript,
        calls: CallLog,
    ) -> None:
        self._accounts = accounts
        self._add_account = add
        self._describe = describe
        self._faults = faults
        self._calls = calls

    @property
    def _first(self) -> EmulatedAccount:
        return next(iter(self._accounts.values()))

    def before(self, application: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        """Answers control requests, and leaves all others to *application*."""

        def answer(request: Request) -> Answer:
            own = request.path == PREFIX or request.path.startswith(f"{PREFIX}/")
            return self(request) if own else application(request)

        return answer

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
        account = self._first
        arguments = orjson.loads(request.body) if request.body else {}
        if parts == ["accounts"]:
            return self._add(arguments) if request.method == "POST" else self._list(request)
        if parts[:1] == ["accounts"]:
            if parts[1] not in self._accounts:
                return None
            account, parts = self._accounts[parts[1]], parts[2:]
        if request.method == "GET":
            return self._look(account, parts)
        return self._change(account, request.method, parts, arguments)

    def _change(
        self, account: EmulatedAccount, method: str, parts: list[str], arguments: Any
    ) -> Mapping[str, Any] | None:
        if len(parts) != 1:
            return None
        if method == "PUT":
            return _put(account, parts[0], arguments)
        if method == "DELETE":
            return self._clear(account, parts[0])
        if (script := self._script(account, parts[0])) is not None:
            return _arm(script, arguments)
        return _edit(account, parts[0], arguments)

    def _list(self, request: Request) -> Mapping[str, Any] | None:
        if request.method != "GET":
            return None
        return {"accounts": [one.describe() for one in list(self._accounts.values())]}

    def _add(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        settings = dict(arguments)
        if settings.get("hostility"):
            settings["hostility"] = Hostility(**settings["hostility"])
        return self._add_account(**settings).describe()

    def _look(self, account: EmulatedAccount, parts: list[str]) -> Mapping[str, Any] | None:
        shown: dict[str, Callable[[], Mapping[str, Any]]] = {
            "": self._describe if account is self._first else account.describe,
            "hostility": account.hostility.to_json,
            "lies": lambda: {"counts": account.lies.counts()},
            "truth": lambda: {name: one.to_json() for name, one in account.truth().items()},
        }
        if "/".join(parts) in shown:
            return shown["/".join(parts)]()
        if len(parts) == 1 and (log := self._log(account, parts[0])) is not None:
            return {
                "counts": log.counts(),
                "statuses": {str(status): n for status, n in log.statuses().items()},
                "calls": [call.to_json() for call in log],
            }
        if parts[0] != "records" or not 1 < len(parts) <= _RECORD_PARTS:
            return None
        records = account.records(parts[1])
        if len(parts) == _RECORD_PARTS:
            return records[parts[2]].to_json()
        return {"records": {object_id: one.to_json() for object_id, one in records.items()}}

    def _log(self, account: EmulatedAccount, name: str) -> CallLog | None:
        own = {"calls": account.calls, "expired_calls": account.expired_calls}
        return {**own, "all_calls": self._calls}.get(name)

    def _script(self, account: EmulatedAccount, name: str) -> FaultScript | None:
        scripts = {"faults": account.faults, "shared_faults": self._faults}
        return scripts.get(name)

    def _clear(self, account: EmulatedAccount, name: str) -> Mapping[str, Any] | None:
        lies = account.lies if name == "lies" else None
        for found in (lies, self._script(account, name), self._log(account, name)):
            if found is not None:
                found.clear()
                return {}
        return None


def _put(
    account: EmulatedAccount, name: str, arguments: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    if name == "hostility":
        account.hostility = Hostility(**arguments)
        return account.hostility.to_json()
    if name == "scopes":
        account.scopes = arguments["scopes"]
        return {}
    if name == "access_token_lifetime":
        account.access_token_lifetime = arguments["seconds"]
        return {}
    return None


def _arm(script: FaultScript, arguments: Any) -> Mapping[str, Any]:
    faults = arguments if isinstance(arguments, list) else [arguments]
    script.add(*(Fault(**_with_bytes(fault)) for fault in faults))
    return {"armed": len(script)}


def _with_bytes(fault: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a fault; JSON has bytes as `body_base64`."""
    arguments = dict(fault)
    if "body_base64" in arguments:
        arguments["body"] = base64.b64decode(arguments.pop("body_base64"), validate=True)
    return arguments


def _edit(
    account: EmulatedAccount, verb: str, arguments: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    if verb == "add_property":
        account.add_property(
            arguments["object_type"],
            arguments["name"],
            type=arguments.get("type", "string"),
            values=arguments.get("values"),
        )
        return {}
    if verb == "changes":
        return {"changes": [one.to_json() for one in account.changes(**arguments)]}
    if verb not in _VERBS:
        return None
    first, several = _SPREAD.get(verb, ((), None))
    given = {name: value for name, value in arguments.items() if name not in {*first, several}}
    spread = arguments[several] if several else ()
    result = getattr(account, verb)(*(arguments[name] for name in first), *spread, **given)
    return {_VERBS[verb]: result} if _VERBS[verb] else {}
