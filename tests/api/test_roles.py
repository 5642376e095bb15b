"""Roles and routes: each route declares one right, and answers a role by it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.routing import Route
from tests.fixtures.mill import Mill, mill

from ratemill.access.tokens import RIGHTS, create_token
from ratemill.api.http.auth import PUBLIC, right_of
from ratemill.api.server import create_app
from ratemill.settings import Settings
from ratemill.store.connections import Database

ROUTES = [route for route in create_app(None, Settings()).routes if isinstance(route, Route)]  # type: ignore[arg-type]
GUARDED = [(route, method) for route in ROUTES if right_of(route) for method in sorted(route.methods or ())]
NO_OBJECT = {"named": "UserXs", "guid": "nobody", "name": "nothing", "feed": "nothing"}


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


@pytest.fixture(scope="module")
def secrets(guide: Mill) -> dict[str, str]:
    """Return a token of each role."""
    return {role: create_token(guide.database, owner_name="default", role=role, name=role) for role in RIGHTS}


def path_of(route: Route) -> str:
    """Return a path of the route that names nothing."""
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: NO_OBJECT.get(match[1], "1"), route.path)


def status(guide: Mill, route: Route, method: str, secret: str) -> int:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return int(guide.client.request(method, path_of(route), headers=headers).status_code)


def test_every_route_declares_a_right_or_is_public():
    undeclared = {route.path for route in ROUTES if right_of(route) is None}
    assert undeclared <= PUBLIC, "declare the right with needs() or declares(), or list the path in PUBLIC"
    assert not {route.path for route in ROUTES if right_of(route) is not None} & PUBLIC


def test_every_right_is_known_and_held_by_admin():
    assert {right_of(route) for route, _ in GUARDED} <= RIGHTS["admin"]


def test_without_a_token_every_guarded_route_answers_401(guide: Mill):
    """Below /api/ it is 403 with the code no_session: clients of that dialect log in again on 403."""
    wrong = [
        (method, route.path, found)
        for route, method in GUARDED
        for secret in ("", "rm_unknown")
        if (found := status(guide, route, method, secret)) != (403 if route.path.startswith("/api/") else 401)
    ]
    assert wrong == []


def test_a_role_without_the_right_is_answered_403(guide: Mill, secrets: dict[str, str]):
    wrong = []
    for route, method in GUARDED:
        right = right_of(route)
        lacking = [role for role, rights in RIGHTS.items() if right not in rights]
        answers = {role: status(guide, route, method, secrets[role]) for role in lacking}
        wrong += [(method, route.path, role, found) for role, found in answers.items() if found != 403]
    assert wrong == []


def test_a_role_with_the_right_is_let_through(guide: Mill, secrets: dict[str, str]):
    wrong = []
    for route, method in GUARDED:
        right = right_of(route)
        role = next(role for role, rights in RIGHTS.items() if right in rights)  # the smallest: admin comes last
        found = status(guide, route, method, secrets[role])
        if found in (401, 403) or found >= 500:
            wrong.append((method, route.path, role, found))
    assert wrong == []
