"""Files to import: opened packed or not, looked through once before anything is sent, and named by what they hold."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

import msgspec

from ratemill.client.errors import UnreadableFile
from ratemill.client.records import RECORD_BYTES_MAX, Form

STDIN = "-"
BLOCK_BYTES = 256 * 1024  # less than the longest line, so that a line within a block is short enough
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file holds, unpacked: its size and digest; and the digest of as many first bytes as were asked for."""

    size: int
    sha256: str
    sha256_of_start: str | None = None


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Yield the bytes of a file, unpacked if it is gzip, whatever its name."""
    try:
        with path.open("rb") as raw:
            packed = raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
            if packed:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield io.BufferedReader(unpacked, BLOCK_BYTES)
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableFile(f"{path} is a broken gzip file: {error}") from error
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error


@contextmanager
def spooled(stream: BinaryIO, folder: Path | None = None) -> Iterator[Path]:
    """Yield a file with all of a stream, which can be read once only; it is gone afterwards."""
    place = folder or Path(tempfile.gettempdir())
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="ratemill-import-", dir=place))
            shutil.copyfileobj(stream, file, BLOCK_BYTES)
            file.flush()
        except gzip.BadGzipFile:  # of the stream
            raise
        except OSError as error:
            message = f"cannot copy to {place}: {error.strerror or error}; set TMPDIR to another folder"
            raise UnreadableFile(message) from error
        yield Path(file.name)


def survey(path: Path, form: Form, *, start_size: int = 0) -> Survey:
    """Read a whole file; raise ``UnreadableFile`` if any part of it could not be sent."""
    with opened(path) as file:
        found = _read_through(file, start_size)
    if found is None:
        raise _first_bad_line(path)
    if form.route == "multi":
        _check_objects(path)
    return found


def _read_through(file: BinaryIO, start_size: int) -> Survey | None:
    """Return what the file holds, or None if it is not UTF-8 or has a line that is too long."""
    digest, start_sha256 = hashlib.sha256(), None
    decode = codecs.getincrementaldecoder("utf-8")().decode
    size = line_size = 0
    while block := file.read(BLOCK_BYTES):
        if size < start_size <= size + len(block):
            start = digest.copy()
            start.update(block[: start_size - size])
            start_sha256 = start.hexdigest()
        digest.update(block)
        size += len(block)
        line_size += block.find(b"\n") % (len(block) + 1)  # up to the first line break, or all of the block
        try:
            decode(block)
        except UnicodeDecodeError:
            return None
        if line_size > RECORD_BYTES_MAX:
            return None
        if b"\n" in block:
            line_size = len(block) - 1 - block.rfind(b"\n")
    return Survey(size, digest.hexdigest(), start_sha256) if _is_whole(decode) else None


def _is_whole(decode: Callable[[bytes, bool], str]) -> bool:
    """Return whether the last character is all there."""
    try:
        decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


def _first_bad_line(path: Path) -> UnreadableFile:
    """Return what is wrong with the first line that cannot be sent."""
    with opened(path) as file:
        for number in count(1):
            line = file.readline(RECORD_BYTES_MAX + 1)
            if len(line) > RECORD_BYTES_MAX:
                return _unreadable(path, number, f"is longer than {RECORD_BYTES_MAX} bytes")
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return _unreadable(path, number, f"is not UTF-8: {error.reason} at byte {error.start + 1} of the line")
            if not line:
                break
    return UnreadableFile(f"{path} changed while it was read")


def _check_objects(path: Path) -> None:
    """Hold every line to be one JSON object: one that is not would have its whole request refused."""
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            bare = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if bare.strip() and not _is_object(bare):
                raise _unreadable(path, number, "is not one JSON object")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _unreadable(path: Path, line: int, what: str) -> UnreadableFile:
    return UnreadableFile(f"{path}, line {line}: {what}; nothing was sent", line=line)


def digest_of(path: Path) -> str:
    """Return the digest of what a file holds, unpacked."""
    digest = hashlib.sha256()
    with opened(path) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
