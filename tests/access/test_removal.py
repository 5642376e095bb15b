"""What deletes a database: only what was named, after it was shown, and never under a command that uses it."""

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.fixtures.processes import environment, free_port, started, wait_until
from tests.store.embedded.homes import removed_after, settings_of

from ratemill.cli.demo import mill as demo_mill
from ratemill.errors import UsageFault
from ratemill.store.embedded import embedded

ROOT = Path(__file__).parents[2]
RATEMILL = [sys.executable, "-m", "ratemill"]


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RATEMILL, *arguments],
        env=environment(home=str(home), shared_buffers_mb="32"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def answered(home: Path, answer: str) -> tuple[int, str]:
    """Run `db remove` at a terminal and give an answer; return the exit code and what the terminal showed."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [*RATEMILL, "db", "remove"],
        env=environment(home=str(home), shared_buffers_mb="32"),
        stdin=there,
        stdout=there,
        stderr=there,
    )
    os.close(there)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(here, 1024)
    os.write(here, answer.encode() + b"\n")
    while True:
        try:
            shown += os.read(here, 1024)
        except OSError:  # the terminal's other end is closed
            break
    os.close(here)
    return process.wait(60), shown.decode()


def data_of(home: Path) -> Path | None:
    return embedded.status(settings_of(home)).data


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    with removed_after(home):
        assert run(home, "token", "create", "--role", "admin").returncode == 0
        yield home


def test_what_is_in_a_database_is_shown_and_asked_about_before_it_goes(home: Path):
    refused = run(home, "db", "remove")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert f"home: {home}\n" in refused.stdout
    assert "owners: default\n" in refused.stdout
    assert "requests: 0 with 0 records; charges: 0\n" in refused.stdout
    assert "last request accepted: none\n" in refused.stdout
    code, shown = answered(home, "")
    assert (code, "nothing is deleted" in shown) == (1, True)
    data = data_of(home)
    assert data is not None
    assert data.exists()
    code, shown = answered(home, "y")
    assert (code, shown.splitlines()[-1]) == (0, "deleted")
    assert not data.exists()
    assert run(home, "db", "remove", "--yes").stdout == "there was none\n"


def test_a_database_whose_contents_cannot_be_read_can_be_removed(home: Path):
    data = data_of(home)
    assert data is not None
    run(home, "db", "stop")
    (data / "PG_VERSION").write_text("9\n")
    done = run(home, "db", "remove", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "deleted")
    assert "contents: cannot be read" in done.stdout


def test_the_data_that_a_copied_home_names_is_left_to_the_home_that_it_was_made_for(home: Path, tmp_path: Path):
    data = data_of(home)
    assert data is not None
    if data.is_relative_to(home):
        pytest.skip("the data of this home lies in it")
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    done = run(copy, "db", "remove", "--yes")
    assert done.returncode == 1
    assert "was moved or copied" in done.stderr
    assert data.exists()


def test_a_demo_deletes_no_folder_that_was_used_after_its_demo(home: Path):
    folder, data = home.parent, data_of(home)
    assert data is not None
    (folder / demo_mill._MARK).touch()
    demo_mill.remember(home)
    noted = (folder / demo_mill._MARK).read_text()
    (folder / demo_mill._MARK).write_text(noted.replace("requests 0", "requests 7"))
    with pytest.raises(UsageFault, match="was used after its demo"):
        demo_mill.fresh(folder)
    assert data.exists()
    (folder / demo_mill._MARK).write_text(noted)
    assert demo_mill.fresh(folder) == home
    assert not data.exists()
    assert list(home.iterdir()) == []


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder with the Makefile and the product as `make setup` leaves it."""
    folder = tmp_path / "checkout"
    program = folder / ".venv" / "bin" / "ratemill"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ratemill "$@"\n')
    program.chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)
    with removed_after(folder / ".ratemill"):
        yield folder


def test_make_clean_deletes_what_is_of_its_folder_alone_and_nothing_under_a_serve(home: Path, checkout: Path):
    def clean() -> subprocess.CompletedProcess[str]:
        exported = environment(home=str(home), shared_buffers_mb="32")
        return subprocess.run(
            ["make", "clean"], cwd=checkout, env=exported, capture_output=True, text=True, check=False
        )

    own, port = checkout / ".ratemill", free_port()
    with started("serve", "--port", str(port), home=str(own), shared_buffers_mb="32", workers="1") as serve:
        wait_until(lambda: _is_healthy(port), seconds=120)
        for refused in (clean(), run(own, "db", "remove", "--yes")):
            assert refused.returncode != 0
            assert f"cannot delete the database in {own}: `ratemill serve` is running on it" in refused.stderr
        assert _is_healthy(port)
        assert (checkout / ".venv").exists()
        serve.terminate()
        assert serve.wait(60) == 0
    data = data_of(own)
    assert data is not None
    done = clean()
    assert done.returncode == 0, done.stderr
    assert not data.exists()
    assert sorted(path.name for path in checkout.iterdir()) == ["Makefile"]
    assert embedded.status(settings_of(home)).running


def test_make_clean_removes_no_program_that_is_running(checkout: Path):
    program = str(checkout / ".venv" / "bin" / "python")
    running = subprocess.Popen([program, "60"], executable="/bin/sleep")
    try:
        done = subprocess.run(["make", "clean"], cwd=checkout, capture_output=True, text=True, check=False)
    finally:
        running.kill()
        running.wait()
    assert done.returncode != 0
    assert f"stop them first: process {running.pid}" in done.stderr
    assert (checkout / ".venv").exists()


def test_no_command_may_use_a_database_that_is_deleted(home: Path):
    command = [sys.executable, "-c", COMMAND, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as using:
        assert using.stdout is not None
        assert using.stdout.readline() == "open\n"
        refused = run(home, "db", "remove", "--yes")
        using.communicate("", timeout=60)
    assert refused.returncode == 1
    assert "another ratemill command is using it" in refused.stderr
    assert run(home, "db", "remove", "--yes").returncode == 0


COMMAND = """
import sys
from pathlib import Path
from ratemill.settings import Settings
from ratemill.access.database import open_existing_database
database = open_existing_database(Settings(home=Path(sys.argv[1])))
print("open", flush=True)
sys.stdin.read()
"""


def _is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
    except httpx.TransportError:
        return False
