"""Fixtures of the proofs: those of the tests, and the figures that each proof prints."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.conftest import _no_settings_of_the_caller, _short_tracebacks, database, dsn, new_database, server, settings

__all__ = [
    "_no_settings_of_the_caller",
    "_short_tracebacks",
    "database",
    "dsn",
    "figures",
    "new_database",
    "server",
    "settings",
]


@pytest.fixture
def figures(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that prints a line of figures immediately, under the name of the proof."""

    def show(line: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {line}", flush=True)

    return show
