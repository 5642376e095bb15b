"""Files that hold an upload or a long answer while it is on its way: in a folder of the home, without a name.

A file without a name is gone with the process that has it open, however that ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ratemill.errors import Unavailable
from ratemill.settings import Settings

_PREFIX = "ratemill-"
_ONLY_OURS = 0o700


def uploads_folder(settings: Settings) -> Path:
    """Return the folder of these files."""
    return settings.home.absolute() / "uploads"


def prepare(settings: Settings) -> None:
    """Create the folder. Delete what a process that was killed may have left where every file has a name at first."""
    folder = uploads_folder(settings)
    folder.mkdir(mode=_ONLY_OURS, parents=True, exist_ok=True)
    folder.chmod(_ONLY_OURS)
    for left in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            left.unlink()


@contextmanager
def writing(settings: Settings) -> Iterator[None]:
    """In the block, what the disk refuses is ``Unavailable``: the request may succeed once there is room."""
    try:
        yield
    except OSError as error:
        folder = uploads_folder(settings)
        raise Unavailable(f"cannot write to {folder}: {error.strerror or error}") from error


def new_file(settings: Settings) -> IO[bytes]:
    """Return a new file, to be closed by the caller."""
    folder = uploads_folder(settings)
    folder.mkdir(mode=_ONLY_OURS, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(prefix=_PREFIX, dir=folder)
