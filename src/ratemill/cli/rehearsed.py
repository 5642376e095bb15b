"""What ``ratemill rehearse`` does and shows; apart from the command, because it loads the table engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import typer

from ratemill.access.database import Database
from ratemill.api.http.envelope import Json
from ratemill.cli.imports.run import readable
from ratemill.cli.setup import placed, read_text
from ratemill.client.files import BLOCK_BYTES, STDIN, opened, survey
from ratemill.client.records import read_records
from ratemill.client.usage.targets import TargetOptions, form_of
from ratemill.errors import TableTooLarge, UsageFault
from ratemill.money import plain
from ratemill.periods import write_instant
from ratemill.printing import print_json, print_line, print_notice
from ratemill.reasons import BY_ID
from ratemill.settings import Settings
from ratemill.setup.in_force.rehearsal import (
    DocumentFaulty,
    PreparedProfile,
    RehearsedRow,
    RowFault,
    SampleOutcome,
    prepare_document,
    prepare_stored,
    rehearse,
)
from ratemill.setup.writing.apply import fault_as_json
from ratemill.texts import without_nul
from ratemill.visible import visible

OUTCOMES = {
    SampleOutcome.MEDIATED: "Mediated",
    SampleOutcome.SKIPPED: "Skipped",
    SampleOutcome.DUPLICATE: "Duplicate",
    SampleOutcome.REFUSED: "ImportException",
}
_SAID = {
    SampleOutcome.MEDIATED: "a usage record",
    SampleOutcome.SKIPPED: "skipped",
    SampleOutcome.DUPLICATE: "a duplicate",
    SampleOutcome.REFUSED: "refused",
}
_COUNTED = {
    SampleOutcome.MEDIATED: "usage records",
    SampleOutcome.SKIPPED: "skipped",
    SampleOutcome.DUPLICATE: "duplicates",
    SampleOutcome.REFUSED: "refused",
}
_STEP_CHARS = len("validated")


def prepare(database: Database, profile: str, document: Path | None, owner: str, *, as_json: bool) -> PreparedProfile:
    """Return the profile as it is stored or as a document makes it; a document with faults ends the command."""
    if document is None:
        return prepare_stored(database, owner, profile)
    text, folder = read_text(document)
    try:
        return prepare_document(database, text, folder, profile)
    except DocumentFaulty as error:
        if as_json:
            print_json({"errors": [fault_as_json(each) for each in error.faults]})
        for fault in error.faults:
            print_notice(f"{placed(fault)}")
        print_notice(f"{len(error.faults)} faults; nothing is rehearsed")
        raise typer.Exit(1) from error


def rehearse_file(database: Database, prepared: PreparedProfile, file: Path, settings: Settings) -> list[RehearsedRow]:
    """Return the rows of a file on their way; as many as one request may have, the others are passed over."""
    profile = prepared.setup.profile
    members = {"format": str(profile.format), "delimiter": profile.delimiter, "quote": profile.quote}
    with readable(file) as path:
        form = form_of(profile.name, members, path if str(file) == STDIN else file, TargetOptions())
        survey(path, form)
        with opened(path) as stream:
            records = read_records(iter(lambda: stream.read(BLOCK_BYTES), b""), form)
            texts = [text for text, _ in islice(records, settings.request_rows_max)]
            has_more = next(records, None) is not None
    if not texts:
        raise UsageFault(f"'{file}' holds no rows")
    rows = _rehearse_first(database, prepared, texts, settings, are_objects=form.route == "multi")
    if has_more or len(rows) < len(texts):
        print_notice(f"there are further rows; the first {len(rows)} are shown")
    return rows


def _rehearse_first(
    database: Database, prepared: PreparedProfile, texts: list[str], settings: Settings, *, are_objects: bool
) -> list[RehearsedRow]:
    """Return as many of the first rows as one table of a worker may have, on their way."""
    try:
        return rehearse(
            database,
            prepared,
            texts,
            are_objects=are_objects,
            field_chars_max=settings.field_chars_max,
            growth_bytes_max=settings.worker_growth_bytes_max,
        )
    except TableTooLarge:
        half = texts[: len(texts) // 2]
        return _rehearse_first(database, prepared, half, settings, are_objects=are_objects)


def instance(prepared: PreparedProfile, rows: Iterable[RehearsedRow]) -> Json:
    """Return a rehearsal in the members of the wire."""
    return {
        "dataProfileName": prepared.setup.profile.name,
        "dataProfileVersion": prepared.setup.profile_version,
        "rows": [_row_instance(row) for row in rows],
    }


def show(prepared: PreparedProfile, rows: list[RehearsedRow]) -> None:
    """Print a rehearsal for people: each row step by step, then the counts."""
    version = prepared.setup.profile_version
    state = "as the document has it" if version is None else f"version {version}"
    print_line(f"data profile {prepared.setup.profile.name}, {state}")
    for row in rows:
        print_line()
        for line in _lines(row):
            print_line(line)
    counts = Counter(row.outcome for row in rows)
    said = " + ".join(f"{name} {counts[outcome]}" for outcome, name in _COUNTED.items())
    print_line()
    print_line(f"rows {len(rows)} = {said}")


def _row_instance(row: RehearsedRow) -> Json:
    return {
        "originatingFileRecordIndex": row.row_index,
        "dataSnippet": without_nul(row.raw),
        "parsed": row.parsed,
        "mapped": row.mapped,
        "outcome": OUTCOMES[row.outcome],
        "udrMediated": _usage_instance(row.usage) if row.usage else None,
        "duplicateOf": {"originatingFileRecordIndex": row.duplicate_of} if row.duplicate_of else None,
        "faults": [_fault_instance(fault) for fault in row.faults],
    }


def _fault_instance(fault: RowFault) -> Json:
    return {
        "dataImportExceptionErrorTypeId": fault.reason_id,
        "dataImportExceptionErrorTypeName": BY_ID[fault.reason_id].name,
        "fieldName": fault.field,
        "fieldValue": fault.value,
        "message": fault.message,
    }


def _usage_instance(usage: Mapping[str, Any]) -> Json:
    extension = usage["extension"]
    return {
        "date": write_instant(usage["usage_at"]),
        "udrIdentifierTypeName": usage["identifier_type"],
        "udrUsageIdentifier": usage["usage_identifier"],
        "originatingIdentifier": usage["originating_identifier"],
        "terminatingIdentifier": usage["terminating_identifier"],
        "value": plain(usage["quantity"]),
        "inbound": usage["inbound"],
        "reverseRating": usage["reverse_rating"],
        "usageClassName": usage["usage_class"],
        "usageClassTypeName": usage["usage_class_type"],
        "uniquenessIdentifier": usage["uniqueness_identifier"],
        "extension": None if extension is None else json.loads(extension, parse_float=str),
    }


def _lines(row: RehearsedRow) -> Iterator[str]:
    repeats = f" of row {row.duplicate_of}" if row.duplicate_of else ""
    yield f"row {row.row_index}: {_SAID[row.outcome]}{repeats}"
    yield f"  {'as sent':{_STEP_CHARS}}  {row.raw}"
    yield from _step("parsed", row.parsed)
    yield from _step("mapped", row.mapped)
    if row.usage:
        yield from _step("validated", _usage_instance(row.usage))
    for fault in row.faults:
        yield f"  {BY_ID[fault.reason_id].name}: {fault.message}"


def _step(step: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a step made, a line each; what is absent is left out."""
    filled = {name: value for name, value in values.items() if value is not None}
    names = [visible(name) for name in filled]
    width = max(map(len, names), default=0)
    for name, value in zip(names, filled.values(), strict=True):
        yield f"  {step:{_STEP_CHARS}}  {name:{width}}  {_written(value)}"
        step = ""


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
