"""What the benchmarks run, each in a process of its own that ends with one line of JSON.

python benchmarks/workloads.py engine BASE_URL MONGODB_URI
python benchmarks/workloads.py bare BASE_URL MONGODB_URI
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time

ACCOUNT_ID = "62515"
ACCESS_TOKEN = "pat-na1-emulator"
# What both workloads read of each contact: twenty properties, of every type that there is.
PROPERTIES = (
    "address",
    "associatedcompanyid",
    "city",
    "closedate",
    "company",
    "contract_end",
    "country",
    "createdate",
    "email",
    "firstname",
    "hs_email_optout",
    "hs_lead_status",
    "hs_object_id",
    "jobtitle",
    "lastmodifieddate",
    "lastname",
    "lifecyclestage",
    "phone",
    "topics_of_interest",
    "total_revenue",
)


def engine(base_url: str, mongodb_uri: str) -> int:
    """The whole pipeline into MongoDB: contacts with their companies' ids."""
    from hubspot_sync import Account, HubSpotSettings, StaticAccessToken, StreamSettings, SyncEngine
    from hubspot_sync.stores.mongodb import MongoStores

    contacts = StreamSettings(
        object_type="contacts", properties=PROPERTIES, associations=("companies",)
    )
    account = Account(account_id=ACCOUNT_ID, streams=(contacts,))
    hubspot = HubSpotSettings(base_url=base_url, burst_limit=None, search_limit=None)
    with SyncEngine(MongoStores(mongodb_uri), hubspot=hubspot) as sync_engine:
        sync_engine.store_credentials(account, StaticAccessToken(ACCESS_TOKEN))
        report = sync_engine.sync(account)
    report.raise_for_failure()
    return report.counts.delivered


def bare(base_url: str, mongodb_uri: str) -> int:
    """The least that anybody could do: raw transport, one decode, `insert_many`.

    It checks nothing, remembers nothing, and starts again after any fault.
    """
    import orjson
    import pymongo
    from hubspot.crm.objects import ApiClient, Configuration

    client = ApiClient(Configuration(host=base_url))
    mongo = pymongo.MongoClient(mongodb_uri, w="majority")
    actions = mongo.get_default_database()["bare_actions"]
    headers = {"Authorization": f"Bearer {ACCESS_TOKEN}"}

    def get(path, query):
        response = client.call_api(
            path, "GET", query_params=query, header_params=dict(headers), _preload_content=False
        )
        return orjson.loads(response.data)

    names = ",".join(PROPERTIES)
    after, count, waiting = None, 0, []
    while True:
        query = [("limit", "100"), ("properties", names), ("associations", "companies")]
        page = get("/crm/objects/2026-03/contacts", query + ([("after", after)] if after else []))
        waiting.extend(document(row) for row in page["results"])
        after = page.get("paging", {}).get("next", {}).get("after")
        if len(waiting) >= 1_000 or (waiting and not after):
            actions.insert_many(waiting, ordered=False)
            count += len(waiting)
            waiting = []
        if not after:
            return count


def document(row):
    """The document that the engine would store."""
    from datetime import datetime

    edges = row.get("associations", {}).get("companies", {}).get("results", ())
    return {
        "_id": f"default:{ACCOUNT_ID}:contacts:{row['id']}:{row['updatedAt']}",
        "domain_id": "default",
        "account_id": ACCOUNT_ID,
        "object_type": "contacts",
        "object_id": row["id"],
        "kind": "Created",
        "name": "Contact Created",
        "version": 1,
        "occurred_at": datetime.fromisoformat(row["createdAt"].replace("Z", "+00:00")),
        "stored_at": datetime.fromisoformat(row["updatedAt"].replace("Z", "+00:00")),
        "properties": row["properties"],
        "associations": {
            "companies": [
                {"id": edge["id"], "primary": False, "types": [edge["type"]]} for edge in edges
            ]
        },
    }


def main() -> None:
    """Run one workload and print what it took."""
    logging.basicConfig(level=logging.WARNING)
    name, base_url, mongodb_uri = sys.argv[1:]
    workload = {"engine": engine, "bare": bare}[name]
    started = time.perf_counter()
    records = workload(base_url, mongodb_uri)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result = {
        "records": records,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_megabytes": usage.ru_maxrss / 1024,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
