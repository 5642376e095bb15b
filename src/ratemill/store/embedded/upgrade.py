"""The data of an older PostgreSQL, brought to the version that this Ratemill has.

PostgreSQL reads the data of its own major version only, and one wheel carries one version. So this needs the programs
of the old version from elsewhere; `pg_upgrade`, which the wheel has, does the rest. The old data stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ratemill.errors import Unavailable, UsageFault
from ratemill.store.embedded import data as folders
from ratemill.store.embedded import process
from ratemill.store.embedded.account import Programs, SystemAccount, owner_of, programs_for, programs_in
from ratemill.store.embedded.data import StoredHome
from ratemill.store.embedded.process import Progress

# pg_upgrade puts paths between double quotes into command lines of a shell.
PLAIN_PATH = re.compile(r'[^"$`\\]+')


def upgrade(kept: StoredHome, old_bin: Path | None, lock: int, progress: Progress) -> Path:
    """Copy the data into the version of the programs at hand; return the folder in which the old ones stay."""
    account = owner_of(kept.data)
    programs = programs_for(account)
    theirs, ours = folders.major_of_data(kept.data), programs.major
    if theirs == ours:
        raise UsageFault(f"The data in {kept.data} are of PostgreSQL {ours} already.")
    old_programs = _old_programs(theirs, old_bin, account)
    old_data = kept.data.with_name(f"data-{theirs}")
    _refuse_what_cannot_work(kept.data, old_data)
    _come_to_rest(kept.data, old_programs, account, progress)
    progress(f"copying the data of PostgreSQL {theirs} to {ours}")
    folders.init(kept, account, programs, lock, checksums=_has_checksums(kept.data, old_programs, account))
    _copy(kept, old_programs, programs, account)
    kept.data.rename(old_data)
    folders.settle(kept)
    return old_data


def _old_programs(major: str, given: Path | None, account: SystemAccount) -> Programs:
    """Return the programs of the old version, or say what is needed."""
    places = (
        [given.absolute()] if given else [Path(f"/usr/lib/postgresql/{major}/bin"), Path(f"/usr/pgsql-{major}/bin")]
    )
    for place in places:
        found = programs_in(place, account)
        if found and found.major == major:
            return found
    raise UsageFault(
        f"The upgrade needs the programs of PostgreSQL {major}: install them (on Debian the package "
        f"postgresql-{major}) and name their folder with `--old-bin DIR`. In {' and '.join(map(str, places))} there "
        f"are none that the account {account.name} can run.",
    )


def _refuse_what_cannot_work(data: Path, old_data: Path) -> None:
    if old_data.exists():
        raise UsageFault(f"{old_data} holds the data from before an earlier upgrade: move it away first.")
    if not PLAIN_PATH.fullmatch(str(data)):
        raise UsageFault(f"pg_upgrade cannot work on {data}: move the home to a path without quotes, $, ` and \\.")


def _come_to_rest(data: Path, old_programs: Programs, account: SystemAccount, progress: Progress) -> None:
    """Stop a server, and recover data that a killed one left: pg_upgrade takes only what was shut down in order."""
    process.interrupt(data, progress)
    process.clear(data)
    _run(account, [old_programs.folder / "postgres", "--single", "-D", data, "postgres"])


def _has_checksums(data: Path, old_programs: Programs, account: SystemAccount) -> bool:
    said = _run(account, [old_programs.folder / "pg_controldata", data])
    return re.search(r"page checksum version: +[1-9]", said) is not None


def _copy(kept: StoredHome, old_programs: Programs, programs: Programs, account: SystemAccount) -> None:
    socket = folders.socket_folder(kept, account)
    _run(
        account,
        [
            programs.folder / "pg_upgrade",
            f"--old-bindir={old_programs.folder}",
            f"--new-bindir={programs.folder}",
            f"--old-datadir={kept.data}",
            f"--new-datadir={kept.new_data}",
            f"--username={folders.ADMIN}",
            f"--socketdir={socket}",
        ],
        folder=socket,
        password=kept.passwords[folders.ADMIN],
    )


def _run(account: SystemAccount, command: Sequence[str | Path], *, folder: Path = Path("/"), password: str = "") -> str:
    """Run a program that must succeed; a password goes by its environment, which only the account can read."""
    done = account.run(command, folder=folder, extra={"PGPASSWORD": password} if password else {})
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    if done.returncode:
        raise Unavailable(f"{Path(command[0]).name} failed; the data are as they were.\n{said}")
    return said
