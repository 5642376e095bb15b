"""Receive a file of subscription data: look through it, and keep its lines and the order for its import in one transaction.

What is wrong with the file as a whole rejects it, and nothing is kept. What is wrong with a line is the job's to tell: here
a line is only counted under the type that it bears.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO
from uuid import uuid4

from ratemill import logs
from ratemill.access.tokens import Principal
from ratemill.errors import BadRequest, Code, Conflict, Fault
from ratemill.intake.faultpoints import die_at
from ratemill.reference.subscriptions import lines as subscription_lines
from ratemill.settings import Settings
from ratemill.store.connections import Database
from ratemill.store.subscriptions import imports
from ratemill.store.subscriptions.imports import SubscriptionImport
from ratemill.subscription_objects import ObjectKind
from ratemill.visible import shown

log = logs.get(__name__)

_FILE, _REFERENCE = "import_file", "external_ref"
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Upload:
    """What came in: the file at its beginning, none if it is missing; what is wrong with the request so far."""

    file: IO[bytes] | None
    external_ref: str | None = None
    faults: list[Fault] = field(default_factory=list)


def receive(
    database: Database, settings: Settings, principal: Principal, upload: Upload, *, upsert: bool, dry_run: bool
) -> SubscriptionImport:
    """Keep a file and order its import; return the import, which waits for its turn.

    Raises ``BadRequest`` with every fault, and ``Conflict`` if another import has the same ``external_ref``: one that waits
    or is at work or, where the settings say so, any.
    """
    faults, kinds = list(upload.faults), bytearray()
    if upload.file is not None:
        kinds, wrong = _look_through(upload.file, settings)
        faults += [Fault(Code.BAD_REQUEST, f'"{_FILE}" {each}', field=_FILE) for each in wrong]
    if faults or upload.file is None:
        raise BadRequest(faults=faults)
    upload.file.seek(0)
    with database.face(principal.owner_id) as connection:
        number = imports.insert(
            connection,
            owner_id=principal.owner_id,
            import_id=uuid4(),
            external_ref=upload.external_ref,
            upsert=upsert,
            dry_run=dry_run,
            created_by=principal.name,
            lines=len(kinds),
            uploaded={kind: kinds.count(kind) for kind in ObjectKind},
        )
        if number is None or (
            settings.subscription_import_ref_unique
            and upload.external_ref is not None
            and imports.is_taken(connection, upload.external_ref, but=number)
        ):
            message = f"\"{_REFERENCE}\" '{shown(upload.external_ref)}' is that of another import"
            raise Conflict(message if settings.subscription_import_ref_unique else f"{message} that has not ended")
        numbered = zip(kinds, _lines(upload.file), strict=True)
        imports.add_lines(connection, principal.owner_id, number, ((kind, at, line) for kind, (at, line) in numbered))
        die_at("after-accept-before-commit", settings)
        accepted = imports.find_number(connection, number)
    log.info("import_accepted", import_id=str(accepted.import_id), number=number, lines=accepted.lines)
    return accepted


def _look_through(file: IO[bytes], settings: Settings) -> tuple[bytearray, list[str]]:
    """Return the kind of each line that is not blank, 0 for those that tell none; and what is wrong with the file."""
    kinds, wrong, count = bytearray(), [], 0
    for number, line in _lines(file):
        count += 1
        if count > settings.subscription_file_lines_max:
            continue  # counted, and nothing more
        try:
            line.decode()
        except UnicodeDecodeError as error:
            packed = line.startswith(_GZIP) and count == 1
            where = f"{error.reason} at byte {error.start + 1} of line {number}"
            wrong.append("is packed by gzip, which is not taken" if packed else f"is not UTF-8: {where}")
            break
        kinds.append(subscription_lines.classify(line))
    if count == 0:
        wrong.append("is empty: it holds no object")
    if count > settings.subscription_file_lines_max:
        most = settings.subscription_file_lines_max
        wrong.append(f"holds {count} objects, at most {most} are taken: send it as several files")
    return kinds, wrong


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, by number from 1, without their ends and without a BOM."""
    for number, line in enumerate(file, 1):
        bare = line.removeprefix(_BOM) if number == 1 else line
        bare = bare.rstrip(b"\r\n")
        if bare.strip():
            yield number, bare
