"""What a document does: created, updated, unchanged; all or nothing; one at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.setup.rows import numbers_given_out, rows_of

from ratemill.setup.objects.registry import WRITABLE
from ratemill.setup.reading.export import export_document
from ratemill.setup.writing.apply import ApplyResult, apply_document
from ratemill.store import owners
from ratemill.store.connections import Database

FULL = (Path(__file__).parents[1] / "full.yaml").read_text()


def apply(database: Database, text: str, *, folder: Path | None = None, dry_run: bool = False) -> ApplyResult:
    return apply_document(database, text, folder, dry_run=dry_run, create_owner=True, created_by="test")


def value(database: Database, query: str):
    with database.worker() as connection:
        return connection.exec_driver_sql(query).scalar_one()


def test_every_member_of_every_list_is_read_kept_and_exported(database: Database):
    applied = apply(database, FULL)
    assert applied.errors == []
    exported = export_document(database, "full")
    for each in WRITABLE.values():
        assert f"\n{each.list_name}:\n" in exported
        for member in each.members:
            if member.name != "timePeriodName":  # no group can have one yet
                assert f"{member.name}:" in exported.split(f"\n{each.list_name}:\n")[1], (each.list_name, member.name)


def test_what_was_exported_changes_nothing_and_makes_another_owner_the_same(database: Database):
    apply(database, FULL)
    exported = export_document(database, "full")
    again = apply(database, exported)
    assert (again.errors, again.count("created"), again.count("updated"), again.version) == ([], 0, 0, None)
    other = exported.replace("owner: full", "owner: twin", 1)
    assert apply(database, other).errors == []
    assert export_document(database, "twin") == other
    assert export_document(database, "full") == exported


@pytest.mark.parametrize("owner", ["full", "nobody yet"])
def test_a_dry_run_says_the_same_and_writes_nothing(database: Database, owner):
    apply(database, FULL)
    text = f"""ratemill: 1
owner: {owner}
udrIdentifierTypes: [{{name: IMSI}}, {{name: MSISDN}}]
usageUnits: [{{name: Minutes}}]
usageClassTypes: [{{name: Z}}]
"""
    before = rows_of(database, with_locks=True), numbers_given_out(database)
    dry = apply(database, text, dry_run=True)
    assert (rows_of(database, with_locks=True), numbers_given_out(database)) == before
    wet = apply(database, text)
    assert [(each.list, each.key, each.action) for each in dry.items] == [
        (each.list, each.key, each.action) for each in wet.items
    ]
    assert dry.errors == wet.errors == []
    assert dry.count("created") > 0


def test_only_what_is_named_changes_and_null_clears(database: Database):
    apply(database, "ratemill: 1\nowner: parts\nusageClassTypes: [{name: A, sortOrder: 7}]\n")
    make = """ratemill: 1
owner: parts
accounts: [{name: A, currencyName: EUR, timeZone: Europe/Paris, usageBillDay: 5, start: 2020-01-01, end: 2021-01-01}]
"""
    first = apply(database, make)
    change = apply(database, "ratemill: 1\nowner: parts\naccounts: [{name: A, end: null, usageBillDay: null}]\n")
    assert (first.version, change.version, change.count("updated")) == (3, 4, 1)
    exported = export_document(database, "parts")
    assert '{name: A, currencyName: EUR, timeZone: Europe/Paris, start: "2019-12-31T23:00:00.000Z"}' in exported
    assert "sortOrder: 7" in exported
    assert value(database, "select revision from accounts where name = 'A' and bill_day = 1 and end_at is null") == 2


def test_scalars_stay_as_they_are_written(database: Database):
    names = [
        "0123",
        "NO",
        "12:30",
        "1e5",
        "0x10",
        "~x",
        "2021-01-01",
        "éü漢",
        'say "hi" \\ there',
        "a: b # c",
        "null",
        "a\nb",
    ]
    quoted = (
        '["0123", NO, 12:30, 1e5, 0x10, ~x, 2021-01-01, éü漢, "say \\"hi\\" \\\\ there", "a: b # c", "null", "a\\nb"]'
    )
    entries = ", ".join(f"{{name: {each}}}" for each in quoted[1:-1].split(", "))
    applied = apply(database, f"ratemill: 1\nowner: texts\nudrIdentifierTypes: [{entries}]\n")
    assert applied.errors == []
    assert [each.key for each in applied.items] == names
    assert apply(database, export_document(database, "texts")).count("unchanged") == len(names)


def test_numbers_are_read_by_their_digits_from_texts_and_numbers(database: Database):
    text = """{"ratemill": 1, "owner": "digits", "usageRateGroups": [{"name": "G", "currencyName": "USD"}],
    "usageClasses": [{"name": "c", "usageBaseUnitName": "Count"}],
    "usageRates": [{"usageRateGroupName": "G", "usageClassName": "c", "amount": 0.1000000001,
                    "connectionCharge": "1E-3"}]}"""
    assert apply(database, text).errors == []
    assert 'amount: "0.1000000001", connectionCharge: "0.001"' in export_document(database, "digits")


def test_references_may_point_forward_and_to_what_is_stored(database: Database):
    text = """ratemill: 1
