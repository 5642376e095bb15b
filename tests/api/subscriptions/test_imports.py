"""Imports of subscription data over HTTP: what is taken, what is refused and how that is said; lists, errors, lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from httpx import Response
from tests.fixtures.mill import Mill, mill
from tests.fixtures.owners import token_of
from tests.fixtures.seeded import new_id

from ratemill.access.tokens import create_token
from ratemill.settings import Settings
from ratemill.store.connections import Database

IMPORTS = "v2/subscriptions/imports"
EXAMPLES = Path(__file__).parents[3] / "examples" / "subscriptions"
KINDS = [
    "subscription_product",
    "subscription_plan",
    "subscription_subscriber",
    "subscription_offering",
    "subscription",
]


@pytest.fixture(scope="module")
def store(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


@pytest.fixture
def few(database: Database, settings: Settings) -> Iterator[Mill]:
    """Yield a store that takes at most three objects and 1,000 bytes a file."""
    small = settings.model_copy(update={"subscription_file_lines_max": 3, "subscription_file_bytes_max": 1_000})
    with mill(database, small) as made:
        yield made


def line(ref: str | None = None, kind: str = "subscription_product", **attributes: object) -> bytes:
    known = {"external_ref": ref} if ref else {}
    return json.dumps({"data": {"type": kind, "attributes": {**known, "name": "A product", **attributes}}}).encode()


def send(store: Mill, content: bytes | None, query: str = "", ref: str | None = None, **options: Any) -> Response:
    files: list[tuple[str, Any]] = [] if content is None else [("import_file", ("data.jsonl", content))]
    if ref is not None:
        files.append(("external_ref", (None, ref)))
    return store.request("POST", IMPORTS + query, files=files, **options)


def errors(answer: Response, status: int = 400) -> list[dict[str, Any]]:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["errors"]
    found: list[dict[str, Any]] = answer.json()["errors"]
    assert all(each["status"] == str(status) and each["title"] for each in found)
    return found


def details(answer: Response, status: int = 400) -> list[str]:
    return [each.get("detail", "") for each in errors(answer, status)]


def end_all(store: Mill) -> None:
    store.change("update subscription_imports set state = 'success', finished_at = now() where state <> 'success'")


def kept(store: Mill) -> tuple[int, int]:
    imports, lines = "select count(*) from subscription_imports", "select count(*) from subscription_import_lines"
    return store.value(imports), store.value(lines)


# what is taken


def test_an_import_is_answered_with_every_member_of_the_seed(store: Mill):
    content = (EXAMPLES / "subscription_all_types.jsonl").read_bytes()
    answer = send(store, content, ref="october")
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/json"
    data = answer.json()["data"]
    assert list(data) == ["id", "type", "attributes", "meta"]
    assert UUID(data["id"])
    assert data["type"] == "subscription_import"
    assert data["attributes"] == {"external_ref": "october", "status": "pending"}
    assert data["meta"]["owner"] == "store"
    assert list(data["meta"]["timestamps"]) == ["updated_at", "created_at"]
    assert all(len(each) == len("2017-01-10T11:41:19.244842Z") for each in data["meta"]["timestamps"].values())
    assert data["meta"]["records"]["uploaded"] == dict(zip(KINDS, [1, 2, 1, 1, 2], strict=True))
    assert data["meta"]["records"]["imported"] == dict.fromkeys(KINDS, 0)
    assert store.request("GET", f"{IMPORTS}/{data['id']}").json() == answer.json()
    rows = store.rows("select line from subscription_import_lines order by line_number")
    assert b"".join(row[0] + b"\n" for row in rows) == content
    end_all(store)


def test_without_a_reference_the_member_is_left_out(store: Mill):
    for given in (None, ""):
        assert send(store, line(), ref=given).json()["data"]["attributes"] == {"status": "pending"}


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        (b"\xef\xbb\xbf" + line("a") + b"\n" + line("b"), [1, 2]),
        (line("a") + b"\r\n\r\n  \t\r\n" + line("b") + b"\r\n", [1, 4]),
        (b"\n\n" + line("a") + b"\n\n", [3]),
        (line("a"), [1]),
    ],
    ids=["byte order mark", "carriage returns and blank lines", "blank lines first", "no last line feed"],
)
def test_lines_are_counted_from_1_with_the_blank_ones(store: Mill, content: bytes, numbers: list[int]):
    number = UUID(send(store, content).json()["data"]["id"])
    rows = store.rows(
        """select line_number, line from subscription_import_lines l join subscription_imports i using (import_number)
        where import_id = %s order by 1""",
        number,
    )
    assert [row[0] for row in rows] == numbers
    assert [json.loads(row[1])["data"]["attributes"]["external_ref"] for row in rows] == ["a", "b"][: len(numbers)]


def test_a_line_that_tells_no_kind_is_kept_and_not_counted_as_uploaded(store: Mill):
    bad = [b"not json", b"[1]", b'{"data":{"type":"subscription_feature"}}', b"{}", b"[" * 100_000, b"x" * 1_000_000]
    meta = send(store, b"\n".join([*bad, line("fine")])).json()["data"]["meta"]
    assert meta["records"]["uploaded"] == {**dict.fromkeys(KINDS, 0), "subscription_product": 1}
    assert meta["lines"] == {"total": 7, "imported": 0, "refused": 0, "errors": 0}


def test_a_line_of_10_mb_is_kept_whole(store: Mill):
    long = line("long", note="x" * 10_000_000)
    number = UUID(send(store, long + b"\n" + line()).json()["data"]["id"])
    statement = """select length(line) from subscription_import_lines join subscription_imports using (import_number)
        where import_id = %s and line_number = 1"""
    assert store.value(statement, number) == len(long)


def test_other_parts_are_passed_over_and_the_file_needs_no_name(store: Mill):
    parts = [("note", (None, "x")), ("import_file", (None, line().decode())), ("more", ("f.bin", b"\0\xff"))]
    assert store.request("POST", IMPORTS, files=parts).status_code == 201


def test_the_switches_are_shown(store: Mill):
    meta = send(store, line(), "?upsert=true&dry_run=1").json()["data"]["meta"]
    assert (meta["upsert"], meta["dry_run"]) == (True, True)
    meta = send(store, line(), "?upsert=false").json()["data"]["meta"]
    assert (meta["upsert"], meta["dry_run"]) == (False, False)


def test_exactly_as_many_objects_as_the_limit_are_taken_and_one_more_is_not(few: Mill):
    before = kept(few)
    assert send(few, b"\n\n".join([line()] * 3)).status_code == 201
    assert details(send(few, b"\n".join([line()] * 4))) == [
        'import_file: "import_file" holds 4 objects, at most 3 are taken: send it as several files'
    ]
    assert kept(few) == (before[0] + 1, before[1] + 3)


# what is refused


def test_a_body_that_is_no_multipart_is_400(store: Mill):
    for body, kind in [(b"{}", "application/json"), (line(), "text/plain"), (b"", "multipart/form-data")]:
        answer = store.request("POST", IMPORTS, content=body, headers={"Content-Type": kind})
        assert "the body must be multipart/form-data" in details(answer)[0]
    answer = store.request("POST", IMPORTS)
    assert errors(answer)[0]["title"] == "Validation Error"


@pytest.mark.parametrize(
    "body",
    [b"", b"--x\r\n", b"nothing of the kind", b'--x\r\nContent-Disposition: form-data; name="import_file"\r\n\r\n{}'],
)
def test_a_multipart_that_is_cut_off_is_400_and_leaves_nothing(store: Mill, body: bytes):
    before = kept(store)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert details(store.request("POST", IMPORTS, content=body, headers=headers))[0].startswith("the body ")
    assert kept(store) == before


def test_the_file_is_required_once_and_not_empty(store: Mill):
    assert errors(send(store, None, ref="x")) == [
        {"title": "Validation Error", "status": "400", "detail": 'import_file: "import_file" is required'}
    ]
    for empty in (b"", b"\n", b"\xef\xbb\xbf\r\n  \n"):
        assert details(send(store, empty)) == ['import_file: "import_file" is empty: it holds no object']
    twice = [("import_file", ("a", line())), ("import_file", ("b", line()))]
    assert details(store.request("POST", IMPORTS, files=twice)) == ['import_file: "import_file" comes 2 times']


def test_a_file_that_is_not_utf_8_is_400_as_a_whole(store: Mill):
    before = kept(store)
    content = line() + b"\n" + line() + b"\n\xff" + line()
    assert details(send(store, content)) == [
        'import_file: "import_file" is not UTF-8: invalid start byte at byte 1 of line 3'
    ]
    assert details(send(store, line(name="Zoë").decode().encode("utf-16")))
    assert details(send(store, gzip.compress(line()))) == [
        'import_file: "import_file" is packed by gzip, which is not taken'
    ]
    assert kept(store) == before


def test_every_fault_of_a_request_is_told_at_once(store: Mill):
    answer = send(store, b"\xff", "?filter=eq(&upsert=yes&limit=3", ref="x" * 2_049)
    assert details(answer) == [
        'external_ref: "external_ref" has more than 2048 characters',
        "limit: is no parameter of this call; known are: filter, upsert, dry_run",
        "Could not parse the supplied filter",
        "upsert: is true or false, not 'yes'",
        'import_file: "import_file" is not UTF-8: invalid start byte at byte 1 of line 1',
    ]
    assert [each["title"] for each in errors(answer)][2] == "Bad Request"


@pytest.mark.parametrize("ref", ["x" * 2_048, "ü" * 2_048, "😀" * 2_048])
def test_a_reference_has_up_to_2048_characters(store: Mill, ref: str):
    answer = send(store, line(), ref=ref)
    assert answer.json()["data"]["attributes"]["external_ref"] == ref
    assert "2048" in details(send(store, line(), ref=ref + "x"))[0]
    end_all(store)


def test_a_body_over_the_limit_is_400_without_being_read_to_its_end(few: Mill):
    sent = []

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="import_file"; filename="f"\r\n\r\n'
        for number in range(1_000):
            sent.append(number)
            yield line() + b"\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = few.request("POST", IMPORTS, content=endless(), headers=headers)
    assert details(answer) == ['import_file: "import_file" has more than 1000 bytes: send it as several files']
    declared = {**headers, "Content-Length": "10000000"}
    assert "1000 bytes" in details(few.request("POST", IMPORTS, content=b"--x", headers=declared))[0]


def test_a_packed_body_is_400(store: Mill):
    headers = {"Content-Encoding": "gzip"}
    assert "Content-Encoding is gzip" in details(send(store, line(), headers=headers))[0]


# conflicts


def test_a_reference_of_an_import_that_has_not_ended_is_a_write_conflict(store: Mill):
    assert send(store, line(), ref="twice").status_code == 201
    before = kept(store)
    answer = send(store, line(), ref="twice")
    assert [(each["title"], each["status"]) for each in errors(answer, 409)] == [("Write Conflict", "409")]
    assert kept(store) == before
    store.change("update subscription_imports set state = 'started' where external_ref = 'twice'")
    assert send(store, line(), ref="twice").status_code == 409
    assert send(store, line(), ref="another").status_code == 201
    end_all(store)
    assert send(store, line(), ref="twice").status_code == 201
    end_all(store)


def test_a_setting_keeps_references_unique_for_ever(database: Database, settings: Settings):
    with mill(database, settings.model_copy(update={"subscription_import_ref_unique": True})) as store:
        assert send(store, line(), ref="for ever").status_code == 201
        end_all(store)
        assert send(store, line(), ref="for ever").status_code == 409
        assert send(store, line()).status_code == 201


# what happened


def refuse(store: Mill, number: str, faults: list[tuple[int, str, str]]) -> None:
    for position, (at, field, error) in enumerate(faults):
        store.change(
            """insert into subscription_import_errors
                (import_number, line_number, position, owner_id, error_id, error, field)
            select import_number, %s, %s, owner_id, %s, %s, %s from subscription_imports where import_id = %s""",
            at,
            position,
            new_id(),
            error,
            field,
            UUID(number),
        )


def test_errors_come_by_line_in_pages_and_refused_lines_as_they_were_sent(store: Mill):
    lines = [b'{"no": "kind", "amount": 87.0}', line("a"), b"  not json ", line("b")]
    number = send(store, b"\n".join(lines)).json()["data"]["id"]
    refuse(store, number, [(3, "", "the line is not JSON"), (1, "", "no type"), (4, "name", "no"), (4, "sku", "no")])
    answer = store.request("GET", f"{IMPORTS}/{number}/errors").json()
    assert [(each["meta"]["line_number"], each["meta"]["field"]) for each in answer["data"]] == [
        (1, ""),
        (3, ""),
        (4, "name"),
        (4, "sku"),
    ]
    first = answer["data"][0]
    assert list(first) == ["id", "type", "meta"]
    assert first["type"] == "subscription_import_error"
    assert list(first["meta"]) == ["owner", "timestamps", "error", "field", "line_number"]
    answer = store.request("GET", f"{IMPORTS}/{number}/errors?page[limit]=2&filter=gt(line_number,1)").json()
    assert [each["meta"]["line_number"] for each in answer["data"]] == [3, 4]
    following = store.client.get(answer["links"]["next"], headers={"Authorization": f"Bearer {store.token}"}).json()
    assert [each["meta"]["field"] for each in following["data"]] == ["sku"]
    refused = store.request("GET", f"{IMPORTS}/{number}/refused")
    assert refused.headers["content-type"].startswith("application/x-ndjson")
    assert refused.content == b"\n".join([lines[0], lines[2], lines[3], b""])


def test_imports_are_listed_the_newest_first_with_links(database: Database, settings: Settings):
    with mill(database, settings, owner="lists") as store:
        made = [send(store, line(), ref=f"r{number}").json()["data"]["id"] for number in range(5)]
        answer = store.request("GET", f"{IMPORTS}?page%5Blimit%5D=2&page[offset]=2").json()
        assert [each["id"] for each in answer["data"]] == [made[2], made[1]]
        assert list(answer["links"]) == ["current", "first", "last", "next", "prev"]
        offsets = [each.split("offset]=")[1].split("&")[0] for each in answer["links"].values()]
        assert offsets == ["2", "0", "4", "4", "0"]
        end = store.request("GET", f"{IMPORTS}?page[offset]=4").json()
        assert end["links"]["next"] is None
        assert store.request("GET", IMPORTS).json()["links"]["prev"] is None
        empty = store.request("GET", f"{IMPORTS}?filter=eq(external_ref,none)").json()
        assert (empty["data"], empty["links"]["next"], empty["links"]["prev"]) == ([], None, None)
        found = store.request("GET", f"{IMPORTS}?filter=eq(external_ref,r3):in(status,pending,failed)").json()
        assert [each["id"] for each in found["data"]] == [made[3]]
        assert "filter=eq(external_ref,r3)%3Ain(status,pending,failed)" in found["links"]["current"]
        assert len(store.request("GET", f"{IMPORTS}?filter=is_null(started_at)").json()["data"]) == 5
        assert store.request("GET", f"{IMPORTS}?filter=like(external_ref,*4)").json()["meta"]["results"]["total"] == 1
        at = end["data"][0]["meta"]["timestamps"]["created_at"]
        assert len(store.request("GET", f"{IMPORTS}?filter=gt(created_at,{at})").json()["data"]) == 4


@pytest.mark.parametrize(
    "query", ["page[limit]=0", "page[limit]=101", "page[limit]=ten", "page[offset]=-1", "offset=3"]
)
def test_a_page_that_is_none_is_400(store: Mill, query: str):
    assert details(store.request("GET", f"{IMPORTS}?{query}"))


@pytest.mark.parametrize(
    "asked",
    [
        "external_ref",
        "eq(external_ref)",
        "ne(external_ref,x)",
        "eq(external_ref,x",
        "eq(external_ref,x)eq(status,y)",
        "eq(colour,red)",
        "gt(created_at,soon)",
        "like(created_at,2026*)",
        ":".join(["is_null(started_at)"] * 11),
        f"eq(external_ref,{'x' * 8_192})",
        "eq(external_ref,%00)",
    ],
)
def test_a_filter_that_cannot_be_read_is_400_in_the_words_of_the_dialect(store: Mill, asked: str):
    error = errors(store.request("GET", f"{IMPORTS}?filter={asked}"))[0]
    assert error["meta"].pop("reason")
    assert error == {
        "title": "Bad Request",
        "status": "400",
        "detail": "Could not parse the supplied filter",
        "meta": {},
    }


def test_a_filter_on_an_import_is_checked_and_has_no_effect(store: Mill):
    assert send(store, line(), "?filter=eq(name,Alan Turing)").status_code == 201
    assert errors(send(store, line(), "?filter=eq(name"))[0]["title"] == "Bad Request"


# who calls, and where


def test_without_a_valid_token_the_answer_is_401(store: Mill):
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"X-AlliantSession": store.token}):
        answer = store.client.post(f"/{IMPORTS}", files={"import_file": line()}, headers=headers)
        assert answer.json() == {"errors": [{"title": "Unable to validate access token", "status": "401"}]}
        assert answer.status_code == 401


def test_who_may_read_may_not_import(store: Mill):
    secret = create_token(store.database, owner_name="default", role="read", name="reader")
    headers = {"Authorization": f"Bearer {secret}"}
    assert errors(send(store, line(), headers=headers), 403)[0]["title"] == "Forbidden"
    assert store.request("GET", IMPORTS, headers=headers).status_code == 200


def test_a_token_of_the_token_route_imports(store: Mill):
    secret = create_token(store.database, owner_name="default", role="import", name="importer")
    form = {"grant_type": "client_credentials", "client_id": "importer", "client_secret": secret}
    given = store.client.post("/oauth/access_token", data=form).json()
    assert (given["token_type"], given["identifier"]) == ("bearer", "client_credentials")
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    number = send(store, line(), headers=headers).json()["data"]["id"]
    assert store.request("GET", f"{IMPORTS}/{number}", headers=headers).status_code == 200


def test_another_owners_import_is_404_everywhere(store: Mill):
    number = send(store, line()).json()["data"]["id"]
    other = token_of(store.database, "another", "admin", "stranger")
    headers = {"Authorization": f"Bearer {other}"}
    for path in (number, f"{number}/errors", f"{number}/refused", str(new_id()), "nothing"):
        assert errors(store.request("GET", f"{IMPORTS}/{path}", headers=headers), 404)[0]["title"] == "Not Found"
    assert store.request("GET", IMPORTS, headers=headers).json()["data"] == []


def test_paths_and_methods_that_are_not_there_have_the_envelope_too(store: Mill):
    assert errors(store.request("GET", "v2/subscriptions/nothing"), 404)[0]["title"] == "Not Found"
    assert errors(store.request("GET", "v2/subscriptions"), 404)
    answer = store.request("DELETE", f"{IMPORTS}/{new_id()}")
    assert errors(answer, 405)[0]["title"] == "Method Not Allowed"
    assert answer.headers["allow"] == "GET"
    assert store.request("GET", f"{IMPORTS}/").status_code == 200


def test_what_fails_in_us_is_500_in_the_envelope_and_keeps_nothing(store: Mill, monkeypatch: pytest.MonkeyPatch):
    from ratemill.store.subscriptions import imports as subscription_imports

    before = kept(store)
    monkeypatch.setattr(subscription_imports, "add_lines", lambda *_: 1 / 0)
    assert errors(send(store, line()), 500)[0]["title"] == "Internal Server Error"
    assert kept(store) == before
