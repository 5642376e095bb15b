"""The pages on importing files and characteristics say what the code does."""

from collections.abc import Callable
from pathlib import Path

from typer import Typer
from typer.main import get_command

from ratemill.cli.imports import items as import_items
from ratemill.cli.imports import subscriptions as import_subscriptions
from ratemill.cli.imports import usage as import_usage
from ratemill.client import records
from ratemill.client.characteristics import importing as item_importing
from ratemill.client.subscriptions import importing as subscription_importing
from ratemill.client.usage import watching

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGE = (HOW_TO / "import-files.md").read_text()
OF_EVERY_COMMAND = {"--url", "--token", "--in-flight", "--install-completion", "--show-completion"}


def options(*commands: Callable[..., None]) -> list[str]:
    """Return the options of commands that stand nowhere else."""
    apps = [Typer() for _ in commands]
    for app, command in zip(apps, commands, strict=True):
        app.command()(command)
    named = {name for app in apps for each in get_command(app).params for name in each.opts if name.startswith("--")}
    return sorted(named - OF_EVERY_COMMAND)


def test_every_option_is_on_the_page():
    assert [name for name in options(import_usage.import_usage, import_usage.watch) if f"`{name}" not in PAGE] == []


def test_every_option_of_an_import_of_items_is_on_its_page():
    page = (HOW_TO / "import-characteristics.md").read_text()
    assert [name for name in options(import_items.import_userx) if f"`{name}" not in page] == []
    assert f"({item_importing.PAGE_ITEMS:,})" in page
    assert f"the first {import_items.REFUSED_SHOWN_MAX} are named" in page


def test_every_option_of_an_import_of_subscriptions_is_on_its_page():
    page = (HOW_TO / "import-subscriptions.md").read_text()
    named = options(import_subscriptions.import_subscription_file)
    assert [name for name in named if f"`{name}" not in page] == []
    assert f"The first {import_subscriptions.ERRORS_SHOWN_MAX} faults are named" in page
    assert f"the first {subscription_importing.ERRORS_MAX:,} faults" in page


def test_the_limits_on_the_page_are_those_of_the_code():
    assert f"{records.QUOTED_CHARS_MAX // 1024} KiB" in PAGE
    assert f"{records.RECORD_BYTES_MAX // 1024**2} MiB" in PAGE
    assert f"in requests of {records.REQUEST_RECORDS_MAX:,}" in PAGE
    assert f"after {watching.LEFT_PAUSE_S:.0f} seconds" in PAGE
