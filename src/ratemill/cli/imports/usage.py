"""``ratemill import usage`` and ``ratemill watch``: files of usage, sent over HTTP so that each record counts once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ratemill.cli.terminal.common import AsJson, read_settings
from ratemill.cli.terminal.tables import progress_of
from ratemill.client.calls import RETRY_S, Client, Json
from ratemill.client.errors import ClientError
from ratemill.client.files import STDIN, digest_of, spooled
from ratemill.client.usage.importing import IN_FLIGHT, UsageImportMonitor, UsageImportResult, import_file
from ratemill.client.usage.journal import Journal
from ratemill.client.usage.targets import TargetOptions, find_feed, target_of
from ratemill.client.usage.watching import SETTLE_S, FolderWatch, faults_of
from ratemill.errors import USED_WRONGLY, RatemillError, UsageFault
from ratemill.printing import print_json, print_line, print_notice
from ratemill.settings import Settings

app = typer.Typer(help="Import files over HTTP.", no_args_is_help=True)

JOURNAL_SUFFIX = ".ratemill-import"
_SHAPES = ("csv", "columnar", "jsonl")

Feed = Annotated[str, typer.Argument(help="Name, API name or number of the usage feed.")]
Url = Annotated[str | None, typer.Option(help="Address of the server; else RATEMILL_URL.", show_default=False)]
Token = Annotated[str | None, typer.Option(help="Secret of a token; else RATEMILL_TOKEN.", show_default=False)]
Shape = Annotated[
    str | None,
    typer.Option("--format", help="csv, columnar or jsonl; else by the feed and the file's name.", show_default=False),
]
Delimiter = Annotated[str | None, typer.Option(help="Delimiter of a csv file; else the feed's.", show_default=False)]
Quote = Annotated[
    str | None, typer.Option(help="Quote of a csv file, empty for none; else the feed's.", show_default=False)
]
SkipHeader = Annotated[bool, typer.Option("--skip-header", help="Do not send the first line.")]
InFlight = Annotated[int, typer.Option(help="Requests under way at once.", min=1, max=64)]
RetrySeconds = Annotated[float, typer.Option(help="How long a server that does not answer is tried.", min=0)]


@app.command("usage")
def import_usage(
    feed: Feed,
    file: Annotated[Path, typer.Argument(help="The file, plain or gzip; - reads standard input.")],
    *,
    url: Url = None,
    token: Token = None,
    shape: Shape = None,
    delimiter: Delimiter = None,
    quote: Quote = None,
    skip_header: SkipHeader = False,
    again: Annotated[bool, typer.Option("--again", help="Import anew what was imported to its end.")] = False,
    late: Annotated[bool, typer.Option("--late", help="Go on with an import that stopped over a day ago.")] = False,
    journal: Annotated[
        Path | None,
        typer.Option(help="Where to note what was answered; else FILE.ratemill-import.", show_default=False),
    ] = None,
    in_flight: InFlight = IN_FLIGHT,
    retry_seconds: RetrySeconds = RETRY_S,
    as_json: AsJson = False,
) -> None:
    """Send the records of a file to a usage feed, each once, however often the command is stopped and begun again."""
    settings = read_settings()
    asked = _asked(shape, delimiter, quote, skip_header=skip_header)
    outcome = UsageImportResult(str(file), feed)
    trouble: RatemillError | None = None
    with (
        client_of(
            settings, url, token, retry_s=retry_seconds, in_flight=in_flight, stopping=stop_on_signals()
        ) as client,
        readable(file) as path,
    ):
        try:
            found = find_feed(client, feed)
            outcome.feed = found.name
            target = target_of(found, path if str(file) == STDIN else file, asked)
            place = journal or _journal_of(file, path, settings, found.feed_id)
            with Journal(place) as held, _progress() as bar:
                watched = UsageImportMonitor(outcome, bar.sized, bar.moved, settings.die_at)
                import_file(client, target, path, held, watched, again=again, late=late, in_flight=in_flight)
        except UsageFault:
            raise
        except KeyboardInterrupt:
            trouble = ClientError("stopped; the same command goes on where it ended")
        except RatemillError as error:
            trouble = error
    _print(outcome, trouble, as_json=as_json)
    raise typer.Exit(1 if trouble else 0)


def watch(
    feed: Feed,
    folder: Annotated[Path, typer.Argument(help="The folder in which files appear.")],
    *,
    url: Url = None,
    token: Token = None,
    shape: Shape = None,
    delimiter: Delimiter = None,
    quote: Quote = None,
    skip_header: SkipHeader = False,
    once: Annotated[bool, typer.Option("--once", help="Look once and end; 1 if a file failed or was left.")] = False,
    settle: Annotated[
        float, typer.Option(help="Seconds for which a file has not changed before it is taken.", min=0)
    ] = SETTLE_S,
    in_flight: InFlight = IN_FLIGHT,
    retry_seconds: RetrySeconds = RETRY_S,
    as_json: AsJson = False,
) -> None:
    """Import the files that appear in a folder; move each to done/ or failed/ with its result beside it."""
    settings = read_settings()
    if not folder.is_dir():
        raise UsageFault(f"there is no folder {folder}", exit_code=USED_WRONGLY)
    stopping = Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stopping.set())
    asked = _asked(shape, delimiter, quote, skip_header=skip_header)
    results: list[Json] = []
    with client_of(settings, url, token, retry_s=retry_seconds, in_flight=in_flight, stopping=stopping) as client:
        watching = FolderWatch(
            client,
            feed,
            folder,
            asked,
            in_flight,
            settle,
            stopping,
            settings.die_at,
            results.append if as_json and once else _say_result,
        )
        if not once:
            watching.run()
            return
        counts = watching.look()
    if as_json:
        print_json(dict(counts.items()) | {"files": results})
    raise typer.Exit(1 if counts["failed"] or counts["left"] else 0)


def stop_on_signals() -> Event:
    """Return what SIGTERM and Ctrl-C set: no call is tried again after it, and the answers under way are noted."""
    stopping = Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()
        raise KeyboardInterrupt

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop)
    return stopping


def _asked(shape: str | None, delimiter: str | None, quote: str | None, *, skip_header: bool) -> TargetOptions:
    if shape is not None and shape not in _SHAPES:
        raise UsageFault(f"--format is one of {', '.join(_SHAPES)}, not '{shape}'", exit_code=USED_WRONGLY)
    if delimiter is not None and len(delimiter) != 1:
        raise UsageFault("--delimiter is one character", exit_code=USED_WRONGLY)
    if quote is not None and len(quote) > 1:
        raise UsageFault("--quote is one character or empty", exit_code=USED_WRONGLY)
    return TargetOptions(shape, delimiter, quote, skip_header)


def client_of(
    settings: Settings, url: str | None, token: str | None, *, retry_s: float, in_flight: int, stopping: Event
) -> Client:
    """Return a client of the server and with the token that were given, or that the settings name."""
    secret = token or settings.token
    if not secret:
        raise UsageFault("a token is needed: --token or RATEMILL_TOKEN", exit_code=USED_WRONGLY)
    return Client(
        url or settings.url,
        secret,
        connections_max=in_flight + 1,
        retry_s=retry_s,
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


def _journal_of(file: Path, path: Path, settings: Settings, feed_id: int) -> Path:
    """Return where an import is noted: beside the file, and for standard input in the home, by its content."""
    if str(file) == STDIN:
        return settings.home / "imports" / f"{feed_id}-{digest_of(path)}.jsonl"
    return file.with_name(file.name + JOURNAL_SUFFIX)


def _print(outcome: UsageImportResult, trouble: RatemillError | None, *, as_json: bool) -> None:
    if as_json:
        failed = {"error": str(trouble), "errors": faults_of(trouble)} if trouble else {}
        print_json({**outcome.as_json(), **failed})
        return
    for line in _lines(outcome):
        print_line(line)
    if trouble:
        say(str(trouble))


def _lines(outcome: UsageImportResult) -> Iterator[str]:
    if outcome.already_imported:
        yield f"{outcome.file} was imported before: nothing was sent; --again imports it anew"
    yield f"{outcome.records} records in {outcome.requests} requests to {outcome.feed}"
    if outcome.requests_resumed and not outcome.already_imported:
        yield f"{outcome.requests_resumed} of the requests were answered before this run"
    if outcome.requests_replayed:
        yield f"{outcome.requests_replayed} of the requests had been taken before and were not taken again"
    if outcome.tracking_ids:
        yield f"tracking ids: {outcome.tracking_ids[0]} … {outcome.tracking_ids[-1]}"


def _say_result(result: Json) -> None:
    """Print what became of a file, in one line."""
    print_line(_one_line(result))


def _one_line(result: Json) -> str:
    where = f"moved to {result['movedTo']}" if "movedTo" in result else "left for the next look"
    said = f"{result['file']}: {result['records']} records in {result['requests']} requests; {result['state']}, {where}"
    return f"{said}: {result['error']}" if "error" in result else said


def say(message: str) -> None:
    """Say something beside the answer of a command."""
    print_notice(f"ratemill: {message}")


@dataclass(slots=True)
class _UsageBar:
    """The progress bar: by bytes read, with the records answered beside it."""

    progress: Progress
    task: TaskID

    def sized(self, size: int) -> None:
        """Take over the size of the file."""
        self.progress.update(self.task, total=size)

    def moved(self, size: int, records: int) -> None:
        """Show how far the import is."""
        self.progress.update(self.task, completed=size, records=records)


@contextmanager
def _progress() -> Iterator[_UsageBar]:
    """Yield a progress bar on standard error, which shows itself on a terminal only."""
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[records]:,} records"),
        TimeRemainingColumn(),
    )
    with progress_of(*columns) as progress:
        yield _UsageBar(progress, progress.add_task("import", total=None, records=0))
