"""The description of the API is true: requests made from it get the answers that it names, on a database with data in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.fixtures.mill import LOCAL, Mill, guide_row, mill
from tests.fixtures.owners import token_of

from ratemill.api.http.paths import RESOURCES
from ratemill.api.server import create_app
from ratemill.settings import Settings
from ratemill.setup.objects.registry import BY_PATH
from ratemill.store.connections import Database

FULL = (Path(__file__).parents[1] / "setup" / "full.yaml").read_text().replace("owner: full\n", "")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
]
# Not among them:
# - negative_data_rejection: a body that breaks its schema may still be taken. A number may be sent as the text of its
#   digits, as in a document; what is wrong is told by the rules, which say more than a schema.
# - positive_data_acceptance: a body that fits its schema may name what is not there, or break a rule between members.
# - missing_required_header: no header is required.
# - use_after_free, ensure_resource_availability: need a chain of calls; tests/setup/ holds create, read and delete together.
OPERATIONS = [
    (path, method.upper())
    for path, methods in create_app(None, Settings()).openapi()["paths"].items()  # type: ignore[arg-type]
    for method in methods
    # A wait is a call that takes as long as it is asked to; it answers as any other.
    if path not in {"/healthz", "/readyz"}
]
FIXED = {"named": "UserXs"}  # what else stands in a path of several parameters
FEW, MANY = 3, 25  # cases of each operation


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    many = settings.model_copy(update={"failed_attempts_per_min_max": 1_000_000})  # made-up logins all fail
    with mill(database, many) as made:
        made.apply(FULL)
        rows = [guide_row(1), guide_row(1), guide_row(2, date="soon"), guide_row(3, identifier="nobody"), "a,b"]
        assert made.post_rows(*rows).status_code == 200
        made.work()
        yield made


@pytest.fixture(scope="module")
def described(mine: Mill) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_dict(mine.client.get("/openapi.json").json())


def filled(path: str) -> str:
    """Return a path with something in the place of each parameter."""
    return re.sub(r"\{\w+\}", "1", path.replace("{named}", "UserXs"))


def known_keys(mine: Mill, path: str) -> list[Any]:
    """What may stand in the place of the path's parameter and be found."""
    if "{identity}" in path:
        each = BY_PATH[path.removeprefix(f"{RESOURCES}/").split("/{identity}")[0].lower()]
        items = mine.request("GET", f"/{each.path}").json()["items"]
        return [one["identity"] for one in items] or [1]
    if "{feed}" in path:
        return ["guideFeed", "Guide Feed", 1]
    return [1, 2, 3]


def as_part(part: Any) -> Any:
    """A part of a multipart body as the client takes it: its name, and its content as text or bytes."""
    name, content, *rest = part if isinstance(part, tuple) else (None, part)
    return (name, content if isinstance(content, str | bytes) else str(content), *rest)


def prove(mine: Mill, described: schemathesis.BaseSchema, path: str, method: str, cases: int) -> None:
    """Send made-up requests of one operation, every other with a key that is there."""
    mine.token = token_of(mine.database, mine.owner, name="tester")  # a made-up request may revoke the one before
    operation = described[path][method]
    keys = known_keys(mine, path)

    @hypothesis_settings(
        max_examples=cases,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), key=st.one_of(st.none(), st.sampled_from(keys)))
    def send(case: schemathesis.Case[Any], key: object) -> None:
        if key is not None and case.path_parameters:
            case.path_parameters = {name: FIXED.get(name, key) for name in case.path_parameters}
        sent = case.as_transport_kwargs(base_url=LOCAL)
        sent["headers"] = {**dict(sent.get("headers") or {}), "Authorization": f"Bearer {mine.token}"}
        sent.pop("cookies", None)
        if "files" in sent:  # this client sends a part that is a number as it sends a text
            sent["files"] = [(name, as_part(part)) for name, part in sent["files"]]
        answer = mine.client.request(**{name: value for name, value in sent.items() if value is not None})
        case.validate_response(answer, checks=CHECKS)

    send()


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda value: value.removeprefix(RESOURCES))
def test_each_operation_answers_as_described(mine: Mill, described: schemathesis.BaseSchema, path: str, method: str):
    prove(mine, described, path, method, FEW)


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda value: value.removeprefix(RESOURCES))
def test_each_operation_asks_for_a_token_unless_it_is_a_login(
    mine: Mill, described: schemathesis.BaseSchema, path: str, method: str
):
    if (path.startswith("/api/") and not path.startswith("/api/security/")) or path.endswith("/logout"):
        assert mine.client.request(method, filled(path), json={}).status_code == 403
        return
    if method == "GET" and path.startswith("/api/security/"):
        return
    if path == "/livez":  # it shows only that the process answers
        return
    open_to_all = path.startswith(("/AuthorizationServer", "/oauth", "/api/security"))
    answer = mine.client.request(method, filled(path), json={"data": ["x"]})
    assert (answer.status_code == 401) != (open_to_all and answer.status_code == 400), answer.text
    assert answer.json()["errors"]


@pytest.mark.parametrize("path", sorted({path for path, _ in OPERATIONS}))
def test_each_path_names_its_methods_to_who_uses_another(mine: Mill, path: str):
    answer = mine.client.request("TRACE", filled(path))
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) >= {method for known, method in OPERATIONS if known == path}


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda value: value.removeprefix(RESOURCES))
def test_each_operation_answers_as_described_many_times(
    mine: Mill, described: schemathesis.BaseSchema, path: str, method: str
):
    prove(mine, described, path, method, MANY)