owner: order
usageIdentifiers: [{udrUsageIdentifier: "1", accountName: A, accountServiceName: S}]
accountServices: [{accountName: A, name: S}]
accounts: [{name: A, currencyName: USD, parentAccountName: B}, {name: B, currencyName: USD}]
"""
    assert apply(database, text).errors == []
    more = """ratemill: 1
owner: order
usageIdentifiers: [{udrUsageIdentifier: "2", accountName: A, accountServiceName: S}]
"""
    assert apply(database, more).count("created") == 1


def test_what_is_stored_moves_below_what_is_new(database: Database):
    apply(
        database,
        "ratemill: 1\nowner: moving\ngeoTreeLocations: [{name: kid}]\naccounts: [{name: a, currencyName: USD}]",
    )
    text = """ratemill: 1
owner: moving
geoTreeLocations: [{name: kid, parentGeoTreeLocationName: mum}, {name: mum}]
accounts: [{name: b, currencyName: USD}, {name: a, parentAccountName: b}]
"""
    assert apply(database, text).errors == []
    after = (
        "select after ->> 'parentGeoTreeLocationName' from setup_changes where action = 'updated' and key_words = 'kid'"
    )
    assert value(database, after) == "mum"
    assert apply(database, text).count("unchanged") == 4


def test_two_owners_have_the_same_names(database: Database):
    for owner in ("left", "right"):
        text = f"ratemill: 1\nowner: {owner}\naccounts: [{{name: Same, currencyName: USD}}]\n"
        assert apply(database, text).count("created") == 1
    assert value(database, "select count(distinct owner_id) from accounts where name = 'Same'") == 2


def test_a_changed_profile_is_a_new_version_and_an_unchanged_one_is_not(database: Database):
    fields = "[{name: DateTime}, {name: UdrUsageIdentifier}, {name: Value}, {name: UsageClassName}]"
    text = f"ratemill: 1\nowner: versions\ndataProfiles: [{{name: P, format: csv, fields: {fields}}}]\n"
    change = "ratemill: 1\nowner: versions\ndataProfiles: [{name: P, delimiter: ;}]\n"
    actions = [apply(database, each).items[0].action for each in (text, text, change, change)]
    assert actions == ["created", "unchanged", "updated", "unchanged"]
    versions = "select string_agg(v.version || coalesce(v.document ->> 'delimiter', ','), ' ' order by v.version)"
    assert (
        value(
            database,
            versions + " from data_profile_versions v join data_profiles using (data_profile_id) where name = 'P'",
        )
        == "1, 2;"
    )


def test_a_list_may_be_a_csv_file(database: Database, tmp_path: Path):
    (tmp_path / "decks").mkdir()
    (tmp_path / "decks" / "a.csv").write_text(
        '\ufeffname,parentGeoTreeLocationName\r\nFrance,Europe\r\n"Paris\nSud",\r\n\r\nEurope,\r\n', encoding="utf-8"
    )
    (tmp_path / "groups.csv").write_text('name,geoTreeLocationNames,description\nG,"[France, Europe]",\n')
    text = """ratemill: 1
