"""Every body loads through the official client's own models, over the official client."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import HubSpotEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator

hubspot = pytest.importorskip("hubspot")


@pytest.fixture(scope="module")
def emulator() -> Iterator[HubSpotEmulator]:
    """A seeded account with one contact whose edges are known."""
    with HubSpotEmulator(contacts=40, companies=5, clock=ManualClock()) as started:
        started.create("companies", {"name": "Acme"}, object_id="999000000001")
        started.create("contacts", {"email": "one@example.com"}, object_id="999000000007")
        started.create("contacts", {"email": "two@example.com"}, object_id="999000000008")
        edge = ("contacts", "999000000007", "companies", "999000000001")
        started.associate(*edge, primary=True, label="Billing contact")
        yield started


@pytest.fixture(scope="module")
def client(emulator):
    """The official client, sent to the emulator by its own `host` setting."""
    return hubspot.Client.create(access_token=emulator.access_token, host=emulator.base_url)


def test_list(client, emulator):
    """`crm.objects.BasicApi.get_page`, with properties, associations and paging."""
    page = client.crm.objects.basic_api.get_page(
        "contacts", limit=30, properties=["email", "city"], associations=["companies"]
    )
    truth = emulator.records("contacts")
    assert [one.id for one in page.results] == list(truth)[:30]
    assert page.paging.next.after == list(truth)[30]
    for one in page.results:
        assert one.properties["email"] == truth[one.id].properties["email"]
        assert one.updated_at == truth[one.id].modified_at
        inline = one.associations["companies"].results if one.associations else []
        assert {edge.id for edge in inline} == set(truth[one.id].associations.get("companies", {}))


def test_get(client):
    """`crm.objects.BasicApi.get_by_id`."""
    one = client.crm.objects.basic_api.get_by_id(
        "contacts", "999000000007", associations=["companies"]
    )
    kinds = [edge.type for edge in one.associations["companies"].results]
    assert kinds == ["contact_to_company", "contact_to_company_unlabeled", "billing_contact"]


def test_search(client):
    """`crm.objects.SearchApi.do_search`."""
    request = hubspot.crm.objects.PublicObjectSearchRequest(
        filter_groups=[
            {
                "filters": [
                    {"propertyName": "hs_object_id", "operator": "GTE", "value": "999000000000"}
                ]
            }
        ],
        sorts=["hs_object_id"],
        properties=["email"],
        limit=1,
        after="0",
    )
    page = client.crm.objects.search_api.do_search("contacts", request)
    assert page.total == 2
    assert page.results[0].properties["email"] == "one@example.com"
    assert page.paging.next.after == "1"


@pytest.mark.parametrize(
    ("ids", "model"),
    [
        (["999000000007"], "BatchResponseSimplePublicObject"),
        (["999000000007", "5"], "BatchResponseSimplePublicObjectWithErrors"),
    ],
)
def test_batch_read(client, ids, model):
    """`crm.objects.BatchApi.read`: 200 and 207 are different models."""
    request = hubspot.crm.objects.BatchReadInputSimplePublicObjectId(
        inputs=[{"id": one} for one in ids], properties=["email"], properties_with_history=[]
    )
    answer = client.crm.objects.batch_api.read("contacts", request)
    assert type(answer).__name__ == model
    assert [one.id for one in answer.results] == ["999000000007"]
    if len(ids) > 1:
        assert answer.errors[0].category == "OBJECT_NOT_FOUND"


@pytest.mark.parametrize(
    ("ids", "model"),
    [
        (["999000000007"], "BatchResponsePublicAssociationMultiWithLabel"),
        (
            ["999000000007", "999000000008"],
            "BatchResponsePublicAssociationMultiWithLabelWithErrors",
        ),
    ],
)
def test_associations_batch(client, ids, model):
    """`crm.associations.v4.BatchApi.get_page`: 200 and 207."""
    from hubspot.crm.associations.v4 import BatchInputPublicFetchAssociationsBatchRequest

    request = BatchInputPublicFetchAssociationsBatchRequest(inputs=[{"id": one} for one in ids])
    answer = client.crm.associations.v4.batch_api.get_page("contacts", "companies", request)
    assert type(answer).__name__ == model
    (edge,) = answer.results[0].to
    assert str(edge.to_object_id) == "999000000001"
    assert [kind.type_id for kind in edge.association_types][:2] == [1, 279]


def test_associations_of_one(client):
    """`crm.associations.v4.BasicApi.get_page`."""
    page = client.crm.associations.v4.basic_api.get_page("contacts", "999000000007", "companies")
    assert [kind.label for kind in page.results[0].association_types] == [
        "Primary",
        None,
        "Billing contact",
    ]


def test_labels(client):
    """`crm.associations.v4.schema.DefinitionsApi.get_all`."""
    answer = client.crm.associations.v4.schema.definitions_api.get_all("contacts", "companies")
    assert [kind.type_id for kind in answer.results][:2] == [1, 279]


def test_properties(client):
    """`crm.properties.CoreApi.get_all` and `get_by_name`."""
    by_name = {one.name: one for one in client.crm.properties.core_api.get_all("contacts").results}
    assert by_name["hs_email_optout"].type == "bool"
    assert by_name["hs_email_optout"].options[0].value == "true"
    assert by_name["email"].modification_metadata.read_only_value is False
    assert client.crm.properties.core_api.get_by_name("contacts", "email").name == "email"


def test_tokens(client, emulator):
    """`oauth.TokensApi.create`, which knows v1 only."""
    answer = client.oauth.tokens_api.create(
        grant_type="refresh_token",
        client_id=emulator.client_id,
        client_secret=emulator.client_secret,
        refresh_token=emulator.refresh_token,
    )
    assert answer.expires_in == 1800
    fresh = hubspot.Client.create(access_token=answer.access_token, host=emulator.base_url)
    assert fresh.crm.objects.basic_api.get_page("companies").results


def test_consent(client, emulator):
    """`hubspot.utils.oauth.get_auth_url`, and the exchange of what comes back."""
    from hubspot.utils.oauth import get_auth_url

    back = "https://host.example/callback"
    scopes = ("oauth", "crm.objects.contacts.read")
    url = get_auth_url(scope=scopes, client_id=emulator.client_id, redirect_uri=back, state="s")
    account = emulator.add_account(contacts=3, installed=False)
    sent = parse_qs(urlsplit(emulator.consent(url, account.account_id)).query)
    assert sent["state"] == ["s"]

    answer = client.oauth.tokens_api.create(
        grant_type="authorization_code",
        client_id=emulator.client_id,
        client_secret=emulator.client_secret,
        redirect_uri=back,
        code=sent["code"][0],
    )

    opened = hubspot.Client.create(access_token=answer.access_token, host=emulator.base_url)
    page = opened.crm.objects.basic_api.get_page("contacts")
    assert [one.id for one in page.results] == list(account.records("contacts"))


def test_errors(client):
    """A refusal arrives as the client's own exception with HubSpot's body."""
    with pytest.raises(hubspot.crm.objects.ApiException) as caught:
        client.crm.objects.basic_api.get_by_id("contacts", "5")
    assert caught.value.status == 404
    assert "OBJECT_NOT_FOUND" in caught.value.body
