"""The folders of the embedded server: what a home remembers, how a data folder is made, where the socket lies.

A data folder is made beside its place and moved there when it is whole. A command that is killed at any point leaves
either nothing that counts, or something the next command finishes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from ratemill.errors import Unavailable, UsageFault
from ratemill.store.embedded.account import (
    Programs,
    SystemAccount,
    account_of,
    choose,
    digest,
    names,
    place_for,
    programs_for,
)
from ratemill.store.embedded.process import Progress, interrupt

ADMIN = "ratemill_bootstrap"
ROLE = "ratemill"

# Only names the socket's file: the server listens on no network.
PORT = 5432

# The address of a unix socket holds 108 bytes with the NUL that ends it.
SOCKET_PATH_BYTES_MAX = 107
# libpq and the server read lists of folders, with quotes and commas: a socket's folder has none of these.
SOCKET_PATH = re.compile(r"[A-Za-z0-9_./+-]+")
# Not the runtime folder of a login session: that goes when the session ends, and the server goes on.
SHORT_FOLDER = Path("/tmp")  # noqa: S108 - what is made there is made exclusively, 0700, and looked at before it is used


@dataclass(frozen=True, slots=True)
class StoredHome:
    """What a home remembers: where its data are, and the passwords."""

    home: Path
    data: Path
    passwords: Mapping[str, str] = field(repr=False)

    @property
    def new_data(self) -> Path:
        """Where a data folder is made before it takes its place."""
        return self.data.with_name("data.new")


def kept_file(home: Path) -> Path:
    """Return the file in which a home remembers."""
    return home / "database.json"


def read(home: Path) -> StoredHome | None:
    """Return what a home remembers, nothing if no database was made for it."""
    try:
        found = json.loads(kept_file(home).read_text())
        return StoredHome(home, (home / found["data"]).resolve(), found["passwords"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageFault(f"{kept_file(home)} is damaged: bring it back from a backup of the home.") from error


def _write(kept: StoredHome) -> None:
    """Make the home remember; one that is moved takes a data folder inside it along."""
    home = kept.home.resolve()
    data = kept.data.relative_to(home) if kept.data.is_relative_to(home) else kept.data
    text = json.dumps({"data": str(data), "passwords": dict(kept.passwords)})
    new = kept.home / "database.json.new"
    _write_private(new, text, None)
    new.replace(kept_file(kept.home))


def _write_private(path: Path, text: str, account: SystemAccount | None) -> None:
    """Write a new file that only its owner can read: this process's account, or the one given."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        if account and account.is_other:
            os.fchown(handle, account.uid, account.gid)
        file.write(text)
        file.flush()
        os.fsync(handle)


def make(home: Path, lock: int, progress: Progress) -> StoredHome:
    """Make a data folder for a home that has none, and make the home remember it; ``settle`` puts it in its place."""
    if (home / "data").exists():
        raise UsageFault(f"{home / 'data'} is there but {kept_file(home)} is not: bring it back from a backup.")
    account = choose()
    place = place_for(home.resolve(), account)
    if place != home.resolve():
        progress(f"the account {account.name} cannot work in {home}: the data go to {place}")
    kept = StoredHome(home, place / "data", {name: secrets.token_urlsafe(32) for name in (ADMIN, ROLE)})
    progress(f"making a database in {kept.data}")
    init(kept, account, programs_for(account), lock)
    _write(kept)
    return kept


def init(kept: StoredHome, account: SystemAccount, programs: Programs, lock: int, *, checksums: bool = True) -> None:
    """Make an empty data folder beside its place.

    initdb holds the home's lock: if this command is killed, the next one waits for initdb to end, then begins again.
    """
    if kept.new_data.exists():
        interrupt(kept.new_data, lambda _: None)
        shutil.rmtree(kept.new_data)
    account.make_folder(kept.new_data)
    with _password_file(kept, account) as password_file:
        made = account.run(
            [
                programs.folder / "initdb",
                f"--pgdata={kept.new_data}",
                f"--username={ADMIN}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--data-checksums" if checksums else "--no-data-checksums",
                "--set=listen_addresses=",
                "--set=dynamic_shared_memory_type=mmap",  # initdb, too, must not need the container's /dev/shm
            ],
            keep=[lock],
        )
    if made.returncode:
        raise Unavailable(f"The database could not be made: {made.stderr.decode(errors='replace').strip()}")


@contextmanager
def _password_file(kept: StoredHome, account: SystemAccount) -> Iterator[Path]:
    """Hand the superuser's password to initdb in a file that only the account can read."""
    path = kept.data.with_name("data.password")
    _write_private(path, kept.passwords[ADMIN], account)
    try:
        yield path
    finally:
        path.unlink()


def settle(kept: StoredHome) -> None:
    """Put a data folder that was made in its place, also if the command that made it was killed before."""
    if kept.data.exists():
        return
    if not kept.new_data.exists():
        raise UsageFault(
            f"The data folder {kept.data} is gone. Bring it back, or remove {kept_file(kept.home)} to begin anew.",
        )
    kept.new_data.rename(kept.data)


def remove(kept: StoredHome) -> None:
    """Remove what was made for a home, wherever it lies; the home itself stays, and so does its lock."""
    if kept.data.exists():
        account = account_of(kept.data.stat().st_uid)
        for folder in takewhile(Path.exists, _socket_folders(kept, account)):
            if account.owns_alone(folder):
                shutil.rmtree(folder)
        shutil.rmtree(kept.data)
    kept_file(kept.home).unlink()
    if kept.data.parent != kept.home.resolve():
        with suppress(OSError):  # files of others stay
            kept.data.parent.rmdir()


def major_of_data(data: Path) -> str:
    """Return the major version of PostgreSQL that a data folder is of, empty if it is none."""
    with suppress(FileNotFoundError):
        return (data / "PG_VERSION").read_text().strip()
    return ""


def socket_folder(kept: StoredHome, account: SystemAccount) -> Path:
    """Return a folder for the socket that nobody but the account can enter, on a path short enough for a socket.

    It is beside the data if that path is short and plain, else in a folder open to all, where a folder of its name that
    another account made before is left alone and the next name is taken.
    """
    for folder in _socket_folders(kept, account):
        with suppress(FileExistsError):
            account.make_folder(folder)
        if account.owns_alone(folder):
            return folder
    raise UsageFault(f"Every name for a folder of the database's socket in {SHORT_FOLDER} is taken by others.")


def _socket_folders(kept: StoredHome, account: SystemAccount) -> Iterator[Path]:
    near = kept.data.with_name("socket")
    if _fits_a_socket(near):
        yield near
    for name in names(f"ratemill-{account.uid}-{digest(kept.home)}"):
        yield SHORT_FOLDER / name


def _fits_a_socket(folder: Path) -> bool:
    path = str(folder / f".s.PGSQL.{PORT}")
    return SOCKET_PATH.fullmatch(path) is not None and len(path) <= SOCKET_PATH_BYTES_MAX
