"""Tokens and the short ones that a login gives."""

from __future__ import annotations

import pytest

from ratemill.errors import BadRequest
from ratemill.setup.tokens import RIGHTS, authenticate, create_token, open_session
from ratemill.store.connections import Database


@pytest.mark.parametrize("role", list(RIGHTS))
def test_a_token_says_owner_name_role_and_rights(database: Database, role: str):
    secret = create_token(database, owner_name="default", role=role, name="n")
    who = authenticate(database, secret)
    assert who is not None
    assert (who.name, who.role, who.rights) == ("n", role, RIGHTS[role])
    assert secret.startswith("rm_")


def test_rights_are_no_more_than_the_role_needs():
    assert "import" not in RIGHTS["correct"] | RIGHTS["setup"] | RIGHTS["read"]
    assert "setup" not in RIGHTS["correct"] | RIGHTS["import"]
    assert "read" not in RIGHTS["import"]
    assert all(rights <= RIGHTS["admin"] for rights in RIGHTS.values())


@pytest.mark.parametrize("secret", ["", "rm_wrong", "\ud800", "x" * 100_000])
def test_no_other_secret_opens_anything(database: Database, secret: str):
    assert authenticate(database, secret) is None


def test_only_the_digest_is_kept(database: Database):
    secret = create_token(database, owner_name="default", role="read", name="n")
    with database.worker() as connection:
        rows = connection.exec_driver_sql("select tokens::text from tokens").scalars().all()
    assert not [row for row in rows if secret in row]


def test_an_expired_and_a_revoked_token_are_worth_nothing(database: Database):
    expired = create_token(database, owner_name="default", role="read", name="old", expires_in_s=0)
    revoked = create_token(database, owner_name="default", role="read", name="revoked")
    with database.worker() as connection:
        connection.exec_driver_sql("update tokens set revoked_at = now() where name = 'revoked'")
    assert [authenticate(database, each) for each in (expired, revoked)] == [None, None]


def test_a_login_gives_a_short_token_of_the_same_rights(database: Database):
    secret = create_token(database, owner_name="default", role="import", name="sender")
    session = open_session(database, "sender", secret, 1_800)
    assert session is not None
    assert session.expires_in_s == 1_800
    who = authenticate(database, session.secret)
    assert who is not None
    assert (who.name, who.role, who.owner_id) == ("sender", "import", session.principal.owner_id)
    assert open_session(database, "another", secret, 1_800) is None
    assert open_session(database, "sender", "wrong", 1_800) is None


def test_a_login_never_outlives_the_token_behind_it(database: Database):
    secret = create_token(database, owner_name="default", role="read", name="brief", expires_in_s=60)
    session = open_session(database, "brief", secret, 1_800)
    assert session is not None
    assert session.expires_in_s <= 60


@pytest.mark.parametrize(("role", "name"), [("king", "n"), ("read", ""), ("read", "n" * 256)])
def test_a_token_of_no_role_or_name_is_not_made(database: Database, role: str, name: str):
    with pytest.raises(BadRequest):
        create_token(database, owner_name="default", role=role, name=name)
