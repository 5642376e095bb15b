"""``ratemill import subscriptions``: a file of products, plans, subscribers, offerings and subscriptions, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ratemill.cli.imports.usage import (
    JOURNAL_SUFFIX,
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
from ratemill.client.errors import ClientError, Rejection
from ratemill.client.files import STDIN, digest_of
from ratemill.client.subscriptions.importing import (
    ERRORS_MAX,
    SubscriptionImportMonitor,
    SubscriptionImportOptions,
    SubscriptionImportResult,
    SubscriptionJournal,
    import_subscriptions,
    refused,
)
from ratemill.client.usage.watching import faults_of
from ratemill.errors import RatemillError
from ratemill.printing import print_json, print_line
from ratemill.settings import Settings

ERRORS_SHOWN_MAX = 20  # faults of lines that are said; --json has more, the server all


def import_subscription_file(
    file: Annotated[Path, typer.Argument(help="The file of JSON lines, plain or gzip; - reads standard input.")],
    *,
    url: Url = None,
    token: Token = None,
    upsert: Annotated[
        bool, typer.Option("--upsert", help="Update objects whose external_ref is known; else their lines are refused.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count everything and make nothing.")] = False,
    refused_to: Annotated[
        Path | None,
        typer.Option("--refused", metavar="FILE", help="Write the refused lines here, as sent.", show_default=False),
    ] = None,
    external_ref: Annotated[
        str | None, typer.Option(help="Reference of the import; else one is made.", show_default=False)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Import anew what was imported to its end.")] = False,
    journal: Annotated[
        Path | None,
        typer.Option(help="Where to note what was answered; else beside the file.", show_default=False),
    ] = None,
    retry_seconds: RetrySeconds = RETRY_S,
    as_json: AsJson = False,
) -> None:
    """Import products, plans, subscribers, offerings and subscriptions from JSON lines; 1 if a line was refused."""
    settings = read_settings()
    stopping = stop_on_signals()
    outcome = SubscriptionImportResult(str(file), dry_run)
    trouble: RatemillError | None = None
    with (
        client_of(settings, url, token, retry_s=retry_seconds, in_flight=1, stopping=stopping) as client,
        readable(file) as path,
    ):
        name = "stdin" if str(file) == STDIN else file.name
        asked = SubscriptionImportOptions(name, external_ref, upsert, dry_run, again, retry_seconds)
        try:
            with SubscriptionJournal(journal or _journal_of(file, path, settings)) as held, _progress() as bar:
                watched = SubscriptionImportMonitor(outcome, bar.sent, bar.processed, stopping, settings.die_at)
                import_subscriptions(client, path, asked, held, watched)
            if refused_to is not None and not outcome.already_imported:
                _write_refused(client, outcome, refused_to)
        except KeyboardInterrupt:
            trouble = ClientError("stopped; the same command goes on where it ended")
        except RatemillError as error:
            trouble = error
    _print(outcome, trouble, as_json=as_json)
    raise typer.Exit(0 if outcome.is_good and not trouble else 1)


def _journal_of(file: Path, path: Path, settings: Settings) -> Path:
    """Return where an import is noted: beside the file, and for standard input in the home, by its content."""
    if str(file) == STDIN:
        return settings.home / "imports" / f"subscriptions-{digest_of(path)}.jsonl"
    return file.with_name(f"{file.name}{JOURNAL_SUFFIX}-subscriptions")


def _write_refused(client: Client, outcome: SubscriptionImportResult, to: Path) -> None:
    """Write the refused lines as they were sent."""
    if outcome.shown is None:
        return
    try:
        to.write_bytes(refused(client, outcome.shown["id"]))
    except OSError as error:
        raise ClientError(f"the refused lines cannot be written to {to}: {error.strerror}") from error


def _print(outcome: SubscriptionImportResult, trouble: RatemillError | None, *, as_json: bool) -> None:
    if as_json:
        failed = {"error": str(trouble), "faults": faults_of(trouble)} if trouble else {}
        print_json({**outcome.as_json(), **failed})
        return
    for line in _lines(outcome):
        print_line(line)
    _tell_errors(outcome)
    if isinstance(trouble, Rejection):
        for fault in trouble.faults:
            say(fault.message)
        say(f"the server answered {trouble.status}" + ("" if outcome.shown else "; nothing is imported"))
    elif trouble:
        say(str(trouble))


def _tell_errors(outcome: SubscriptionImportResult) -> None:
    for error in outcome.errors[:ERRORS_SHOWN_MAX]:
        named = f" ({error['external_ref']})" if error["external_ref"] else ""
        at = f"{error['field']}: " if error["field"] else ""
        say(f"line {error['line_number']}{named}: {at}{error['error']}")
    if outcome.shown and not outcome.shown["meta"]["upsert"] and any(map(_is_taken, outcome.errors)):
        say("what has an external_ref that is taken stays as it is; --upsert changes it instead")
    faults = outcome.shown["meta"]["lines"]["errors"] if outcome.shown else 0
    if outcome.errors and faults > ERRORS_SHOWN_MAX:
        more = f"--json has up to {ERRORS_MAX}, GET …/errors all; --refused FILE writes the lines"
        say(f"… and {faults - ERRORS_SHOWN_MAX} more faults: {more}")


def _is_taken(error: Json) -> bool:
    return error["field"] == "external_ref" and "must be unique" in error["error"]


def _lines(outcome: SubscriptionImportResult) -> Iterator[str]:
    if outcome.already_imported:
        named = "standard input" if outcome.file == STDIN else outcome.file
        yield f"{named} was imported before: nothing was sent; --again imports it anew"
    shown = outcome.shown
    if shown is None:
        return
    meta, would = shown["meta"], "would be " if outcome.dry_run else ""
    lines = meta["lines"]
    waiting = lines["total"] - lines["imported"] - lines["refused"]
    rest = f", {waiting} waiting" if waiting else ""
    yield (
        f"import {shown['id']}: {shown['attributes']['status']}: {lines['total']} lines, "
        f"{lines['imported']} {would}imported, {lines['refused']} {would}refused{rest}"
    )
    yield from _by_type(meta["records"])
    if meta.get("error"):
        yield f"error: {meta['error']}"


def _by_type(records: Json) -> Iterator[str]:
    for name, uploaded in records["uploaded"].items():
        if uploaded:
            yield f"  {name:24} {records['imported'][name]:>6} of {uploaded}"


class _SubscriptionBars:
    """The progress bars: bytes sent, lines processed."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._sending, self._processing = (progress.add_task(word, total=None) for word in ("sent", "processed"))

    def sent(self, size: int, total: int) -> None:
        """Show how many bytes are sent."""
        self._progress.update(self._sending, completed=size, total=total)

    def processed(self, lines: int, total: int) -> None:
        """Show how many lines the import has done."""
        self._progress.update(self._processing, completed=lines, total=total)


@contextmanager
def _progress() -> Iterator[_SubscriptionBars]:
    """Yield progress bars on standard error, which show themselves on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_of(*columns) as progress:
        yield _SubscriptionBars(progress)
