"""Homes wherever they lie and whatever they are called: where their data and socket go."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests.store.embedded.homes import ask, ensured, removed_after, settings_of, silent

from ratemill.errors import UsageFault
from ratemill.store.embedded import account, embedded
from ratemill.store.embedded import data as embedded_data


def test_a_home_on_a_long_path_has_its_socket_on_a_short_one(place: Path):
    home = place / ("long" * 20) / ("longer" * 20) / "home"
    with removed_after(home):
        server = ensured(home)
        assert len(str(home)) > 200
        assert ask(server, "SELECT 1") == 1
        assert len(os.fsencode(server.socket_file)) <= 107
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
        ensured(home)
    assert not server.socket.exists()


def test_a_socket_folder_that_somebody_made_before_is_not_used(place: Path):
    home = place / ("long" * 40)
    uid = account.choose().uid
    trap = Path(f"/tmp/ratemill-{uid}-{account.digest(home)}")
    trap.mkdir()
    trap.chmod(0o777)
    with removed_after(home):
        server = ensured(home)
        assert server.socket == Path(f"{trap}-2")
    assert stat.S_IMODE(trap.stat().st_mode) == 0o777
    assert not server.socket.exists()
    trap.rmdir()


@pytest.mark.parametrize("name", ['it\'s, an "odd" home $HOME', "größe ü", "a\\b `date`"])
def test_a_home_may_have_any_name(place: Path, name: str):
    home = place / name
    with removed_after(home):
        server = ensured(home)
        assert ask(server, "SELECT 1") == 1
        ensured(home)
    with suppress(OSError):
        assert not server.socket.exists()


def test_a_home_that_is_moved_takes_its_database_along(home: Path, place: Path):
    with psycopg.connect(ensured(home).dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    embedded.stop(settings_of(home), progress=silent)
    moved = home.rename(place / "moved")
    with removed_after(moved):
        assert ask(ensured(moved), "SELECT number FROM kept") == 7


def test_a_home_behind_a_link_and_dots_is_the_same_home(home: Path, place: Path):
    ensured(home)
    (place / "link").symlink_to(home)
    ensured(place / "link" / ".." / "home")
    assert embedded.status(settings_of(place / "link")).pid == embedded.status(settings_of(home)).pid


def test_a_home_that_is_a_file_and_one_that_lost_a_part_are_refused_in_one_sentence(home: Path, place: Path):
    (place / "file").touch()
    with pytest.raises(UsageFault, match="must be a folder"):
        ensured(place / "file")
    data = ensured(home).data
    embedded.stop(settings_of(home), progress=silent)
    kept = embedded_data.kept_file(home)
    kept.rename(place / "kept")
    with pytest.raises(UsageFault, match="bring it back"):
        ensured(home)
    (place / "kept").rename(kept)
    data.rename(place / "data")
    with pytest.raises(UsageFault, match="is gone"):
        ensured(home)
