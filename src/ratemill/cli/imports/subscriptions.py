"""``ratemill import subscriptions``: a file of products, plans, subscribers, offerings and subscriptions, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ratemill.cli.imports.run import (
    Again,
    FileImport,
    ImportCommand,
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
from ratemill.client.calls import RETRY_S, Json
from ratemill.client.errors import Rejection
from ratemill.client.subscriptions.importing import (
    ERRORS_MAX,
    SubscriptionImportOptions,
    SubscriptionImportResult,
    import_subscriptions,
    refused,
)
from ratemill.client.subscriptions.journal import SubscriptionJournal
from ratemill.errors import RatemillError

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
    again: Again = False,
    journal: JournalPath = None,
    retry_seconds: RetrySeconds = RETRY_S,
    as_json: AsJson = False,
) -> None:
    """Import products, plans, subscribers, offerings and subscriptions from JSON lines; 1 if a line was refused."""
    options = SubscriptionImportOptions("", external_ref, upsert, dry_run, again, retry_seconds)
    command = _SubscriptionCommand(file, options, journal, refused_to)
    run_command(command, file, ServerOptions(url, token, retry_seconds), as_json=as_json)


class _SubscriptionCommand(ImportCommand[SubscriptionImportResult]):
    """An import of subscription data."""

    faults_member = "faults"  # "errors" are those of lines

    def __init__(
        self, file: Path, options: SubscriptionImportOptions, journal: Path | None, refused_to: Path | None
    ) -> None:
        super().__init__(SubscriptionImportResult(str(file), options.dry_run))
        self._options, self._journal, self._refused_to = options, journal, refused_to

    def run(self, running: FileImport) -> None:
        """Send the file, wait for its import, and write the refused lines if that is asked for."""
        place = self._journal or running.journal_place("subscriptions", "-subscriptions")
        with SubscriptionJournal(place) as journal, progress_bars() as bars:
            monitor = running.monitor(self.result, bars)
            import_subscriptions(
                running.client, running.path, replace(self._options, name=running.name), journal, monitor
            )
        shown = self.result.shown
        if self._refused_to is not None and shown is not None and not self.result.already_imported:
            write_refused(self._refused_to, "lines", [refused(running.client, shown["id"])])

    def lines(self) -> Iterator[str]:
        """Yield the import and what became of its lines."""
        return _lines(self.result)

    def say_refused(self) -> None:
        """Report the faults of lines."""
        _tell_errors(self.result)

    def say_trouble(self, trouble: RatemillError) -> None:
        """Report what the import failed at."""
        if isinstance(trouble, Rejection):
            say_rejection(trouble, "" if self.result.shown else "nothing is imported")
        else:
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
        yield imported_before(outcome.file)
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
