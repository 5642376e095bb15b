"""Time periods, usage buckets and their attachments over HTTP: what was read may be sent back, a broken rule is named."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.fixtures.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.store.connections import Database

GROUND = "ratemill: 1\nusageBucketBases: [{name: Volume, usageBucketBaseUnitName: Data}]\n"


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        made.apply(GROUND)
        yield made


def done(mine: Mill, method: str, path: str, body: Any = None) -> Any:
    answer = mine.request(method, path, content=None if body is None else json.dumps(body))
    assert answer.status_code == 200, answer.text
    return answer.json()


def made_at(mine: Mill, path: str, body: dict[str, Any]) -> dict[str, Any]:
    identity = done(mine, "POST", path, body)["results"]["items"][0]["identity"]
    shown: dict[str, Any] = done(mine, "GET", f"{path}/{identity}")["instance"]
    return shown


def test_a_bucket_is_made_shown_and_sent_back(mine: Mill):
    steps = [{"upTo": 100}, {"upTo": "250.50", "flat": 1}]
    bucket = {"name": "Steps", "usageBucketBaseNames": ["Volume"], "usageUnitName": "GB", "steps": steps}
    shown = made_at(mine, "/Usage/Bucket", bucket)
    assert shown["steps"] == [{"upTo": "100", "flat": "0"}, {"upTo": "250.5", "flat": "1"}]
    assert (shown["usageBucketBaseNames"], shown["size"], shown["whenEmpty"]) == (["Volume"], None, "next")
    done(mine, "PUT", f"/Usage/Bucket/{shown['identity']}", shown)
    assert done(mine, "GET", f"/Usage/Bucket/{shown['identity']}")["instance"] == shown
    body = json.dumps({"steps": [{"upTo": 5}, {"upTo": 4}]})
    refused = mine.request("PUT", f"/Usage/Bucket/{shown['identity']}", content=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "steps[1].upTo")


def test_a_bucket_is_attached_to_an_account_and_to_a_service(mine: Mill):
    bucket = made_at(mine, "/Usage/Bucket", {"name": "Both", "usageBucketBaseNames": ["Volume"], "size": "5"})
    held = {"accountName": "Acme", "usageBucketId": bucket["identity"], "start": "2026-01-01"}
    answer = done(mine, "POST", "/Account/UsageBucket", {**held, "start": "2020-01-01", "end": "2021-01-01"})
    (warning,) = answer["warnings"]
    assert warning["field"] == "usageBucketName"
    assert "buckets are not drawn on yet" in warning["message"]
    done(mine, "DELETE", f"/Account/UsageBucket/{answer['results']['items'][0]['identity']}")
    of_account = made_at(mine, "/Account/UsageBucket", held)
    assert (of_account["usageBucketName"], of_account["start"]) == ("Both", "2026-01-01T00:00:00.000Z")
    of_service = made_at(mine, "/Account/Service/UsageBucket", {**held, "accountServiceName": "Line"})
    assert (of_service["accountName"], of_service["accountServiceName"]) == ("Acme", "Line")
    for path, shown in (("/Account/UsageBucket", of_account), ("/Account/Service/UsageBucket", of_service)):
        done(mine, "PUT", f"{path}/{shown['identity']}", shown)
        assert mine.request("POST", path, content=json.dumps({**held, "accountServiceName": "Line"})).status_code == 400
    in_use = mine.request("DELETE", f"/Usage/Bucket/{bucket['identity']}")
    assert in_use.status_code == 400
    assert len(in_use.json()["errors"]) == 2
    done(mine, "DELETE", f"/Account/UsageBucket/{of_account['identity']}")
    done(mine, "DELETE", f"/Account/Service/UsageBucket/{of_service['identity']}")
    (gone, detached) = done(mine, "DELETE", f"/Usage/Bucket/{bucket['identity']}")["results"]["items"]
    assert (gone["dtoTypeKey"], detached["action"]) == ("usageBucket", "detached")


def test_a_time_period_is_made_shown_and_sent_back_and_no_rate_group_takes_it(mine: Mill):
    windows = [{"from": "22:00", "to": "06:00", "days": ["sat", "fri"]}]
    shown = made_at(mine, "/TimePeriod", {"name": "Nights", "timeZone": "Europe/Paris", "windows": windows})
    assert shown["windows"] == [{"days": ["fri", "sat"], "from": "22:00", "to": "06:00"}]
    done(mine, "PUT", f"/TimePeriod/{shown['identity']}", shown)
    assert done(mine, "GET", f"/TimePeriod/{shown['identity']}")["instance"] == shown
    group = {"name": "At night", "currencyName": "USD", "timePeriodId": shown["identity"]}
    refused = mine.request("POST", "/Usage/Rate/Group/", content=json.dumps(group))
    assert refused.status_code == 400
    assert "time periods are not rated yet" in refused.json()["errors"][0]["message"]
    done(mine, "DELETE", f"/TimePeriod/{shown['identity']}")


def test_what_money_is_attached_to_keeps_its_currency(mine: Mill):
    mine.apply("""ratemill: 1
usageBuckets: [{name: Yen, currencyName: JPY, size: 500}]
accounts: [{name: Tokyo, currencyName: JPY}, {name: Lyon, currencyName: EUR}]
accountServices: [{accountName: Tokyo, name: Line}]
accountServiceUsageBuckets: [{accountName: Tokyo, accountServiceName: Line, usageBucketName: Yen}]
""")
    account, service = (
        done(mine, "GET", f"/{path}/Paged?{query}")["pagedResults"]["items"][0]["identity"]
        for path, query in (("Account", "name=Tokyo"), ("Account/Service", "accountName=Tokyo"))
    )
    euros = {"currencyName": "EUR"}
    for method, path, body, field in (
        ("PUT", f"/Account/{account}", euros, "currencyName"),
        ("PATCH", f"/Account/{account}", {"details": euros}, "currencyName"),
        ("PUT", f"/Account/Service/{service}", {"accountName": "Lyon"}, "accountName"),
    ):
        refused = mine.request(method, path, content=json.dumps(body))
        assert refused.status_code == 400, refused.text
        (error,) = refused.json()["errors"]
        assert (error["code"], error["field"]) == (1608, field)
        assert "the bucket 'Yen' is attached, and holds JPY" in error["message"]
    (attached,) = done(mine, "GET", "/Account/Service/UsageBucket/Paged?usageBucketName=Yen")["pagedResults"]["items"]
    done(mine, "DELETE", f"/Account/Service/UsageBucket/{attached['identity']}")
    done(mine, "PUT", f"/Account/{account}", euros)
    done(mine, "PUT", f"/Account/Service/{service}", {"accountName": "Lyon"})
