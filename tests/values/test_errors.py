"""The tree of errors, and what each one tells."""

import builtins
import inspect
import pickle
import re
from datetime import timedelta

import pytest

import hubspot_sync
from hubspot_sync import errors


def classes():
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }


def test_the_tree_in_the_docstring_is_the_tree_of_classes():
    """The picture that everybody reads may not drift from the code."""
    drawn = re.findall(r"^([│├└─ ]*)(\w+Error)\b", errors.__doc__, flags=re.MULTILINE)
    parents = {}
    path = []
    for indent, name in drawn:
        depth = len(indent) // 3
        path[depth:] = [name]
        parents[name] = path[depth - 1] if depth else None

    assert {name: cls.__bases__[0].__name__ for name, cls in classes().items()} == {
        name: parent or "Exception" for name, parent in parents.items()
    }


def test_every_error_is_public():
    """A host catches what it can import."""
    assert set(classes()) <= set(hubspot_sync.__all__)


def test_an_error_says_where_it_happened():
    """Attributes for programs, the same in words for people."""
    error = errors.RateLimitedError(
        "slow down", policy="DAILY", retry_after=timedelta(seconds=1), status=429
    )
    error.locate(account="acme/1", stream="contacts").locate(stream="companies")

    assert str(error) == "slow down [account acme/1, stream contacts, HTTP 429]"
    assert error.stream == "contacts"
    assert error.retry_after == timedelta(seconds=1)


def test_its_repr_says_so_too():
    """Logs and debuggers show that, not the text."""
    error = errors.RateLimitedError("slow down", status=429, correlation_id="c-1")
    error.locate(account="acme/1", stream="contacts")

    assert repr(error) == (
        "RateLimitedError('slow down', account='acme/1', stream='contacts', status=429, "
        "correlation_id='c-1')"
    )
    assert repr(errors.ConfigurationError("no")) == "ConfigurationError('no')"


def test_some_errors_are_what_python_raises():
    """Callers who know nothing of us expect that; the tree names it in brackets."""
    drawn = re.findall(r"(\w+Error) \((\w+Error)\)", errors.__doc__)

    assert drawn == [
        ("ConfigurationError", "ValueError"),
        ("UnknownAccountError", "LookupError"),
    ]
    for ours, builtin in drawn:
        assert issubclass(getattr(errors, ours), getattr(builtins, builtin))


@pytest.mark.parametrize("name", ["NotConnectedError", "WrongAccountError"])
def test_what_a_person_has_to_connect_is_no_mistake_of_the_caller(name):
    """Who catches `AccessError` and sends a person to HubSpot does so for these, too."""
    kind = getattr(errors, name)

    assert issubclass(kind, errors.AccessError)
    assert not issubclass(kind, ValueError)


def test_an_error_travels_between_processes():
    """Whatever it was made with, and it says the same there."""
    made = [
        *(
            cls("too bad", account="acme/1", status=500)
            for name, cls in classes().items()
            if name not in ("ConsentError", "LeaseHeldError")
        ),
        errors.ConsentError("too bad", reason="expired"),
        errors.LeaseHeldError("too bad", owner="somebody", stream="contacts"),
        errors.RateLimitedError("too bad", policy="DAILY", retry_after=timedelta(hours=1)),
    ]

    for error in made:
        other = pickle.loads(pickle.dumps(error))

        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)
