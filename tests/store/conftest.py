"""Homes for the tests of the embedded server."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.embedded.homes import removed_after


@pytest.fixture
def place() -> Iterator[Path]:
    """Make a folder that every account can enter; pytest's own are closed to all but the one that runs it."""
    folder = Path(tempfile.mkdtemp(prefix="ratemill-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(place: Path) -> Iterator[Path]:
    home = place / "home"
    with removed_after(home):
        yield home


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Make one home for all tests that leave it whole, for making a database is most of the work."""
    folder = Path(tempfile.mkdtemp(prefix="ratemill-test-"))
    folder.chmod(0o755)
    with removed_after(folder / "home"):
        yield folder / "home"
    shutil.rmtree(folder)
