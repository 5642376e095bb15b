"""The demo's own installation: made on a fresh home, served on a free port, and what the steps do with it."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import httpx

import ratemill
from ratemill.access import removal
from ratemill.cli.demo.shown import DemoFailure
from ratemill.client.calls import Client, Json
from ratemill.client.run import ImportMonitor
from ratemill.client.usage.importing import UsageImportResult, import_file
from ratemill.client.usage.journal import Journal
from ratemill.client.usage.targets import TargetOptions, find_feed, target_of
from ratemill.errors import UsageFault
from ratemill.settings import Settings

_MARK = "made-by-ratemill-demo"  # only a folder that has this is ever removed
_RATEMILL = [sys.executable, "-m", "ratemill"]
_START_S_MAX = 120.0
_STOP_S_MAX = 30.0
_DONE_S_MAX = 60.0  # for the records of one request


@dataclass(frozen=True, slots=True)
class Mill:
    """A running installation, and a client of it."""

    home: Path
    url: str
    client: Client

    def run(self, *arguments: str) -> str:
        """Run a command of the product and return what it printed."""
        return _run(self.home, *arguments)

    def apply(self, document: Path) -> int:
        """Apply a set-up document; return how many objects it made."""
        applied = json.loads(self.run("apply", str(document), "--json"))
        if applied["errors"]:
            raise DemoFailure(f"{document.name}: {applied['errors'][0]['message']}")
        return int(applied["created"])

    def send(self, feed: str, path: Path) -> UsageImportResult:
        """Import a file as `ratemill import usage` does."""
        found = find_feed(self.client, feed)
        with Journal(self.home / f"{path.name}.ratemill-import") as journal:
            watched = ImportMonitor(UsageImportResult(str(path), feed))
            return import_file(self.client, target_of(found, path, TargetOptions()), path, journal, watched)

    def histories(self, outcome: UsageImportResult) -> list[Json]:
        """Return the histories of an import's requests once their records are done."""
        return [self.client.status(each, wait_s=_DONE_S_MAX) for each in outcome.tracking_ids]


def examples() -> Path:
    """Return the folder of the examples: inside the package if it was installed, else in the repository."""
    package = Path(ratemill.__file__).parent
    found = next(
        (place for place in (package / "examples", package.parent.parent / "examples") if place.is_dir()), None
    )
    if found is None:
        raise UsageFault("the examples are not installed")
    return found


def make_day(path: Path) -> Path:
    """Write the rows of the telecom day to a file."""
    make_rows: Callable[[], list[str]] = runpy.run_path(str(examples() / "telecom" / "make_day.py"))["make_rows"]
    path.write_text("\n".join(make_rows()) + "\n")
    return path


def fresh(folder: Path) -> Path:
    """Return the home in a folder without anything of an earlier demo.

    Refuses a folder that no demo made, one that a command uses, and one that was used for anything after its demo.
    """
    home = folder / "home"
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise UsageFault(f"{folder} is not empty, and no demo made it: name another folder with --home")
        _remove_earlier(folder, home)
    home.mkdir(parents=True)
    (folder / _MARK).touch()
    return home


def remember(home: Path) -> None:
    """Note what the demo left in its database: a later demo deletes no more than that."""
    (home.parent / _MARK).write_text(_left(removal.find(_settings(home))))


def _remove_earlier(folder: Path, home: Path) -> None:
    settings = _settings(home)
    with removal.used_by_no_other(settings, f"remove the earlier demo in {folder}: its database"):
        found = removal.find(settings)
        noted = (folder / _MARK).read_text()
        if found and noted and _left(found) != noted:
            raise UsageFault(
                f"{folder} was used after its demo, and is left as it is: name another folder with --home, or delete its "
                f"database yourself (RATEMILL_HOME={home} ratemill db remove)"
            )
        if found:
            removal.remove(settings)
    shutil.rmtree(folder)


def _left(installation: removal.Installation | None) -> str:
    """Return by what one sees that a database was used: its requests and the changes of its set-up."""
    if installation is None or installation.contents is None:
        return ""
    return f"requests {installation.contents.submissions}, changes {installation.contents.changes}\n"


def _settings(home: Path) -> Settings:
    """Return the settings of the demo's home, whatever the environment says."""
    return Settings(home=home, database_url="")


@contextmanager
def running(home: Path) -> Iterator[Mill]:
    """Run `ratemill serve` on a fresh home and a free port while the block runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped in any case
    with (home.parent / "serve.log").open("wb") as log:
        command = [*_RATEMILL, "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=_environment(home), stdout=log, stderr=log)  # noqa: S603 -- as above
        try:
            _wait_until_healthy(url, process)
            token = _run(home, "token", "create", "--role", "admin", "--name", "demo").strip().splitlines()[-1]
            with Client(url, token) as client:
                yield Mill(home, url, client)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_STOP_S_MAX)


def _run(home: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 -- the product's own command
        [*_RATEMILL, *arguments], env=_environment(home), capture_output=True, text=True, check=False
    )
    if done.returncode and not done.stdout:
        raise DemoFailure(f"ratemill {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + _START_S_MAX
    while process.poll() is None and monotonic() < deadline:
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    raise UsageFault("the server did not start; its log says why: serve.log in the demo's folder")


def _environment(home: Path) -> dict[str, str]:
    """Return the environment of the demo's commands: the default settings but for the home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RATEMILL_")}
    return {**kept, "RATEMILL_HOME": str(home), "RATEMILL_LOG_LEVEL": "WARNING"}
