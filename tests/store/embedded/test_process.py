"""What a killed server or command leaves, and how the next one goes on."""

import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from tests.store.embedded.homes import altered, ask, command_of, ensured, run, settings_of, silent, until

from ratemill.errors import Unavailable
from ratemill.store.embedded import account as embedded_account
from ratemill.store.embedded import embedded


def kill(home: Path) -> int:
    pid = embedded.status(settings_of(home)).pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not embedded.status(settings_of(home)).running)
    return pid


def test_a_pid_file_that_names_another_process_of_the_account_is_stale(made: Path):
    data = ensured(made).data
    account = embedded_account.owner_of(data)
    pid = kill(made)
    with sleeper(account) as other:
        lines = (data / "postmaster.pid").read_text()
        (data / "postmaster.pid").write_text(lines.replace(str(pid), str(other), 1))
        assert ask(ensured(made), "SELECT 1") == 1


def test_a_socket_lock_that_names_another_process_of_the_account_is_stale(made: Path):
    server = ensured(made)
    account = embedded_account.owner_of(server.data)
    kill(made)
    with sleeper(account) as other:
        lock = Path(f"{server.socket_file}.lock")
        lock.write_text(f"{other}\n" + lock.read_text().partition("\n")[2])
        assert ask(ensured(made), "SELECT 1") == 1


@contextmanager
def sleeper(account: embedded_account.SystemAccount) -> Iterator[int]:
    user = account.uid if account.is_other else None
    with subprocess.Popen(["sleep", "600"], user=user) as other:
        yield other.pid
        other.kill()


def test_processes_that_outlive_their_postmaster_do_not_keep_the_next_one_out(made: Path):
    server = ensured(made)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # it cannot even notice that its postmaster died
        kill(made)
        assert ask(ensured(made), "SELECT 1") == 1
        until(lambda: not command_of(Path(f"/proc/{backend}")))


def test_a_server_that_was_launched_and_has_not_answered_yet_is_adopted(made: Path):
    """The command that launched it was killed: another server must not be launched on the same data."""
    data = ensured(made).data
    kill(made)
    launched = launch(made)
    os.kill(launched, signal.SIGSTOP)
    pid_file, elsewhere = data / "postmaster.pid", data / "postmaster.elsewhere"
    if pid_file.exists():
        pid_file.rename(elsewhere)
    assert embedded.status(settings_of(made)).pid == launched
    if elsewhere.exists():
        elsewhere.rename(pid_file)
    os.kill(launched, signal.SIGCONT)
    assert ask(ensured(made), "SELECT 1") == 1
    assert embedded.status(settings_of(made)).pid == launched


def launch(home: Path) -> int:
    """Launch the server of a home by a command that is killed right after; return its number."""
    command = run(home)
    until(lambda: embedded.status(settings_of(home)).running)
    command.kill()
    command.communicate()
    return embedded.status(settings_of(home)).pid or 0


def test_shared_memory_of_an_earlier_server_keeps_the_next_one_out_only_while_it_is_in_use(made: Path):
    server = ensured(made)
    segment = int((server.data / "postmaster.pid").read_text().splitlines()[6].split()[1])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype, libc.shmat.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    libc.shmdt.argtypes = [ctypes.c_void_p]
    address = libc.shmat(segment, None, 0o10000)  # to read only
    assert address != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
    kill(made)
    messages: list[str] = []

    def release(message: str) -> None:
        if "earlier server" in message and not messages:
            libc.shmdt(address)
            messages.append(message)

    assert ask(embedded.ensure(settings_of(made), progress=release), "SELECT 1") == 1
    assert messages, "nothing kept the server out"


def test_a_command_killed_while_it_makes_the_database_is_followed_by_one_that_makes_it(home: Path):
    command = run(home)
    until((home / "data.new" / "PG_VERSION").exists)
    command.kill()
    command.communicate()
    assert ask(ensured(home), "SELECT 1") == 1


def test_a_data_folder_that_was_made_and_not_moved_yet_is_taken(made: Path):
    data = ensured(made).data
    embedded.stop(settings_of(made), progress=silent)
    data.rename(data.with_name("data.new"))
    assert ask(ensured(made), "SELECT 1") == 1


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(made: Path):
    data = ensured(made).data
    embedded.stop(settings_of(made), progress=silent)
    with (
        altered(data / "postgresql.conf", "no_such_setting = 1\n"),
        pytest.raises(Unavailable, match="no_such_setting"),
    ):
        ensured(made)
    assert ask(ensured(made), "SELECT 1") == 1


BATCH_ROWS = 200_000


@pytest.mark.slow
def test_a_kill_in_a_load_of_over_a_gigabyte_of_log_loses_no_committed_row(home: Path):
    """Rows of noise, so that the log is as long as they are; the last batch may have been committed unanswered."""
    server = ensured(home, wal_size_max_mb=8_192)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE loaded (n bigint, noise bytea)")
    begin = ask(server, "SELECT redo_lsn FROM pg_control_checkpoint()", admin=True)
    committed: list[int] = []
    loader = threading.Thread(target=load, args=(server, committed))
    loader.start()
    until(lambda: ask(server, f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{begin}')") > 1.2e9)
    assert ask(server, "SELECT redo_lsn FROM pg_control_checkpoint()", admin=True) == begin, "a checkpoint came between"
    kill(home)
    loader.join()
    said: list[str] = []
    server = embedded.ensure(settings_of(home), progress=said.append)
    assert all("recovers" in message for message in said)
    rows, last = ask(server, "SELECT count(*), max(n) FROM loaded")
    assert rows == last
    assert rows in {committed[-1], committed[-1] + BATCH_ROWS}


def load(server: embedded.Server, committed: list[int]) -> None:
    """Commit batch after batch until the server dies, noting how far that was answered."""
    noise = "INSERT INTO loaded SELECT n, sha512(n::text::bytea) || sha512((n + 1)::text::bytea) FROM generate_series"
    with suppress(psycopg.OperationalError), psycopg.connect(server.dsn(), autocommit=True) as connection:
        while True:
            first = sum(committed[-1:])
            connection.execute(f"{noise}({first + 1}, {first + BATCH_ROWS}) AS n")
            committed.append(first + BATCH_ROWS)