owner: csv
geoTreeLocations: {csv: decks/a.csv, defaults: {parentGeoTreeLocationName: France}}
geoTreeLocationGroups: {csv: groups.csv, defaults: {description: from the file}}
"""
    errors = apply(database, text, folder=tmp_path).as_json()["errors"]
    member = "parentGeoTreeLocationName"
    assert errors == [
        {"path": f"decks/a.csv:2.{member}", "line": 2, "message": "'France' would stand below itself"},
        {"path": f"decks/a.csv:6.{member}", "line": 6, "message": "'Europe' would stand below itself"},
    ]
    applied = apply(database, text.replace("Name: France}", "Name: Everywhere}"), folder=tmp_path)
    assert applied.errors == []
    entry = "{name: G, geoTreeLocationNames: [France, Europe], description: from the file}"
    assert entry in export_document(database, "csv")


def test_faults_of_a_csv_file_name_its_line_and_member(database: Database, tmp_path: Path):
    (tmp_path / "t.csv").write_text("name,sortOrder,colour\nA,1,\n\nB,x,\nC\n")
    text = "ratemill: 1\nusageClassTypes: {csv: t.csv, defaults: {sortOrder: 0}}\n"
    errors = apply(database, text, folder=tmp_path).as_json()["errors"]
    assert [(each["path"], each["line"], each["message"]) for each in errors] == [
        ("t.csv:1.colour", 1, "there is no member 'colour' in usageClassTypes"),
        ("usageClassTypes.defaults.sortOrder", 2, "'0' is not at least 1"),
        ("t.csv:4.sortOrder", 4, "'x' is not a whole number"),
        ("t.csv:5", 5, "the row has 1 cells, the header 3"),
    ]


def test_an_identifier_moves_from_one_service_to_another_in_one_document(database: Database):
    start = """ratemill: 1
owner: moves
accounts: [{name: A, currencyName: USD}]
accountServices: [{accountName: A, name: S}, {accountName: A, name: T}]
usageIdentifiers: [{udrUsageIdentifier: "1", accountName: A, accountServiceName: S}]
"""
    move = """ratemill: 1
owner: moves
usageIdentifiers:
  - {udrUsageIdentifier: "1", end: 2025-01-01}
  - {udrUsageIdentifier: "1", accountName: A, accountServiceName: T, start: 2025-01-01}
"""
    assert apply(database, start).errors == []
    moved = apply(database, move)
    assert (moved.errors, moved.count("updated"), moved.count("created")) == ([], 1, 1)


def test_two_documents_at_once_wait_for_each_other(database: Database):
    apply(database, "ratemill: 1\nowner: busy\n")
    with database.worker() as connection:
        owner_id = owners.find(connection, "busy")
        owners.lock_price_book(connection, owner_id or 0)
        done: list[ApplyResult] = []
        text = "ratemill: 1\nowner: busy\nusageClassTypes: [{name: A}]\n"
        threads = [threading.Thread(target=lambda: done.append(apply(database, text))) for _ in range(2)]
        for each in threads:
            each.start()
        threads[0].join(timeout=0.5)
        assert done == []
    for each in threads:
        each.join(timeout=30)
    assert sorted(each.count("created") for each in done) == [0, 1]
    assert [each.errors for each in done] == [[], []]


def test_the_last_guard_against_overlapping_identifiers_says_the_same(database: Database, monkeypatch):
    apply(database, FULL)
    monkeypatch.setattr("ratemill.setup.rules.spans.overlapping", lambda *_: iter(()))
    text = """ratemill: 1
owner: full
usageIdentifiers:
  - {udrUsageIdentifier: "0033 1", accountName: Child, accountServiceName: Line, start: 2024-01-01,
     udrIdentifierTypeName: MSISDN}
"""
    before = rows_of(database)
    (fault,) = apply(database, text).errors
    assert fault.path == "usageIdentifiers"
    assert fault.message == "an identifier belongs to a service already at that time"
    assert rows_of(database) == before


def test_data_profiles_may_be_in_a_csv_file(database: Database, tmp_path: Path):
    (tmp_path / "p.csv").write_text("name,delimiter,headerRow\nA,;,true\nB,,\nC,;,\n")
    fields = "[{name: DateTime}, {name: UdrUsageIdentifier}, {name: Value}, {name: UsageClassName}]"
    text = f"""ratemill: 1
owner: profiles
dataProfiles: {{csv: p.csv, defaults: {{format: csv, delimiter: "|", fields: {fields}}}}}
"""
    assert apply(database, text, folder=tmp_path).errors == []
    words = "name || (document ->> 'delimiter') || coalesce(document ->> 'headerRow', '')"
    query = f"select string_agg({words}, ' ' order by name)"
    where = " from data_profiles where owner_id = (select owner_id from owners where name = 'profiles')"
    assert value(database, query + where) == "A;true B| C;"
