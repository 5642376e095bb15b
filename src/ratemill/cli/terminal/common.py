"""What every command shares: the settings and the database."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import ValidationError

from ratemill import logs
from ratemill.access.database import Database, open_database, open_existing_database
from ratemill.cli.terminal.setting_faults import faults_of
from ratemill.errors import USED_WRONGLY, UsageFault
from ratemill.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output and nothing else there.")]


def read_settings() -> Settings:
    """Return the settings of the environment; set up logging as they ask."""
    try:
        settings = Settings()
    except ValidationError as error:
        raise UsageFault(". ".join(faults_of(error)), exit_code=USED_WRONGLY) from error
    logs.configure(as_json=settings.log_json, level=settings.log_level)
    return settings


@contextmanager
def opened_database(settings: Settings | None = None, *, connections_max: int = 4) -> Iterator[Database]:
    """Yield the database, created and migrated where it is not, and close it after."""
    database = open_database(settings or read_settings(), connections_max=connections_max)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def existing_database(settings: Settings | None = None, *, connections_max: int = 4) -> Iterator[Database]:
    """Yield the database for a command that creates none, and close it after."""
    database = open_existing_database(settings or read_settings(), connections_max=connections_max)
    try:
        yield database
    finally:
        database.close()


def user_name() -> str:
    """Return the name of the user who runs the command, for the log of changes."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
