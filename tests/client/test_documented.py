"""The page on importing files says what the code does."""

from pathlib import Path

from typer import Typer
from typer.main import get_command

from ratemill.client import records, watching
from ratemill.face.cli import importing

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "import-files.md").read_text()
OF_EVERY_COMMAND = {"--url", "--token", "--in-flight", "--install-completion", "--show-completion"}


def test_every_option_is_on_the_page():
    watch = Typer()
    watch.command()(importing.watch)
    options = {name for app in (importing.app, watch) for each in get_command(app).params for name in each.opts}
    assert [
        name for name in sorted(options - OF_EVERY_COMMAND) if name.startswith("--") and f"`{name}" not in PAGE
    ] == []


def test_the_limits_on_the_page_are_those_of_the_code():
    assert f"{records.QUOTED_CHARS_MAX // 1024} KiB" in PAGE
    assert f"{records.RECORD_BYTES_MAX // 1024**2} MiB" in PAGE
    assert f"in requests of {records.REQUEST_RECORDS_MAX:,}" in PAGE
    assert f"after {watching.LEFT_PAUSE_S:.0f} seconds" in PAGE
