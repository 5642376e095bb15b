"""The memory that the embedded server needs, what it keeps, and the data of other versions."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from tests.store.embedded.homes import COMMAND, altered, ask, ensured, settings_of, silent, until

from ratemill.errors import UsageFault
from ratemill.store.embedded import account as embedded_account
from ratemill.store.embedded import data as embedded_data
from ratemill.store.embedded import embedded, process
from ratemill.store.embedded import server as embedded_server


def test_a_parallel_hash_join_needs_no_shared_memory_of_the_container(home: Path):
    """As root, with a /dev/shm of one page: what is needed comes from the server's own memory and from files."""
    if os.geteuid() == 0:
        mount = f"mount -t tmpfs -o size=4k tmpfs /dev/shm && exec {sys.executable} -c '{COMMAND}' {home}"
        subprocess.run(["unshare", "--mount", "/bin/sh", "-c", mount], input="", text=True, check=True)
    server = ensured(home)
    assert ask(server, "SHOW dynamic_shared_memory_type") == "mmap"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE wide AS SELECT n, repeat('x', 200) AS t FROM generate_series(1, 100000) AS n")
        connection.execute("ANALYZE wide")
        for setting in ("parallel_setup_cost=0", "parallel_tuple_cost=0", "work_mem='64MB'", "enable_mergejoin=off"):
            connection.execute(f"SET {setting}")
        query = "SELECT count(*), max(a.t || b.t) FROM wide AS a JOIN wide AS b USING (n)"
        plan = str(connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}").fetchone())
        row = connection.execute(query).fetchone()
    assert "'Parallel Hash'" in plan or "'Parallel Aware': True" in plan
    assert "'Workers Launched': 2" in plan or "'Workers Launched': 1" in plan
    assert row
    assert row[0] == 100_000


def test_what_was_answered_stays(made: Path):
    server = ensured(made)
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert ask(server, f"SHOW {name}") == "on"


@pytest.mark.parametrize(("version", "remedy"), [("17", "ratemill db upgrade"), ("99", "install a newer")])
def test_data_of_another_major_version_are_refused_with_the_remedy(made: Path, version: str, remedy: str):
    data = ensured(made).data
    embedded.stop(settings_of(made), progress=silent)
    with altered(data / "PG_VERSION", f"{version}\n"), pytest.raises(UsageFault, match=remedy) as told:
        ensured(made)
    assert version in str(told.value)


def test_an_upgrade_without_the_old_programs_says_what_it_needs(made: Path, place: Path):
    data = ensured(made).data
    embedded.stop(settings_of(made), progress=silent)
    with pytest.raises(UsageFault, match="already"):
        embedded.upgrade(settings_of(made), progress=silent)
    with altered(data / "PG_VERSION", "9\n"), pytest.raises(UsageFault, match="--old-bin"):
        embedded.upgrade(settings_of(made), old_bin=place, progress=silent)


OLD = [path for path in sorted(Path("/usr/lib/postgresql").glob("1[4-7]/bin")) if (path / "initdb").exists()]


@pytest.mark.skipif(not OLD, reason="no older PostgreSQL is installed (on Debian 12: apt-get install postgresql-15)")
def test_data_of_an_older_major_version_are_upgraded_even_after_a_kill(home: Path):
    """The old data folder is made by the old programs, with what a home remembers already there."""
    home.mkdir()
    account = embedded_account.choose()
    old_bin, version = OLD[-1], OLD[-1].parent.name
    ensured(home)
    embedded.stop(settings_of(home), progress=silent)
    kept = embedded_data.read(home)
    assert kept
    shutil.rmtree(kept.data)
    make_old(kept, old_bin, account)
    with pytest.raises(UsageFault, match="db upgrade"):
        ensured(home)
    old = embedded.upgrade(settings_of(home), old_bin=old_bin, progress=silent)
    assert (old / "PG_VERSION").read_text().strip() == version
    server = ensured(home)
    assert ask(server, "SELECT number FROM kept") == 7
    assert embedded.status(settings_of(home)).version == "18"


def make_old(kept: embedded_data.StoredHome, old_bin: Path, account: embedded_account.SystemAccount) -> None:
    """Make data with the old programs, a table in them, and kill the server."""
    account.make_folder(kept.data)
    password = kept.data.with_name("password")
    password.write_text(kept.passwords[embedded_data.ADMIN])
    password.chmod(0o644)
    old_programs = embedded_account.programs_in(old_bin, account)
    assert old_programs
    made = account.run(
        [
            old_bin / "initdb",
            *("-D", kept.data, "-U", embedded_data.ADMIN, f"--pwfile={password}", "--auth=scram-sha-256"),
            *("-k", "--encoding=UTF8", "--locale=C.UTF-8"),
        ],
    )
    assert made.returncode == 0, made.stderr
    password.unlink()
    socket = embedded_data.socket_folder(kept, account)
    options = [
        f"--unix_socket_directories={socket}",
        "--listen_addresses=",
        f"--cluster_name={process.cluster_name(kept.data)}",
    ]
    postmaster = process.launch(account, old_programs, kept.data, options)
    server = embedded.Server(kept.home, kept.data, socket, embedded_data.PORT, kept.passwords)
    until(lambda: embedded_server.accepts_connections(kept))
    embedded_server.bootstrap(server)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    os.kill(postmaster.pid, signal.SIGKILL)
    until(lambda: not postmaster.runs())
