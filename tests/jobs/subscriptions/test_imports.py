"""The job of an import of subscription objects: each line comes to one end, once, and what is refused was never there."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.fixtures.mill import GUIDE, Mill
from tests.fixtures.processes import started, wait_until, was_killed

from ratemill.catalog.subscriptions import writing
from ratemill.jobs.runner import Runner
from ratemill.jobs.subscriptions import imports
from ratemill.store import work_attempts
from ratemill.store.subscriptions import jobs
from ratemill.store.subscriptions import objects as subscription_objects
from ratemill.subscription_objects import ObjectKind

EXAMPLE = Path(__file__).parents[3] / "examples/subscriptions/subscription_all_types.jsonl"
ACCOUNT = "3f1c2a64-6d2e-4a6e-9f0b-2c7a8b1d4e55"
PERSON = {"account_id": ACCOUNT, "name": "Albert Einstein", "email": "albert@example.com"}


def line(kind: str, **attributes: Any) -> str:
    return json.dumps({"data": {"type": kind, "attributes": attributes}})


def product(ref: str, **more: Any) -> str:
    return line("subscription_product", external_ref=ref, name=f"Product {ref}", **more)


def plan(ref: str, **more: Any) -> str:
    terms = {"billing_interval_type": "month", "billing_frequency": 1, "plan_length": 12, "end_behavior": "roll"}
    can = dict.fromkeys(("can_pause", "can_resume", "can_cancel"), True)
    return line("subscription_plan", external_ref=ref, name=f"Plan {ref}", **terms, **can, **more)


def offering(ref: str, products: list[Any], plans: list[Any]) -> str:
    return line("subscription_offering", external_ref=ref, name=f"Offering {ref}", products=products, plans=plans)


def subscription(ref: str, **more: Any) -> str:
    way = {} if "offering" in more else {"offering_external_ref": "off", "selected_plan": "pl"}
    return line("subscription", external_ref=ref, **PERSON, currency="USD", **(way | more))


def sold(at: int) -> list[str]:
    """Return the lines of a file of all kinds, subscriptions first, so that each refers to what comes later."""
    subscriptions = [subscription(f"sub-{number}") for number in range(at)]
    return [*subscriptions, offering("off", ["pr"], ["pl"]), plan("pl"), product("pr")]


def send(guide: Mill, lines: list[str] | bytes, query: str = "") -> str:
    """Send a file; return the id of its import."""
    body = lines if isinstance(lines, bytes) else "\n".join(lines).encode()
    answer = guide.request("POST", f"v2/subscriptions/imports{query}", files={"import_file": body})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def run(guide: Mill) -> None:
    """Let a runner work until nothing is due."""
    runner = Runner(guide.database, guide.settings, Event())
    while runner.step():
        pass


def shown(guide: Mill, import_id: str) -> dict[str, Any]:
    """Return an import; its counts tie, kind by kind."""
    found: dict[str, Any] = guide.request("GET", f"v2/subscriptions/imports/{import_id}").json()["data"]
    statement = "select lines, lines_refused, faults from subscription_imports where import_id = %s"
    lines, refused, faults = guide.rows(statement, import_id)[0]
    records = found["meta"]["records"]
    if found["attributes"]["status"] == "success":
        assert lines == refused + sum(records["imported"].values())
    for kind in ObjectKind:
        refused_of_kind = guide.value(
            """select count(distinct e.line_number) from subscription_import_errors e
            join subscription_imports using (import_number) join subscription_import_lines l
                on l.import_number = e.import_number and l.line_number = e.line_number
            where import_id = %s and l.kind = %s""",
            import_id,
            kind,
        )
        if found["attributes"]["status"] == "success":
            assert records["uploaded"][kind.wire] == records["imported"][kind.wire] + refused_of_kind
    of_import = "from subscription_import_errors join subscription_imports using (import_number) where import_id = %s"
    assert guide.rows(f"select count(distinct line_number), count(*) {of_import}", import_id) == [(refused, faults)]
    return found


def imported(guide: Mill, lines: list[str] | bytes, query: str = "") -> tuple[int, ...]:
    """Import a file; return how many of each kind were imported."""
    import_id = send(guide, lines, query)
    run(guide)
    found = shown(guide, import_id)
    assert found["attributes"]["status"] == "success"
    return tuple(found["meta"]["records"]["imported"].values())


def errors(guide: Mill) -> list[tuple[int, str, str]]:
    """Return the faults of the last import: line, field, error."""
    return guide.rows(
        """select line_number, field, error from subscription_import_errors
        where import_number = (select max(import_number) from subscription_imports) order by line_number, position"""
    )


def objects(guide: Mill) -> dict[tuple[int, str | None], dict[str, Any]]:
    """Return the attributes of all objects by kind and reference."""
    found = guide.rows("select kind, external_ref, attributes from subscription_objects")
    return {(kind, ref): json.loads(text) for kind, ref, text in found}


def test_the_example_of_all_types_is_imported_whole(guide: Mill):
    assert imported(guide, EXAMPLE.read_bytes()) == (1, 2, 1, 1, 2)
    made = objects(guide)
    for text in EXAMPLE.read_text().splitlines():
        data = json.loads(text)["data"]
        kind = next(each for each in ObjectKind if each.wire == data["type"])
        assert made[kind, data["attributes"].get("external_ref")] == data["attributes"]
    inline = {
        (ObjectKind.PLAN, "off-4k-weekly"),
        (ObjectKind.PLAN, "plan-legacy"),
        (ObjectKind.OFFERING, "off-legacy-mag"),
        (1, None),
    }
    assert inline <= set(made)
    assert guide.rows("select plan_external_ref, offering_external_ref, state from subscriptions order by 3") == [
        ("plan-legacy", "off-legacy-mag", "active"),
        ("plan-monthly-10", "off-4k", "pending"),
    ]
    assert guide.value("select count(*) from subscription_snapshots") == 2


def test_a_file_that_is_sent_again_changes_nothing_and_says_so(guide: Mill):
    lines = [each for each in EXAMPLE.read_text().splitlines() if "subscriber" not in each]
    assert imported(guide, lines) == (1, 2, 0, 1, 2)
    before = guide.rows("select * from subscription_objects order by 1")
    assert imported(guide, lines) == (0, 0, 0, 0, 0)
    assert {field for _, field, _ in errors(guide)} == {"external_ref", "plans", "offering"}
    assert guide.rows("select * from subscription_objects order by 1") == before


def test_with_upsert_a_file_that_is_sent_again_changes_what_is_there(guide: Mill):
    assert imported(guide, [*sold(2), product("kept", sku="7")]) == (2, 1, 0, 1, 2)
    ids = dict(guide.rows("select external_ref, object_id from subscription_objects"))
    assert imported(guide, [*sold(3), product("kept", description="new")], "?upsert=true") == (2, 1, 0, 1, 3)
    after = dict(guide.rows("select external_ref, object_id from subscription_objects"))
    assert after.items() >= ids.items()
    assert objects(guide)[ObjectKind.PRODUCT, "kept"] == {
        "external_ref": "kept",
        "name": "Product kept",
        "sku": "7",
        "description": "new",
    }
    assert guide.value("select count(*) from services where name like 'sub-%%'") == 3


def test_the_snapshot_of_an_offering_stays_when_its_product_changes(guide: Mill):
    imported(guide, sold(1))
    imported(guide, [product("pr", sku="new")], "?upsert=true")
    documents = [json.loads(text) for (text,) in guide.rows("select document from subscription_snapshots")]
    assert ["sku" in each["attributes"] for (document,) in [documents] for each in document["products"]] == [False]
    imported(guide, [offering("off", ["pr"], ["pl"])], "?upsert=true")
    rows = guide.rows(
        """select o.kind, n.document from subscription_objects o join subscription_snapshots n using (snapshot_number)
        order by o.kind"""
    )
    assert ['"sku":"new"' in text.replace(": ", ":") for _, text in rows] == [True, False]


def test_lines_that_are_wrong_as_a_whole_are_refused_and_the_others_go_on(guide: Mill):
    lines = ["{", "[1]", product("a"), line("subscription_feature"), "", "  ", "", product("c")]
    twice = '{"data": {"type": "subscription_product", "type": "subscription_product", "attributes": {"name": "abc"}}}'
    deep = line("subscription_product", external_ref="deep", name="Deep", more="[]").replace(
        '"[]"', 150 * "[" + 150 * "]"
    )
    lines[6] = line("subscription_product", name="x", external_ref="b")
    assert imported(guide, b"\xef\xbb\xbf" + "\r\n".join([*lines, twice, deep]).encode()) == (2, 0, 0, 0, 0)
    found = errors(guide)
    assert [(number, field) for number, field, _ in found] == [
        (1, ""),
        (2, ""),
        (4, ""),
        (7, "name"),
        (9, ""),
        (10, ""),
    ]
    assert "stands twice" in found[4][2]
    assert "nested too deeply" in found[5][2]


def test_long_lines_and_long_values_are_taken_or_refused_alone(guide: Mill):
    long = 10_000_000 * "x"
    lines = [
        product("unknown", more=long),
        line("subscription_product", name=long),
        product("many", more=list(range(200_000))),
    ]
    assert imported(guide, [*lines, product("after")]) == (2, 0, 0, 0, 0)
    assert errors(guide) == [
        (2, "name", '"name" must be 3 to 1024 characters long, not 10000000'),
        (3, "", "a line may hold up to 100000 values"),
    ]
    assert objects(guide)[ObjectKind.PRODUCT, "unknown"]["more"] == long


def test_a_reference_to_a_line_that_failed_names_the_line(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imports, "LINES_MAX", 1)
    assert imported(guide, [offering("off", ["bad", "none"], ["pl"]), product("bad", sku=7), plan("pl")]) == (
        0,
        1,
        0,
        0,
        0,
    )
    assert errors(guide)[:2] == [
        (1, "products", "\"products[0]\": there is no product 'bad'; line 2 of this file, which has it, was refused"),
        (1, "products", "\"products[1]\": there is no product 'none'"),
    ]


@pytest.mark.parametrize(("lines_max", "part_lines"), [(1, 1), (2, 2), (1_024, 1), (1_024, 2), (1_024, 1_024)])
def test_the_cuts_of_tables_change_nothing(
    guide: Mill, monkeypatch: pytest.MonkeyPatch, lines_max: int, part_lines: int
):
    monkeypatch.setattr(imports, "LINES_MAX", lines_max)
    monkeypatch.setattr(writing, "PART_LINES", part_lines)
    chosen = {**json.loads(plan("in"))["data"]["attributes"], "meta": {"selected": True}}
    inline = {"offering": {"external_ref": "own", "name": "Own"}, "products": ["pr"], "plans": [chosen]}
    lines = [
        *sold(3),
        subscription("sub-1"),
        subscription("own", **inline),
        subscription("own-2", **inline),
        subscription("own-3", offering_external_ref="own", selected_plan="in"),
        subscription("648-688-4180"),
        product("pr"),
    ]
    assert imported(guide, lines) == (1, 1, 0, 1, 5)
    assert [(number, field) for number, field, _ in errors(guide)] == [
        (7, "external_ref"),
        (9, "offering"),
        (9, "plans"),
        (11, "external_ref"),
        (12, "external_ref"),
    ]
    assert len(objects(guide)) == 8 + 2  # what stands inside the one that holds: a plan, an offering
    shared = "select distinct snapshot_number from subscription_objects where external_ref in ('own', 'own-3')"
    assert len(guide.rows(shared)) == 1


def test_a_dry_run_says_the_same_and_writes_nothing(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imports, "LINES_MAX", 2)
    before = guide.value("select version from price_books")
    lines = [*sold(3), subscription("sub-1"), offering("off-2", ["no"], ["pl"]), "{", product("pr", sku="7")]
    assert imported(guide, lines, "?dry_run=true") == (1, 1, 0, 1, 3)
    said = errors(guide)
    for table in ("objects", "snapshots", "trial_objects"):
        assert guide.value(f"select count(*) from subscription_{table}") == 0
    assert guide.value("select count(*) from services") == 1  # the guide's
    assert guide.value("select version from price_books") == before
    assert imported(guide, lines) == (1, 1, 0, 1, 3)
    assert errors(guide) == said
    assert imported(guide, lines, "?dry_run=true&upsert=true") == (1, 1, 0, 1, 3)
    assert [number for number, *_ in errors(guide)] == [7, 8, 9, 10]


def test_an_identifier_of_another_service_refuses_its_line_alone(guide: Mill):
    lines = [*sold(1), subscription("648-688-4180")]
    assert imported(guide, lines, "?dry_run=true") == (1, 1, 0, 1, 1)
    said = errors(guide)
    assert imported(guide, lines) == (1, 1, 0, 1, 1)
    assert errors(guide) == said
    assert [(number, field) for number, field, _ in said] == [(5, "external_ref")]
    assert "648-688-4180" in said[0][2]
    assert guide.rows("select external_ref from subscription_objects where kind = 5") == [("sub-0",)]
    assert guide.value("select count(*) from subscriptions where service_id is null") == 0


def test_imports_of_an_owner_run_one_after_the_other_in_the_order_in_which_they_came(guide: Mill):
    other = Mill(guide.database, guide.settings, "other", guide.client)
    other.apply(GUIDE)
    first, second, others = (
        send(guide, [product("a")]),
        send(guide, [product("a", sku="7")]),
        send(other, [product("a")]),
    )
    numbers = dict(guide.rows("select import_id::text, import_number from subscription_imports"))
    assert not imports.run_table(guide.database, guide.settings, numbers[second])
    assert imports.run_table(guide.database, guide.settings, numbers[first])
    assert not imports.run_table(guide.database, guide.settings, numbers[second])
    assert imports.run_table(guide.database, guide.settings, numbers[others])
    assert [shown(guide, each)["attributes"]["status"] for each in (first, second)] == ["started", "pending"]
    run(guide)
    assert [shown(guide, each)["meta"]["records"]["imported"]["subscription_product"] for each in (first, second)] == [
        1,
        0,
    ]
    assert shown(other, others)["meta"]["records"]["imported"]["subscription_product"] == 1
    assert guide.value("select count(*) from subscription_objects") == 2


def test_several_runners_together_import_each_line_once(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imports, "LINES_MAX", 4)
    ids = [send(guide, [product(f"{each}-{at}") for at in range(20)]) for each in range(3)]
    stopping = Event()
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(Runner(guide.database, guide.settings, stopping).run) for _ in range(4)]
        try:
            unfinished = "select count(*) from subscription_imports where state in ('pending', 'started')"
            wait_until(lambda: guide.value(unfinished) == 0)
        finally:
            stopping.set()
        for each in running:
            each.result()
    assert [shown(guide, each)["meta"]["records"]["imported"]["subscription_product"] for each in ids] == [20, 20, 20]
    spans = guide.rows("select started_at, finished_at from subscription_imports order by import_number")
    assert all(spans[at][1] <= spans[at + 1][0] for at in range(2))


def test_a_line_on_which_the_job_fails_is_refused_alone(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    write_lines = writing.write_lines

    def failing(connection, order, lines, **more):
        if any(each.line.external_ref == "guilty" for each in lines):
            raise RuntimeError("no such luck")
        return write_lines(connection, order, lines, **more)

    monkeypatch.setattr(writing, "write_lines", failing)
    monkeypatch.setattr(imports, "LINES_MAX", 8)
    assert imported(guide, [product(ref) for ref in ("a", "guilty", "b", "c", "d")]) == (4, 0, 0, 0, 0)
    assert errors(guide) == [(2, "", "the line could not be processed: RuntimeError('no such luck')")]


def test_a_line_that_the_database_does_not_take_is_refused_alone(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    insert = subscription_objects.insert

    def failing(connection, owner_id, objects):
        if any(each.external_ref == "guilty" for each in objects):
            raise RuntimeError("not this one")
        insert(connection, owner_id, objects)

    monkeypatch.setattr(subscription_objects, "insert", failing)
    monkeypatch.setattr(imports, "LINES_MAX", 8)
    monkeypatch.setattr(writing, "PART_LINES", 1)
    assert imported(guide, [product(ref) for ref in ("a", "b", "guilty", "c", "d")]) == (4, 0, 0, 0, 0)
    assert errors(guide) == [(3, "", "the line could not be processed: RuntimeError('not this one')")]
    assert {ref for _, ref in objects(guide)} == {"a", "b", "c", "d"}


def test_with_upsert_a_line_changes_what_one_before_it_brought(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writing, "PART_LINES", 1)
    failed: list[str] = []
    monkeypatch.setattr(work_attempts, "note_error", lambda *known: failed.append(known[-1]))
    own = [{"external_ref": "own", "name": f"Name {at}"} for at in range(3)]
    lines = [plan("pl"), *(offering(f"off-{at}", [each], ["pl"]) for at, each in enumerate(own))]
    assert imported(guide, lines, "?upsert=true") == (0, 1, 0, 3, 0)
    assert failed == []
    assert objects(guide)[ObjectKind.PRODUCT, "own"]["name"] == "Name 2"
    assert guide.value("select count(*) from subscription_objects where kind = 1") == 1


def test_an_import_that_cannot_go_on_fails_and_the_next_one_begins(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    import_id = send(guide, [product("a")])

    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("no disk")

    with monkeypatch.context() as broken:
        broken.setattr(jobs, "advance", failing)
        while guide.value("select count(*) from work_attempts") < 30 and shown(guide, import_id)["attributes"][
            "status"
        ] in ("pending", "started"):
            run_once = Runner(guide.database, guide.settings, Event())
            run_once.step()
    assert shown(guide, import_id)["attributes"]["status"] == "failed"
    assert guide.value("select error from subscription_imports") == "RuntimeError('no disk')"
    assert imported(guide, [product("a")]) == (1, 0, 0, 0, 0)


def test_an_account_must_be_there_where_the_settings_say_so(guide: Mill):
    strict = guide.settings.model_copy(update={"account_must_exist": True})
    import_id = send(guide, sold(1))
    while Runner(guide.database, strict, Event()).step():
        pass
    assert shown(guide, import_id)["meta"]["records"]["imported"]["subscription"] == 0
    assert errors(guide) == [(1, "account_id", f"\"account_id\": there is no account '{ACCOUNT}'")]
    guide.apply(f"ratemill: 1\naccounts: [{{name: {ACCOUNT}, currencyName: USD}}]")
    send(guide, sold(1))
    while Runner(guide.database, strict, Event()).step():
        pass
    assert guide.value("select count(*) from subscriptions") == 1


@pytest.mark.parametrize("point", ["subscriptions-before-commit", "subscriptions-after-commit"])
def test_an_import_whose_process_is_killed_is_taken_up_without_doubles(guide: Mill, point: str):
    import_id = send(guide, sold(2_500))
    with started("jobs", database_url=guide.database.dsn, die_at=point) as process:
        assert was_killed(process)
    with started("jobs", database_url=guide.database.dsn):
        ended = "select count(*) from subscription_imports where finished_at is not null"
        wait_until(lambda: guide.value(ended) == 1)
    found = shown(guide, import_id)
    assert found["attributes"]["status"] == "success"
    assert tuple(found["meta"]["records"]["imported"].values()) == (1, 1, 0, 1, 2_500)
    assert guide.value("select count(*) from subscription_objects") == 2_503
    assert guide.value("select count(*) from services where name like 'sub-%%'") == 2_500
