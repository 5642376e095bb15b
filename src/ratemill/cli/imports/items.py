"""``ratemill import userx``: the items of a characteristic from a file, in pages over HTTP, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ratemill.cli.imports.run import (
    Again,
    FileImport,
    ImportCommand,
    InFlight,
    JournalPath,
    RetrySeconds,
    ServerOptions,
    Token,
    Url,
    imported_before,
    progress_bars,
    run_command,
    say,
    say_rejection,
    write_refused,
)
from ratemill.cli.terminal.common import AsJson
from ratemill.client.calls import RETRY_S, Client
from ratemill.client.characteristics.importing import (
    IN_FLIGHT,
    PAGE_ITEMS,
    ItemImportOptions,
    ItemImportResult,
    import_items,
    told,
)
from ratemill.client.characteristics.items import SHAPES, Shape, look_through, shape_of
from ratemill.client.characteristics.journal import ItemJournal
from ratemill.client.errors import Rejection
from ratemill.errors import USED_WRONGLY, RatemillError, UsageFault

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
    again: Again = False,
    journal: JournalPath = None,
    in_flight: InFlight = IN_FLIGHT,
    retry_seconds: RetrySeconds = RETRY_S,
    as_json: AsJson = False,
) -> None:
    """Import the items of a characteristic, however often the command is stopped; 1 if any was refused."""
    options = ItemImportOptions(characteristic, "", description, page_size, dry_run, again, in_flight)
    command = _ItemCommand(file, shape, options, journal, refused, as_json=as_json)
    run_command(command, file, ServerOptions(url, token, retry_seconds, in_flight), as_json=as_json)


class _ItemCommand(ImportCommand[ItemImportResult]):
    """An import of items."""

    def __init__(
        self,
        file: Path,
        shape: str | None,
        options: ItemImportOptions,
        journal: Path | None,
        refused_to: Path | None,
        *,
        as_json: bool,
    ) -> None:
        super().__init__(ItemImportResult(str(file), options.characteristic, options.dry_run))
        self._shape, self._options, self._journal = shape, options, journal
        self._refused_to, self._as_json = refused_to, as_json

    def run(self, running: FileImport) -> None:
        """Send the items as a batch, wait for its job, and read which were refused."""
        kind = _shape(running.file, self._shape)
        own = f"user{self._options.characteristic}"
        place = self._journal or running.journal_place(own, f"-{own}")
        with ItemJournal(place) as journal, progress_bars() as bars:
            items = look_through(running.path, kind)
            monitor = running.monitor(self.result, bars)
            monitor.sent(0, items.count)
            monitor.processed(0, items.count)
            import_items(running.client, items, replace(self._options, name=running.name), journal, monitor)
        self._tell_refused(running.client)

    def lines(self) -> Iterator[str]:
        """Yield the batch, its pages and what became of its items."""
        return _lines(self.result)

    def say_trouble(self, trouble: RatemillError) -> None:
        """Report what the import failed at, and whether the server goes on with it."""
        if isinstance(trouble, Rejection):
            state = "the same command waits for the job" if self.result.submitted else "nothing is imported"
            say_rejection(trouble, state, REFUSED_SHOWN_MAX)
        else:
            say(str(trouble))

    def _tell_refused(self, client: Client) -> None:
        """Report which items were refused and why, and write them to a file if that is asked for."""
        job = self.result.job
        if job is None or self.result.already_imported:
            return
        if self._refused_to is not None:
            write_refused(self._refused_to, "items", _as_list(client.refused_items(job["jobQueueGuid"])))
        if not job["refusedCount"] or self._as_json:
            return
        for item in client.job_items(job["jobQueueGuid"], "refused", items_max=REFUSED_SHOWN_MAX):
            within = f"items[{item['index']}]."
            faults = "; ".join(told(each["property"].removeprefix(within), each["message"]) for each in item["errors"])
            number = item["pageNumber"] * self._options.page_size + item["index"] + 1
            say(f"item {number} ({item['id'] or 'no id'}): {faults}")
        if job["refusedCount"] > REFUSED_SHOWN_MAX:
            say(f"… and {job['refusedCount'] - REFUSED_SHOWN_MAX} more: --refused FILE writes them all")


def _as_list(items: Iterable[bytes]) -> Iterator[bytes]:
    """Yield items as a JSON list, an item a line."""
    yield b"["
    separator = b"\n"
    for item in items:
        yield separator + item
        separator = b",\n"
    yield b"\n]\n" if separator != b"\n" else b"]\n"


def _shape(file: Path, name: str | None) -> Shape:
    if name is not None and name not in SHAPES:
        raise UsageFault(f"--format is one of {', '.join(SHAPES)}, not '{name}'", exit_code=USED_WRONGLY)
    shape = shape_of(file, name)
    if shape is None:
        raise UsageFault(f"the name '{file}' does not say what it holds: say it with --format", exit_code=USED_WRONGLY)
    return shape


def _lines(outcome: ItemImportResult) -> Iterator[str]:
    if outcome.already_imported:
        yield imported_before(outcome.file)
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
