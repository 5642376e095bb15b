"""Delete the embedded database: only where no other command uses it, and after its contents have been shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ratemill.access.database import open_existing_database
from ratemill.errors import RatemillError, UsageFault
from ratemill.settings import Settings
from ratemill.store import contents
from ratemill.store.contents import COUNT_MAX, Contents
from ratemill.store.embedded import account as embedded_account
from ratemill.store.embedded import embedded
from ratemill.store.embedded import use as embedded_use

DELETE, UPGRADE = "delete the database", "upgrade the database"


@dataclass(frozen=True, slots=True)
class Installation:
    """An embedded database: its home, where its data is and how large; ``contents`` are None if they cannot be read."""

    home: Path
    data: Path
    size_bytes: int
    contents: Contents | None
    unread: str = ""

    def lines(self) -> Iterator[str]:
        """Yield what there is, a line each, for who decides about it."""
        yield f"home: {self.home}"
        yield f"data: {self.data}, {self.size_bytes / 1e6:,.0f} MB"
        found = self.contents
        if found is None:
            yield f"contents: cannot be read: {self.unread}"
            return
        more = f" and {found.owner_count - len(found.owners)} more" if found.owner_count > len(found.owners) else ""
        yield f"owners: {', '.join(found.owners) or 'none'}{more}"
        charges = f"{found.charges:,}" if found.charges <= COUNT_MAX else f"over {COUNT_MAX:,}"
        yield f"requests: {found.submissions:,} with {found.records:,} records; charges: {charges}"
        last = found.last_accepted_at
        yield f"last request accepted: {f'{last:%Y-%m-%d %H:%M:%S} UTC' if last else 'none'}"


@contextmanager
def used_by_no_other(settings: Settings, what: str) -> Iterator[None]:
    """Keep other commands out of the home while the block runs; raise ``UsageFault`` if one uses it."""
    home = settings.home.absolute()
    if not home.is_dir():
        yield
        return
    with embedded_use.alone(home, what):
        yield


def find(settings: Settings) -> Installation | None:
    """Return the embedded database of the home, None if there is none; one that rested rests again afterwards."""
    before = embedded.status(settings)
    if before.data is None:
        return None
    found, unread = None, ""
    own = settings.model_copy(update={"database_url": ""})
    try:
        database = open_existing_database(own, connections_max=1)
    except RatemillError as error:
        unread = str(error)
    else:
        try:
            with database.worker() as connection:
                found = contents.read(connection)
        except RatemillError as error:
            unread = str(error)
        finally:
            database.close()
    if not before.running:
        embedded.stop(own)
    return Installation(before.home, before.data, _size_of(before.data), found, unread)


def remove(settings: Settings) -> None:
    """Stop the server and delete its data.

    Raises ``UsageFault`` for data outside the home that was made for another home: a copied home names it as well.
    """
    status = embedded.status(settings)
    home, data = status.home.resolve(), status.data
    if data and not data.is_relative_to(home) and not data.parent.name.startswith(embedded_account.digest(home)):
        raise UsageFault(
            f"the data in {data} was made for a home at another path, which may still use it: {home} was moved or copied. "
            f"Nothing is deleted; if no other home uses the data, delete {data} yourself"
        )
    embedded.remove(settings)


def _size_of(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.lstat().st_size
        except OSError:  # the server deletes files of its own meanwhile
            continue
    return size
