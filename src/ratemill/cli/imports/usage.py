"""``ratemill import usage`` and ``ratemill watch``: files of usage, sent over HTTP so that each record counts once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ratemill.cli.imports.run import (
    Again,
    FileImport,
    ImportCommand,
    InFlight,
    RetrySeconds,
    ServerOptions,
    Token,
    Url,
    client_of,
    run_command,
)
from ratemill.cli.terminal.common import AsJson, read_settings
from ratemill.cli.terminal.tables import progress_of
from ratemill.client.calls import RETRY_S, Json
from ratemill.client.files import STDIN
from ratemill.client.usage.importing import IN_FLIGHT, UsageImportResult, import_file
from ratemill.client.usage.journal import Journal
from ratemill.client.usage.targets import TargetOptions, find_feed, target_of
from ratemill.client.usage.watching import SETTLE_S, FolderWatch
from ratemill.errors import USED_WRONGLY, UsageFault
from ratemill.printing import print_json, print_line

app = typer.Typer(help="Import files over HTTP.", no_args_is_help=True)

_SHAPES = ("csv", "columnar", "jsonl")

Feed = Annotated[str, typer.Argument(help="Name, API name or number of the usage feed.")]
Shape = Annotated[
    str | None,
    typer.Option("--format", help="csv, columnar or jsonl; else by the feed and the file's name.", show_default=False),
]
Delimiter = Annotated[str | None, typer.Option(help="Delimiter of a csv file; else the feed's.", show_default=False)]
Quote = Annotated[
    str | None, typer.Option(help="Quote of a csv file, empty for none; else the feed's.", show_default=False)
]
SkipHeader = Annotated[bool, typer.Option("--skip-header", help="Do not send the first line.")]


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
    again: Again = False,
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
    options = _asked(shape, delimiter, quote, skip_header=skip_header)
    command = _UsageCommand(
        UsageImportResult(str(file), feed), options, journal, again=again, late=late, in_flight=in_flight
    )
    run_command(command, file, ServerOptions(url, token, retry_seconds, in_flight), as_json=as_json)


class _UsageCommand(ImportCommand[UsageImportResult]):
    """An import of usage."""

    def __init__(
        self,
        result: UsageImportResult,
        options: TargetOptions,
        journal: Path | None,
        *,
        again: bool,
        late: bool,
        in_flight: int,
    ) -> None:
        super().__init__(result)
        self._feed, self._options, self._journal = result.feed, options, journal
        self._again, self._late, self._in_flight = again, late, in_flight

    def run(self, running: FileImport) -> None:
        """Send the records in requests."""
        feed = find_feed(running.client, self._feed)
        self.result.feed = feed.name
        target = target_of(feed, running.path if str(running.file) == STDIN else running.file, self._options)
        place = self._journal or running.journal_place(str(feed.feed_id))
        with Journal(place) as journal, _progress() as bar:
            import_file(
                running.client,
                target,
                running.path,
                journal,
                running.monitor(self.result, bar),
                again=self._again,
                late=self._late,
                in_flight=self._in_flight,
            )

    def lines(self) -> Iterator[str]:
        """Yield the records, their requests and tracking ids."""
        return _lines(self.result)


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
    with client_of(settings, ServerOptions(url, token, retry_seconds, in_flight), stopping) as client:
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


def _asked(shape: str | None, delimiter: str | None, quote: str | None, *, skip_header: bool) -> TargetOptions:
    if shape is not None and shape not in _SHAPES:
        raise UsageFault(f"--format is one of {', '.join(_SHAPES)}, not '{shape}'", exit_code=USED_WRONGLY)
    if delimiter is not None and len(delimiter) != 1:
        raise UsageFault("--delimiter is one character", exit_code=USED_WRONGLY)
    if quote is not None and len(quote) > 1:
        raise UsageFault("--quote is one character or empty", exit_code=USED_WRONGLY)
    return TargetOptions(shape, delimiter, quote, skip_header)


def _say_result(result: Json) -> None:
    """Print what became of a file, in one line."""
    print_line(_one_line(result))


def _one_line(result: Json) -> str:
    where = f"moved to {result['movedTo']}" if "movedTo" in result else "left for the next look"
    said = f"{result['file']}: {result['records']} records in {result['requests']} requests; {result['state']}, {where}"
    return f"{said}: {result['error']}" if "error" in result else said


@dataclass(slots=True)
class _UsageBar:
    """The progress bar: by bytes read, with the records answered beside it."""

    progress: Progress
    task: TaskID

    def sent(self, done: int, total: int | None) -> None:
        """Show how many bytes were read for what was answered, and the size of the file."""
        self.progress.update(self.task, completed=done, total=total)

    def processed(self, done: int, _total: int | None) -> None:
        """Show how many records were answered."""
        self.progress.update(self.task, records=done)


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
