"""The body of an import: multipart, its file written to disk as it arrives, and never more than the limit.

Whatever is wrong with the parts is told at once, together with what is wrong with the file; only a body that is no
multipart, or over its limit, ends the reading.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from ratemill.api.http import spool
from ratemill.errors import BadRequest, Code, Fault
from ratemill.intake.subscription_imports import Upload
from ratemill.settings import Settings
from ratemill.texts import NUL
from ratemill.visible import shown

FILE, REFERENCE = "import_file", "external_ref"
REFERENCE_CHARS_MAX = 2_048
_REFERENCE_BYTES_MAX = 4 * REFERENCE_CHARS_MAX  # of UTF-8
_BESIDE_BYTES_MAX = 1024 * 1024  # of a body beside its file: other parts, headers, boundaries


@asynccontextmanager
async def received(request: Request, settings: Settings) -> AsyncIterator[Upload]:
    """Yield what was uploaded, on disk for as long as the block runs.

    Raises ``BadRequest`` if the body cannot be read, and ``Unavailable`` if the disk is full.
    """
    boundary, file_bytes_max = _boundary(request), settings.subscription_file_bytes_max
    declared = request.headers.get("content-length", "")
    body_bytes_max = file_bytes_max + _BESIDE_BYTES_MAX
    if declared.isdigit() and int(declared) > body_bytes_max:
        raise _too_large(file_bytes_max)
    with spool.writing(settings):
        file = spool.new_file(settings)
    with file:
        parts, size = _Parts(file, settings), 0
        try:
            parser = MultipartParser(boundary, parts.callbacks())
            async for chunk in request.stream():
                size += len(chunk)
                if size > body_bytes_max:
                    raise _too_large(file_bytes_max)
                with spool.writing(settings):
                    parser.write(chunk)
        except (FormParserError, UnicodeError) as error:
            raise _not_multipart(f"cannot be read as multipart/form-data: {error}") from error
        if not parts.is_complete:
            raise _not_multipart("ends before its last boundary")
        with spool.writing(settings):
            file.flush()
        yield parts.upload()


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind.lower() != b"multipart/form-data":
        given = shown(request.headers.get("content-type", "nothing"))
        raise _not_multipart(f"must be multipart/form-data with a part {FILE}, not {given}")
    if not options.get(b"boundary"):
        raise _not_multipart("must be multipart/form-data with a boundary")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise _not_multipart(f"must not be packed: Content-Encoding is {shown(encoding)}")
    return options[b"boundary"]


class _Parts:
    """The parts of a body as they arrive."""

    def __init__(self, file: IO[bytes], settings: Settings) -> None:
        self._file, self._file_bytes_max = file, settings.subscription_file_bytes_max
        self._parts_left = self._parts_max = settings.upload_parts_max
        self._files = self._references = self._file_bytes = 0
        self._reference = bytearray()
        self._header, self._value = bytearray(), bytearray()
        self._name = b""
        self.is_complete = False

    def callbacks(self) -> Any:  # noqa: ANN401 -- the parser's own dictionary of functions
        """Return what the parser is to call."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._named,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def upload(self) -> Upload:
        """Return what arrived, the file at its beginning, with what is wrong with the parts."""
        faults = []
        if self._files != 1:
            message = f'"{FILE}" is required' if not self._files else f'"{FILE}" comes {self._files} times'
            faults.append(Fault(Code.BAD_REQUEST, message, field=FILE))
        reference, wrong = self._read_reference()
        if wrong:
            faults.append(Fault(Code.BAD_REQUEST, f'"{REFERENCE}" {wrong}', field=REFERENCE))
        self._file.seek(0)
        return Upload(self._file if self._files == 1 else None, reference, faults)

    def _read_reference(self) -> tuple[str | None, str | None]:
        if self._references > 1:
            return None, f"comes {self._references} times"
        if not self._reference:
            return None, None
        try:
            text = self._reference.decode()
        except UnicodeDecodeError:
            text = None
        if len(self._reference) > _REFERENCE_BYTES_MAX or (text and len(text) > REFERENCE_CHARS_MAX):
            return None, f"has more than {REFERENCE_CHARS_MAX} characters"
        if text is None:
            return None, "is not UTF-8"
        return (None, "holds the character NUL") if NUL in text else (text, None)

    def _begin(self) -> None:
        self._name = b""
        self._parts_left -= 1
        if self._parts_left < 0:
            raise _not_multipart(f"has more than {self._parts_max} parts")

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._name = parse_options_header(bytes(self._value))[1].get(b"name", b"")
        self._header, self._value = bytearray(), bytearray()

    def _named(self) -> None:
        self._files += self._name == FILE.encode()
        self._references += self._name == REFERENCE.encode()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE.encode():
            self._file_bytes += end - start
            if self._file_bytes > self._file_bytes_max:
                raise _too_large(self._file_bytes_max)
            self._file.write(memoryview(data)[start:end])
        elif self._name == REFERENCE.encode() and len(self._reference) <= _REFERENCE_BYTES_MAX:
            self._reference += data[start:end]

    def _end(self) -> None:
        self.is_complete = True


def _not_multipart(what: str) -> BadRequest:
    return BadRequest(f"the body {what}")


def _too_large(limit: int) -> BadRequest:
    message = f'"{FILE}" has more than {limit} bytes: send it as several files'
    return BadRequest(faults=[Fault(Code.BODY_TOO_LARGE, message, field=FILE)])
