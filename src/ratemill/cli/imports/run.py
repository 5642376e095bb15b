"""What every ``ratemill import`` shares: its options, the client, the journal's place, progress, the result and exit code.

The command of a kind of file defines how an import runs and what is printed about it; ``run_command`` does the rest.
"""

from __future__ import annotations

import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated, Any, Generic, NoReturn, Protocol, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ratemill.cli.terminal.common import read_settings
from ratemill.cli.terminal.tables import progress_of
from ratemill.client.calls import Client
from ratemill.client.errors import ClientError, Rejection, faults_of
from ratemill.client.files import STDIN, digest_of, spooled
from ratemill.client.run import ImportMonitor, ImportResult
from ratemill.errors import USED_WRONGLY, RatemillError, UsageFault
from ratemill.printing import print_json, print_line, print_notice
from ratemill.settings import Settings

JOURNAL_SUFFIX = ".ratemill-import"

Url = Annotated[str | None, typer.Option(help="Address of the server; else RATEMILL_URL.", show_default=False)]
Token = Annotated[str | None, typer.Option(help="Secret of a token; else RATEMILL_TOKEN.", show_default=False)]
InFlight = Annotated[int, typer.Option(help="Requests under way at once.", min=1, max=64)]
RetrySeconds = Annotated[float, typer.Option(help="How long a server that does not answer is tried.", min=0)]
Again = Annotated[bool, typer.Option("--again", help="Import anew what was imported to its end.")]
JournalPath = Annotated[
    Path | None,
    typer.Option("--journal", help="Where to note what was answered; else beside the file.", show_default=False),
]

Result = TypeVar("Result", bound=ImportResult)


class Bars(Protocol):
    """The progress of an import: what is sent, and what the server has processed of it."""

    def sent(self, done: int, total: int | None) -> None:
        """Show how much is sent, and of how much."""

    def processed(self, done: int, total: int | None) -> None:
        """Show how much is processed, and of how much."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Which server a command calls, with which token, and for how long it tries."""

    url: str | None
    token: str | None
    retry_s: float
    in_flight: int = 1


@dataclass(slots=True)
class FileImport:
    """A file on its way: ``path`` can be read twice, even if ``file`` is standard input."""

    settings: Settings
    client: Client
    file: Path
    path: Path
    stopping: Event

    @property
    def name(self) -> str:
        """Return the name under which the server knows the file."""
        return "stdin" if str(self.file) == STDIN else self.file.name

    def journal_place(self, of_stdin: str, suffix: str = "") -> Path:
        """Return where an import is noted: beside the file, and for standard input in the home, by its content."""
        if str(self.file) == STDIN:
            return self.settings.home / "imports" / f"{of_stdin}-{digest_of(self.path)}.jsonl"
        return self.file.with_name(f"{self.file.name}{JOURNAL_SUFFIX}{suffix}")

    def monitor(self, result: Result, bars: Bars) -> ImportMonitor[Result]:
        """Return how the import is followed and stopped."""
        return ImportMonitor(result, bars.sent, bars.processed, self.stopping, self.settings.die_at)


class ImportCommand(ABC, Generic[Result]):
    """One ``ratemill import``: how it runs, and what is printed about its result."""

    faults_member = "errors"  # of the JSON value, where the import failed

    def __init__(self, result: Result) -> None:
        self.result = result

    @abstractmethod
    def run(self, running: FileImport) -> None:
        """Import the file into ``result``."""

    @abstractmethod
    def lines(self) -> Iterator[str]:
        """Yield the lines that are printed about the result."""

    def say_refused(self) -> None:
        """Report the refused records that the result has."""

    def say_trouble(self, trouble: RatemillError) -> None:
        """Report what the import failed at."""
        say(str(trouble))


def run_command(command: ImportCommand[Any], file: Path, server: ServerOptions, *, as_json: bool) -> NoReturn:
    """Run an import, print its result and exit: 0 if every record is in, else 1."""
    settings, stopping = read_settings(), stop_on_signals()
    trouble: RatemillError | None = None
    with client_of(settings, server, stopping) as client, readable(file) as path:
        try:
            command.run(FileImport(settings, client, file, path, stopping))
        except UsageFault:
            raise
        except KeyboardInterrupt:
            trouble = ClientError("stopped; the same command goes on where it ended")
        except RatemillError as error:
            trouble = error
    _print(command, trouble, as_json=as_json)
    raise typer.Exit(0 if command.result.is_good and not trouble else 1)


def stop_on_signals() -> Event:
    """Return what SIGTERM and Ctrl-C set: no call is tried again after it, and the answers under way are noted."""
    stopping = Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping


def client_of(settings: Settings, server: ServerOptions, stopping: Event) -> Client:
    """Return a client of the server and with the token that were given, or that the settings name."""
    secret = server.token or settings.token
    if not secret:
        raise UsageFault("a token is needed: --token or RATEMILL_TOKEN", exit_code=USED_WRONGLY)
    return Client(
        server.url or settings.url,
        secret,
        connections_max=server.in_flight + 1,
        retry_s=server.retry_s,
        stopping=stopping,
        say=say,
        ca_file=settings.ca_file,
    )


@contextmanager
def readable(file: Path) -> Iterator[Path]:
    """Yield a file that can be read twice: the one named, or what standard input gave."""
    if str(file) == STDIN:
        with spooled(sys.stdin.buffer) as path:
            yield path
        return
    if not file.is_file():
        raise UsageFault(f"there is no file {file}", exit_code=USED_WRONGLY)
    yield file


def say(message: str) -> None:
    """Say something beside the answer of a command."""
    print_notice(f"ratemill: {message}")


def say_rejection(rejection: Rejection, state: str, faults_max: int | None = None) -> None:
    """Report the faults that the server named, and what that leaves."""
    for fault in rejection.faults[:faults_max]:
        say(fault.message)
    if faults_max is not None and len(rejection.faults) > faults_max:
        say(f"… and {len(rejection.faults) - faults_max} more faults: --json has them all")
    say(f"the server answered {rejection.status}" + (f"; {state}" if state else ""))


def imported_before(file: str) -> str:
    """Return the line about a file that was imported to its end."""
    named = "standard input" if file == STDIN else file
    return f"{named} was imported before: nothing was sent; --again imports it anew"


def write_refused(to: Path, what: str, parts: Iterable[bytes]) -> None:
    """Write refused records to a file as they were sent."""
    try:
        with to.open("wb") as file:
            file.writelines(parts)
    except OSError as error:
        raise ClientError(f"the refused {what} cannot be written to {to}: {error.strerror}") from error


def _print(command: ImportCommand[Any], trouble: RatemillError | None, *, as_json: bool) -> None:
    if as_json:
        failed = {"error": str(trouble), command.faults_member: faults_of(trouble)} if trouble else {}
        print_json({**command.result.as_json(), **failed})
        return
    for line in command.lines():
        print_line(line)
    command.say_refused()
    if trouble:
        command.say_trouble(trouble)


class _TwoBars:
    """A bar for what is sent, and one for what is processed."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.sending, self.processing = (progress.add_task(word, total=None) for word in ("sent", "processed"))

    def sent(self, done: int, total: int | None) -> None:
        """Show how much is sent, and of how much."""
        self.progress.update(self.sending, completed=done, total=total)

    def processed(self, done: int, total: int | None) -> None:
        """Show how much is processed, and of how much."""
        self.progress.update(self.processing, completed=done, total=total)


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Yield progress bars on standard error, which show themselves on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_of(*columns) as progress:
        yield _TwoBars(progress)
