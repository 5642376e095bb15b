"""``ratemill import userx``: the items of a characteristic from a file, in pages over HTTP, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ratemill.cli.imports.usage import (
    JOURNAL_SUFFIX,
    InFlight,
    RetrySeconds,
    Token,
    Url,
    client_of,
    readable,
    say,
    stop_on_signals,
)
from ratemill.cli.terminal.common import AsJson, read_settings
from ratemill.cli.terminal.tables import progress_of
from ratemill.client.calls import RETRY_S, Client, Json
from ratemill.client.characteristics.importing import (
    IN_FLIGHT,
    PAGE_ITEMS,
    ItemImportMonitor,
    ItemImportOptions,
    ItemImportResult,
    import_items,
    told,
)
from ratemill.client.characteristics.items import SHAPES, Shape, look_through, shape_of
from ratemill.client.characteristics.journal import ItemJournal
from ratemill.client.errors import ClientError, Rejection
from ratemill.client.files import STDIN, digest_of
from ratemill.client.usage.watching import faults_of
from ratemill.errors import USED_WRONGLY, RatemillError, UsageFault
from ratemill.printing import print_json, print_line
from ratemill.settings import Settings

REFUSED_SHOWN_MAX = 20  # refused items, and faults of refused pages, that are said; a file and --json have all


def import_userx(
    characteristic: Annotated[
        int, typer.Argument(metavar="N", min=1, max=20, help="Which of the 20 characteristics the items are of.")
    ],
    file: Annotated[Path, typer.Argument(help="The file, plain or gzip; - reads standard input.")],
    *,
    url: Url = None,
    token: Token = None,
    shape: Annotated[
        str | None,
        typer.Option("--format", help="json (a list), jsonl or csv; else by the file's name.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count everything and write no item.")] = False,
    refused: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the refused items here, a JSON list as sent.", show_default=False),
    ] = None,
    description: Annotated[str | None, typer.Option(help="Description of the batch.", show_default=False)] = None,
    page_size: Annotated[int, typer.Option(help="Items of a page.", min=1)] = PAGE_ITEMS,
    again: Annotated[bool, typer.Option("--again", help="Import anew what was imported to its end.")] = False,
    journal: Annotated[
        Path | None,
        typer.Option(help="Where to note what was answered; else beside the file.", show_default=False),
    ] = None,
    in_flight: InFlight = IN_FLIGHT,
    retry_seconds: RetrySeconds = RETRY_S,
    as_json: AsJson = False,
) -> None:
    """Import the items of a characteristic, however often the command is stopped; 1 if any was refused."""
    settings = read_settings()
    stopping = stop_on_signals()
    outcome = ItemImportResult(str(file), characteristic, dry_run)
    trouble: RatemillError | None = None
    with (
        client_of(settings, url, token, retry_s=retry_seconds, in_flight=in_flight, stopping=stopping) as client,
        readable(file) as path,
    ):
        kind = _shape(file, shape)
        name = "stdin" if str(file) == STDIN else file.name
        asked = ItemImportOptions(characteristic, name, description, page_size, dry_run, again, in_flight)
        place = journal or _journal_of(file, path, settings, characteristic)
        try:
            with ItemJournal(place) as held, _progress() as bar:
                found = look_through(path, kind)
                bar.counted(found.count)
                watched = ItemImportMonitor(outcome, bar.sent, bar.processed, stopping, settings.die_at)
                import_items(client, found, asked, held, watched)
            _tell_refused(client, outcome, refused, page_size=page_size, as_json=as_json)
        except KeyboardInterrupt:
            trouble = ClientError("stopped; the same command goes on where it ended")
        except RatemillError as error:
            trouble = error
    _print(outcome, trouble, as_json=as_json)
    raise typer.Exit(0 if outcome.is_good and not trouble else 1)


def _shape(file: Path, name: str | None) -> Shape:
    if name is not None and name not in SHAPES:
        raise UsageFault(f"--format is one of {', '.join(SHAPES)}, not '{name}'", exit_code=USED_WRONGLY)
    shape = shape_of(file, name)
    if shape is None:
        raise UsageFault(f"the name '{file}' does not say what it holds: say it with --format", exit_code=USED_WRONGLY)
    return shape


def _journal_of(file: Path, path: Path, settings: Settings, characteristic: int) -> Path:
    """Return where an import is noted: beside the file, and for standard input in the home, by its content."""
    if str(file) == STDIN:
        return settings.home / "imports" / f"user{characteristic}-{digest_of(path)}.jsonl"
    return file.with_name(f"{file.name}{JOURNAL_SUFFIX}-user{characteristic}")


def _tell_refused(client: Client, outcome: ItemImportResult, to: Path | None, *, page_size: int, as_json: bool) -> None:
    """Say which items were refused and why, and write them to a file if that is asked for."""
    job = outcome.job
    if job is None or outcome.already_imported:
        return
    if to is not None:
        _write_refused(client, job, to)
    if not job["refusedCount"] or as_json:
        return
    for item in client.job_items(job["jobQueueGuid"], "refused", items_max=REFUSED_SHOWN_MAX):
        within = f"items[{item['index']}]."
        said = "; ".join(told(each["property"].removeprefix(within), each["message"]) for each in item["errors"])
        number = item["pageNumber"] * page_size + item["index"] + 1
        say(f"item {number} ({item['id'] or 'no id'}): {said}")
    if job["refusedCount"] > REFUSED_SHOWN_MAX:
        say(f"… and {job['refusedCount'] - REFUSED_SHOWN_MAX} more: --refused FILE writes them all")


def _write_refused(client: Client, job: Json, to: Path) -> None:
    """Write the refused items as a JSON list, an item a line, as they were sent."""
    try:
        with to.open("wb") as file:
            file.write(b"[")
            separator = b"\n"
            for item in client.refused_items(job["jobQueueGuid"]):
                file.write(separator + item)
                separator = b",\n"
            file.write(b"\n]\n" if separator != b"\n" else b"]\n")
    except OSError as error:
        raise ClientError(f"the refused items cannot be written to {to}: {error.strerror}") from error


def _print(outcome: ItemImportResult, trouble: RatemillError | None, *, as_json: bool) -> None:
    if as_json:
        failed = {"error": str(trouble), "errors": faults_of(trouble)} if trouble else {}
        print_json({**outcome.as_json(), **failed})
        return
    for line in _lines(outcome):
        print_line(line)
    if isinstance(trouble, Rejection):
        for fault in trouble.faults[:REFUSED_SHOWN_MAX]:
            say(fault.message)
        if len(trouble.faults) > REFUSED_SHOWN_MAX:
            say(f"… and {len(trouble.faults) - REFUSED_SHOWN_MAX} more faults: --json has them all")
        state = "the same command waits for the job" if outcome.submitted else "nothing is imported"
        say(f"the server answered {trouble.status}; {state}")
    elif trouble:
        say(str(trouble))


def _lines(outcome: ItemImportResult) -> Iterator[str]:
    if outcome.already_imported:
        named = "standard input" if outcome.file == STDIN else outcome.file
        yield f"{named} was imported before: nothing was sent; --again imports it anew"
    if outcome.batch_id is not None:
        yield f"batch {outcome.batch_id} of User{outcome.characteristic}s: items {outcome.items}, pages {outcome.pages}"
    if outcome.pages_resumed and not outcome.already_imported:
        yield f"{outcome.pages_resumed} of the pages were answered before this run"
    job = outcome.job
    if job is not None:
        would = "would be " if outcome.dry_run else ""
        counts = ", ".join(f"{job[f'{name}Count']} {name}" for name in ("created", "updated", "unchanged", "refused"))
        yield f"job {job['jobQueueGuid']}: {outcome.end}: {would}{counts}; {job['warningCount']} warnings"
        if job.get("error"):
            yield f"error: {job['error']}"


@dataclass(slots=True)
class _ItemBars:
    """The progress bars: items sent, items processed."""

    progress: Progress
    sending: TaskID
    processing: TaskID

    def counted(self, items: int) -> None:
        """Take over how many items there are."""
        for task in (self.sending, self.processing):
            self.progress.update(task, total=items)

    def sent(self, items: int) -> None:
        """Show how many items were answered."""
        self.progress.update(self.sending, completed=items)

    def processed(self, items: int) -> None:
        """Show how many items the job has done."""
        self.progress.update(self.processing, completed=items)


@contextmanager
def _progress() -> Iterator[_ItemBars]:
    """Yield progress bars on standard error, which show themselves on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_of(*columns) as progress:
        yield _ItemBars(progress, progress.add_task("sent", total=None), progress.add_task("processed", total=None))
