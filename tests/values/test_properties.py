"""Which properties are asked for: names, patterns, exclusions, and mistakes in them."""

from __future__ import annotations

import pytest

from hubspot_sync import ConfigurationError, StreamSettings
from hubspot_sync._hubspot.records.properties import choose_properties
from hubspot_sync.models import PropertyDefinition

NAMES = ("email", "firstname", "hs_analytics_source", "hs_analytics_visits", "hs_object_id", "zip")
DEFINITIONS = [PropertyDefinition(name=n, type="string", field_type="text") for n in NAMES[::-1]]


def chosen(*names, **settings):
    """What is asked for when *names* are wanted."""
    return choose_properties(
        StreamSettings(object_type="contacts", properties=names or None, **settings), DEFINITIONS
    )


def test_all_are_asked_for_by_default():
    """In an order that does not depend on HubSpot's."""
    assert chosen() == NAMES


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["zip", "email"], ["zip", "email"]),
        (["hs_analytics_*"], ["hs_analytics_source", "hs_analytics_visits"]),
        (["zip", "*name", "z?p"], ["zip", "firstname"]),
        (["*"], NAMES),
        (["*_*_v*", "email"], ["hs_analytics_visits", "email"]),
    ],
)
def test_names_and_patterns_are_asked_for_once_in_their_order(wanted, expected):
    """What a pattern matches is sorted."""
    assert chosen(*wanted) == tuple(expected)


@pytest.mark.parametrize(
    ("wanted", "exclude", "expected"),
    [
        ((), ["hs_*", "zip"], ["email", "firstname"]),
        (["email", "zip"], ["zip"], ["email"]),
        (["email"], ["hs_*"], ["email"]),
        ((), ["*"], ["hs_object_id"]),
    ],
)
def test_what_is_excluded_is_not_asked_for(wanted, exclude, expected):
    """Asked for nothing at all, HubSpot would choose by itself."""
    assert chosen(*wanted, exclude=exclude) == tuple(expected)


def test_no_properties_are_those_that_hubspot_always_sends():
    """An empty list is not the same as none given."""
    nothing = StreamSettings(object_type="contacts", properties=())

    assert choose_properties(nothing, DEFINITIONS) == ("hs_object_id",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"properties": ["fristname"]}, r"no property 'fristname' \(did you mean 'firstname'\?\);"),
        ({"properties": ["Email"]}, "no property 'Email'"),
        ({"properties": ["HS_*"]}, r"no property that matches 'HS_\*';"),
        ({"properties": ["email", "?"]}, r"no property that matches '\?';"),
        ({"exclude": ["shoe_size"]}, "no property 'shoe_size'"),
        ({"exclude": ["shoe_*"]}, r"no property that matches 'shoe_\*'"),
        ({"properties": [""]}, "a list of names was expected, and '' is none"),
        ({"properties": [f"q{n}" for n in range(7)]}, "and 2 more; correct"),
    ],
)
def test_what_the_account_does_not_have_is_an_error(settings, said):
    """HubSpot drops it silently."""
    with pytest.raises(ConfigurationError, match=said):
        choose_properties(StreamSettings(object_type="contacts", **settings), DEFINITIONS)
