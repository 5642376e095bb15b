"""Fixtures of the proofs: those of the tests, and the figures that each proof prints."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest_plugins = ["tests.fixtures.databases", "tests.fixtures.mills"]


@pytest.fixture
def figures(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that prints a line of figures immediately, under the name of the proof."""

    def show(line: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {line}", flush=True)

    return show
