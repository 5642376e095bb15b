"""Tokens and the short ones that a login gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from time import monotonic

import pytest

from ratemill.access import token_uses
from ratemill.access.token_uses import TokenUses
from ratemill.access.tokens import (
    RIGHTS,
    authenticate,
    create_token,
    digest,
    list_tokens,
    open_session,
    revoke_tokens,
)
from ratemill.errors import BadRequest, Unavailable
from ratemill.store import tokens
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
    expired = create_token(database, owner_name="default", role="read", name="old", expires_in_s=60)
    revoked = create_token(database, owner_name="default", role="read", name="revoked")
    with database.worker() as connection:
        connection.exec_driver_sql("update tokens set expires_at = now() where name = 'old'")
        connection.exec_driver_sql("update tokens set revoked_at = now() where name = 'revoked'")
    assert [authenticate(database, each) for each in (expired, revoked)] == [None, None]
    assert [open_session(database, "old", expired, 60), open_session(database, "revoked", revoked, 60)] == [None, None]


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


def test_a_login_by_the_token_of_a_login_belongs_to_the_first_token(database: Database):
    secret = create_token(database, owner_name="default", role="read", name="chain")
    first = open_session(database, "chain", secret, 60)
    assert first is not None
    second = open_session(database, "chain", first.secret, 60)
    assert second is not None
    (token,) = [each for each in list_tokens(database) if each.name == "chain" and each.login_of is None]
    assert [each.login_of for each in list_tokens(database) if each.name == "chain"] == [None, *[token.token_id] * 2]
    revoke_tokens(database, [token.token_id], revoked_by="test")
    assert [authenticate(database, each) for each in (secret, first.secret, second.secret)] == [None] * 3


def test_a_revocation_waits_for_a_login_under_way_and_ends_it(database: Database):
    secret = create_token(database, owner_name="default", role="read", name="race")
    who = authenticate(database, secret)
    assert who is not None
    with ThreadPoolExecutor(1) as pool:
        with database.face(who.owner_id) as connection:
            assert (
                tokens.insert_session(connection, token_id=who.token_id, digest=digest("rm_race"), expires_in_s=60)
                == 60
            )
            revoking = pool.submit(revoke_tokens, database, [who.token_id], revoked_by="test")
            wait_for_lock(database)
        assert revoking.result() == 2
    assert authenticate(database, "rm_race") is None


def wait_for_lock(database: Database) -> None:
    """Return once a transaction waits for a lock of another."""
    until = monotonic() + 30
    statement = "select count(*) from pg_locks where not granted"
    while monotonic() < until:
        with database.worker() as connection:
            if connection.exec_driver_sql(statement).scalar_one():
                return
    raise TimeoutError("no transaction waits for a lock")


def test_uses_are_written_once_a_minute_for_the_login_and_its_token(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    secret = create_token(database, owner_name="default", role="read", name="used")
    session = open_session(database, "used", secret, 600)
    assert session is not None
    who = authenticate(database, session.secret)
    assert who is not None
    now = [1_000.0]
    monkeypatch.setattr(token_uses, "monotonic", lambda: now[0])
    uses = TokenUses(database)
    seen: list[list[datetime]] = []
    for later_s in (0.0, 59.0, 2.0):
        now[0] += later_s
        uses.note(who.token_id, who.owner_id)
        uses.flush()
        seen.append([each.used_at for each in list_tokens(database) if each.name == "used" and each.used_at])
    assert len(seen[0]) == 2
    assert seen[0] == seen[1]
    assert all(after > before for before, after in zip(seen[1], seen[2], strict=True))


def test_a_use_that_cannot_be_written_is_written_later(database: Database, monkeypatch: pytest.MonkeyPatch):
    secret = create_token(database, owner_name="default", role="read", name="away")
    who = authenticate(database, secret)
    assert who is not None
    uses = TokenUses(database)
    uses.note(who.token_id, who.owner_id)
    with monkeypatch.context() as away:
        away.setattr(tokens, "note_uses", lambda *_: fail_unavailable())
        uses.flush()
    assert [each.used_at for each in list_tokens(database) if each.name == "away"] == [None]
    uses.flush()
    assert [each.used_at is not None for each in list_tokens(database) if each.name == "away"] == [True]


def fail_unavailable() -> None:
    raise Unavailable("the database does not answer")
