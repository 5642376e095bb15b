"""Price lists in bulk: what they add, change, end, delete and refuse; a preview; in force for the next batch."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import structlog
from tests.fixtures.mill import Mill, guide_row, mill
from tests.fixtures.owners import token_of
from tests.setup.rows import numbers_given_out, rows_of
from typer.testing import CliRunner

from ratemill.cli import prices as prices_command
from ratemill.cli.app import app
from ratemill.setup.reading.export import export_document
from ratemill.store import owners
from ratemill.store.charges import charged_objects
from ratemill.store.setup import changes

BASE = """ratemill: 1
usageClasses:
  - {name: voice, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}
  - {name: sms, usageBaseUnitName: Count}
usageRoundings: [{name: minute, usageBaseUnitName: Time, increment: 60}]
geoTreeLocations: [{name: France}, {name: Spain}, {name: Italy}]
geoTreeLocationPatterns: [{name: 33, geoTreeLocationName: France}, {name: 34, geoTreeLocationName: Spain}]
usageRateGroups: [{name: World, currencyName: EUR}, {name: Other, currencyName: EUR}]
usageRates: {csv: rates.csv}
"""
STORED = """usageRateGroupName,usageClassName,geoTreeLocationName,amount,start,end,usageRoundingName
World,voice,France,0.01,2020-01-01,,minute
World,voice,Spain,0.02,2020-01-01,,
World,voice,Italy,0.03,2020-01-01,2021-01-01,
World,voice,Italy,0.04,2090-01-01,,
World,sms,,0.05,2020-01-01,,
Other,sms,,0.06,,,
"""
CSV = {"Content-Type": "text/csv"}
HEAD = "usageClassName,geoTreeLocationName,amount"


@pytest.fixture
def made(database, settings, request, tmp_path):
    with mill(database, settings, owner=request.node.name, document="ratemill: 1\n") as one:
        (tmp_path / "rates.csv").write_text(STORED)
        one.apply(BASE, tmp_path)
        yield one


def group_id(made: Mill, name: str = "World") -> int:
    statement = (
        "select rate_group_id from rate_groups g join owners o using (owner_id) where o.name = %s and g.name = %s"
    )
    return int(made.value(statement, made.owner, name))


def lay(made: Mill, text: str, status: int = 200, **query: str) -> Any:
    path = f"/Usage/Rate/Group/{group_id(made)}/PriceList"
    answer = made.request("POST", path, content=text.encode(), headers=CSV, params=query)
    assert answer.status_code == status, answer.text
    body = answer.json()
    return body["results"]["items"][0]["instance"] if status == 200 else body


def lay_patterns(made: Mill, text: str, status: int = 200, **query: str) -> Any:
    answer = made.request(
        "POST", "/GeoTree/Location/Pattern/PriceList", content=text.encode(), headers=CSV, params=query
    )
    assert answer.status_code == status, answer.text
    body = answer.json()
    return body["results"]["items"][0]["instance"] if status == 200 else body


def counts(instance: Any) -> tuple[int, int, int, int, int]:
    parts = (instance[name]["totalCount"] for name in ("added", "changed", "removed", "refused"))
    return (*parts, instance["unchangedCount"])


def rates(made: Mill) -> set[str]:
    """Return the rates of the group as the document has them, each as one text."""
    text = export_document(made.database, made.owner).split("usageRates:\n")[1]
    entries = [" ".join(entry.split()) for entry in text.split("  - ")[1:]]
    return {entry for entry in entries if "World" in entry}


def test_a_merge_adds_and_changes_and_removes_nothing(made: Mill):
    text = f"{HEAD},start\nvoice,France,0.015,2020-01-01\nvoice,Italy,0.035,2050-01-01\nsms,,0.05,2020-01-01\n"
    instance = lay(made, text, status=400)
    assert instance["errors"] == [
        {
            "code": 1608,
            "field": "start",
            "message": "row 2: holds at the same time as the stored one, 2090-01-01T00:00:00.000Z to open "
            "of the same group, class and place",
            "row": 2,
        }
    ]
    instance = lay(made, text.replace("2050-01-01", "2090-01-01"))
    assert counts(instance) == (0, 2, 0, 0, 1)
    changed = instance["changed"]["items"][0]
    assert (changed["row"], changed["line"], changed["before"], changed["after"]) == (
        1,
        2,
        {"amount": "0.01"},
        {"amount": "0.015"},
    )
    assert changed["key"] == "World / voice / France / 2020-01-01T00:00:00.000Z"
    assert len(rates(made)) == 5


def test_a_preview_says_the_same_and_writes_nothing(made: Mill):
    text = f"{HEAD}\nvoice,France,0.015\nvoice,Spain,0.02\nsms,,0.05\n"
    query: dict[str, Any] = {"mode": "replace", "effective": "2030-01-01"}
    before = rows_of(made.database, with_locks=True), numbers_given_out(made.database)
    preview = lay(made, text, preview="true", **query)
    assert (rows_of(made.database, with_locks=True), numbers_given_out(made.database)) == before
    assert counts(preview) == (1, 0, 2, 0, 2)
    done = lay(made, text, **query)
    assert preview["preview"] is True
    assert done["preview"] is False
    for one in (preview, done):
        one.pop("preview")
        for item in one["added"]["items"]:
            item.pop("identity")
    assert preview == done


def test_a_replacement_ends_what_holds_deletes_what_would_come_and_leaves_what_ended(made: Mill):
    instance = lay(made, f"{HEAD}\nvoice,France,0.015\nvoice,Spain,0.02\n", mode="replace", effective="2030-01-01")
    assert [(item["action"], item["key"]) for item in instance["removed"]["items"]] == [
        ("ended", "World / voice / France / 2020-01-01T00:00:00.000Z"),
        ("ended", "World / sms / 2020-01-01T00:00:00.000Z"),
        ("deleted", "World / voice / Italy / 2090-01-01T00:00:00.000Z"),
    ]
    assert instance["effective"] == "2030-01-01T00:00:00.000Z"
    assert instance["removed"]["items"][0]["after"] == {"end": "2030-01-01T00:00:00.000Z"}
    found = rates(made)
    assert len(found) == 5
    new = next(line for line in found if "0.015" in line)
    assert 'start: "2030-01-01T00:00:00.000Z"' in new
    assert "usageRoundingName: minute" in new, "what the row does not name is taken over"
    assert counts(lay(made, f"{HEAD}\nvoice,France,0.015\nvoice,Spain,0.02\n", mode="replace", effective="2031-01-01")) == (
        0, 0, 0, 0, 2,
    )  # fmt: skip
    assert made.value("select count(*) from rates join rate_groups g using (rate_group_id) where g.name = 'Other'") > 0


def test_a_rate_of_the_future_that_has_charges_stays(made: Mill):
    """Usage may be dated in the future too."""
    rate_id = made.value("select rate_id from rates where start_at = '2090-01-01' order by rate_id desc limit 1")
    owner_id = made.value("select owner_id from rates where rate_id = %s", rate_id)
    with made.database.worker() as connection:
        charged = dict.fromkeys(charged_objects.TABLES, ()) | {"rate_id": [rate_id]}
        charged_objects.note(connection, owner_id, charged, charged_objects.charged_object_cache())
    text = f"{HEAD}\nvoice,France,0.015\n"
    before = rates(made)
    body = lay(made, text, status=400, mode="replace", effective="2030-01-01")
    assert [f"({rate_id}) has charges" in each["message"] for each in body["errors"]] == [True]
    assert rates(made) == before


def test_a_replacement_of_one_class_leaves_the_others(made: Mill):
    query: dict[str, Any] = {"mode": "replace", "effective": "2030-01-01", "usageClassName": "voice"}
    instance = lay(made, "geoTreeLocationName,amount\nFrance,0.01\n", **query)
    assert [item["key"].split(" / ")[1:3] for item in instance["removed"]["items"]] == [
        ["voice", "Spain"],
        ["voice", "Italy"],
    ]
    assert any("sms" in line and "end" not in line for line in rates(made))


def test_a_merge_with_a_date_changes_the_places_that_it_names_at_that_date(made: Mill):
    instance = lay(made, f"{HEAD}\nvoice,Spain,0.025\n", effective="2030-01-01")
    assert counts(instance) == (1, 0, 1, 0, 0)
    assert len(rates(made)) == 6


def test_a_rate_in_force_is_not_deleted_by_a_date_before_its_start(made: Mill):
    body = lay(made, f"{HEAD}\nvoice,France,0.015\n", status=400, mode="replace", effective="2019-01-01")
    assert body["errors"][0]["row"] == 1, "it meets the one that holds"
    assert [error["message"] for error in body["errors"][1:]] == [
        f"the rate 'World / {each} / 2020-01-01T00:00:00.000Z' is in force already: "
        "the effective date must be after its start"
        for each in ("voice / France", "voice / Spain", "voice / Italy", "sms")
    ]


def test_every_refused_row_is_told_with_field_value_and_rule_and_nothing_is_written(made: Mill):
    rows = [
        "voice,Atlantis,0.01,",
        "fax,,0.01,",
        "voice,France,much,",
        "sms,France,0.01,",
        "sms,,0.07,,",
        "voice,Spain,0.5,",
    ]
    text = "\n".join([f"{HEAD},colour", *rows])
    before = rates(made)
    instance = lay(made, text, preview="true")
    refused = {(each["row"], each["field"], each["value"], each["rule"]) for each in instance["refused"]["items"]}
    assert refused == {
        (None, "colour", None, "member_unknown"),
        (1, "geoTreeLocationName", "Atlantis", "reference_not_found"),
        (2, "usageClassName", "fax", "reference_not_found"),
        (3, "amount", "much", "value_not_valid"),
        (4, "geoTreeLocationName", "France", "rule_broken"),
        (5, None, None, "value_not_valid"),
        (5, "start", None, "rule_broken"),
        (6, "start", None, "rule_broken"),
    }
    body = lay(made, text, status=400)
    assert (body["type"], len(body["errors"])) == ("update", 8)
    assert rates(made) == before


def test_a_list_of_another_group_is_refused(made: Mill):
    body = lay(made, "usageRateGroupName,usageClassName,amount\nOther,sms,1\n", status=400)
    assert body["errors"] == [
        {
            "code": 1608,
            "field": "usageRateGroupName",
            "message": "row 1: the list is of the rate group 'World'",
            "row": 1,
        }
    ]


def test_patterns_are_added_moved_and_deleted(made: Mill):
    text = "name,geoTreeLocationName\n33,Italy\n336,France\n"
    merged = lay_patterns(made, text, preview="true")
    assert counts(merged) == (1, 1, 0, 0, 0)
    assert merged["changed"]["items"][0]["before"] == {"geoTreeLocationName": "France"}
    replaced = lay_patterns(made, text, mode="replace")
    assert counts(replaced) == (1, 1, 1, 0, 0)
    assert replaced["removed"]["items"][0]["key"] == "34"
    assert counts(lay_patterns(made, text, mode="replace")) == (0, 0, 0, 0, 2)


def test_locations_are_made_where_that_is_asked_for(made: Mill):
    text = "name,geoTreeLocationName\n81,Japan\n8190,Japan\n351,Portugal\n33,France\n"
    body = lay_patterns(made, text, status=400)
    assert [(each["row"], each["field"]) for each in body["errors"]] == [
        (row, "geoTreeLocationName") for row in (1, 2, 3)
    ]
    instance = lay_patterns(made, text, createLocations="true")
    assert [item["name"] for item in instance["locationsAdded"]["items"]] == ["Japan", "Portugal"]
    assert counts(instance) == (3, 0, 0, 0, 1)
    assert instance["added"]["items"][0]["after"] == {"name": "81", "geoTreeLocationName": "Japan"}


def test_parameters_and_bodies_that_do_not_fit_are_refused(made: Mill):
    lay(made, HEAD, status=400, mode="burn")
    lay(made, HEAD, status=400, colour="red")
    lay(made, "", status=400)
    lay_patterns(made, "name\n1\n", status=400, effective="2030-01-01")
    path = f"/Usage/Rate/Group/{group_id(made)}/PriceList"
    assert made.request("POST", path, json={}).status_code == 415
    assert made.request("POST", path, content=b"\xff", headers=CSV).status_code == 400
    assert made.request("POST", "/Usage/Rate/Group/999999/PriceList", content=HEAD, headers=CSV).status_code == 404
    assert (
        made.request("POST", f"/Usage/Rate/Group/{10**30 - 1}/PriceList", content=HEAD, headers=CSV).status_code == 404
    )


def test_a_packed_list_is_unpacked_within_the_limit(made: Mill):
    path, headers = f"/Usage/Rate/Group/{group_id(made)}/PriceList?preview=true", {**CSV, "Content-Encoding": "gzip"}
    packed = gzip.compress(f"{HEAD},start\nsms,,0.05,2020-01-01\n".encode())
    assert made.request("POST", path, content=packed, headers=headers).status_code == 200
    assert made.request("POST", path, content=packed[:-9], headers=headers).status_code == 400
    bomb = gzip.compress(bytes(17 * 1024 * 1024))
    assert made.request("POST", path, content=bomb, headers=headers).status_code == 413


def test_who_may_only_read_lays_no_list_and_an_owner_sees_its_own_groups(made: Mill, database, settings):
    from ratemill.access.tokens import create_token

    token = create_token(database, owner_name=made.owner, role="read", name="reader")
    path = f"/Usage/Rate/Group/{group_id(made)}/PriceList"
    headers = {**CSV, "Authorization": f"Bearer {token}"}
    assert made.request("POST", path, content=HEAD, headers=headers).status_code == 403
    other = token_of(database, f"{made.owner} not", "setup", "other")
    headers["Authorization"] = f"Bearer {other}"
    assert made.request("POST", path, content=HEAD, headers=headers).status_code == 404


def test_a_list_holds_for_the_next_batch_and_no_batch_sees_half(database, settings):
    with mill(database, settings, owner="batches") as one:
        row = guide_row(1)
        one.post_rows(row)
        one.work()
        version = owners_version(one)
        path = f"/Usage/Rate/Group/{group_id(one, 'Main USD')}/PriceList"
        text = "usageClassName,amount\ndata_class,0.5\n"
        assert one.request("POST", path, content=text, headers=CSV).status_code == 200
        assert owners_version(one) == version + 1
        one.post_rows(guide_row(2))
        one.work()
        amounts = (
            "select amount from charges join owners o using (owner_id) where o.name = 'batches' order by submission_id"
        )
        assert [str(amount.normalize()) for (amount,) in one.rows(amounts)] == ["1.1562", "47"]
        assert one.request("POST", path, content=text, headers=CSV).status_code == 200
        assert owners_version(one) == version + 1, "what changes nothing raises no version"


def owners_version(made: Mill) -> int:
    with made.database.worker() as connection:
        return owners.version(connection, owners.find(connection, made.owner) or 0)


def test_the_log_of_changes_shows_what_reading_shows(made: Mill):
    text = f"{HEAD},start,connectionCharge\nvoice,France,0.015,2020-01-01,\nvoice,,0.1,2050-06-01,0.50\n"
    lay(made, text)
    lay_patterns(made, "name,geoTreeLocationName\n33,Italy\n336,France\n")
    for path, each in (("/Usage/Rate", "usageRates"), ("/GeoTree/Location/Pattern", "geoTreeLocationPatterns")):
        shown = {item["identity"]: item for item in made.request("GET", path).json()["items"]}
        query = {"list": each, "by": "tester", "pageSize": "2"}
        log = made.request("GET", "/Setup/Change/Paged", params=query).json()["pagedResults"]["items"]
        assert [change["after"] for change in log] == [shown[change["objectIdentity"]] for change in log]
        (updated,) = [change for change in log if change["action"] == "updated"]
        named = {"amount": "0.01"} if each == "usageRates" else {"geoTreeLocationName": "France"}
        assert {name: updated["before"][name] for name in named} == named
        assert updated["before"].keys() == updated["after"].keys()


def test_the_command_says_what_the_call_says(made: Mill, monkeypatch, tmp_path):
    from contextlib import nullcontext

    monkeypatch.setattr(prices_command, "existing_database", lambda: nullcontext(made.database))
    file = tmp_path / "list.csv"
    file.write_text(f"{HEAD}\nvoice,France,0.015\n")
    run = CliRunner()
    with structlog.testing.capture_logs():
        options = ["prices", str(file), "--group", "World", "--owner", made.owner, "--effective", "2030-01-01"]
        seen = run.invoke(app, [*options, "--preview", "--json"])
        assert (seen.exit_code, json.loads(seen.stdout)["added"]["totalCount"]) == (0, 1)
        done = run.invoke(app, options)
        assert done.stdout.endswith("1 added, 0 changed, 1 removed, 0 refused, 0 unchanged\n")
        file.write_text(f"{HEAD}\nvoice,Atlantis,0.015\n")
        refused = run.invoke(app, options)
        assert (refused.exit_code, refused.stderr) == (
            1,
            "row 1: there is no location 'Atlantis' (geoTreeLocationName)\n",
        )
        assert run.invoke(app, ["prices", str(file)]).exit_code != 0


def test_the_log_of_a_list_is_the_same_whether_its_rows_are_looked_up_or_read_together(
    database, settings, tmp_path, monkeypatch
):
    """How many rows are changed decides on how they are found: each way logs the same."""
    (tmp_path / "rates.csv").write_text(STORED)
    text = f"{HEAD}\nvoice,France,0.09\nvoice,Italy,0.04\nvoice,Portugal,0.05\nsms,,0.05\n"
    logged = []
    for most in (10_000, 0):
        monkeypatch.setattr(changes, "_LOOKED_UP_MAX", most)
        monkeypatch.setattr(changes, "_FEW_MAX", most)
        with mill(database, settings, owner=f"log-{most}", document="ratemill: 1\n") as one:
            one.apply(BASE, tmp_path)
            one.apply("ratemill: 1\ngeoTreeLocations: [{name: Portugal}]\n")
            lay(one, text, mode="replace", effective="2030-01-01")
            lay(one, text.replace("0.09", "0.10"), mode="merge", effective="2030-01-01")
            rows = one.rows(
                "select action, key_words, before->>'amount', after->>'amount', before->>'end', after->>'end',"
                " after->>'geoTreeLocationName' from setup_changes join owners o using (owner_id)"
                " where o.name = %s and list = 'usageRates'",
                one.owner,
            )
            logged.append(sorted(rows, key=str))
    assert logged[0] == logged[1]
    assert {action for action, *_ in logged[0]} == {"created", "updated", "deleted"}
