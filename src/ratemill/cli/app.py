"""The command line: one application, its commands by family, and how an error of ours or the caller's ends it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from ratemill import logs
from ratemill.cli import audit, db, doctor, lint, owner, prices, reading, rehearse, reprocess, serve, setup, token
from ratemill.cli.demo import demo
from ratemill.cli.imports import items as import_items
from ratemill.cli.imports import subscriptions as import_subscriptions
from ratemill.cli.imports import usage as import_usage
from ratemill.errors import DatabaseAway, InvariantFailure, RatemillError, Unavailable, UsageFault
from ratemill.printing import print_notice
from ratemill.visible import shown

CANNOT_RUN = 3
USAGE_ERROR_CHARS_MAX = 300  # of the message, which repeats an argument once
NAMES = "Usage in by API, mediated and rated, every record accounted for."


class Group(TyperGroup):
    """The commands by name; what an error of use repeats of the arguments is shown as any text from outside is."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as Typer has it
        """Read the options in front of the command."""
        with _visible_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as Typer has it
        """Read the command's arguments and run it."""
        with _visible_usage_errors():
            return super().invoke(*args, **kwargs)


@contextmanager
def _visible_usage_errors() -> Iterator[None]:
    try:
        yield
    except TyperException as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # its message is the help
            error.message = shown(error.message, USAGE_ERROR_CHARS_MAX)
        raise


class Commands(typer.Typer):
    """A Typer application that prints an error on one line and exits with the code of its kind.

    0: done. 1: the input has a fault. 2: used wrongly: an option, an argument or a setting. 3: cannot run now: the database
    is away, refuses the login or is too old, or a port is in use.
    """

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run the command that the arguments name."""
        try:
            return super().__call__(*args, **kwargs)
        except RatemillError as error:
            if isinstance(error, InvariantFailure):
                logs.get(__name__).exception("command_failed")  # a defect is shown with its trace
            print_notice(f"ratemill: {_sentence(error)}")
            sys.exit(exit_code(error))


def exit_code(error: RatemillError) -> int:
    """Return the exit code of an error that ends a command."""
    if isinstance(error, UsageFault):
        return error.exit_code
    return CANNOT_RUN if isinstance(error, Unavailable) else 1


def _sentence(error: RatemillError) -> str:
    return " ".join(str(error).split()) if isinstance(error, DatabaseAway) else str(error)


app = Commands(cls=Group, help=NAMES, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("jobs")(serve.jobs)
app.command("api", hidden=True)(serve.api)
app.command("audit")(audit.audit)
app.command("status")(reading.status)
app.command("exceptions")(reading.exceptions)
app.command("charges")(reading.charges)
app.command("trace")(reading.trace)
app.command("reprocess")(reprocess.reprocess)
app.add_typer(db.app, name="db")
app.command("apply")(setup.apply)
app.command("export")(setup.export)
app.command("prices")(prices.prices)
app.command("lint")(lint.lint)
app.command("rehearse")(rehearse.rehearse)
app.add_typer(owner.app, name="owner")
app.add_typer(token.app, name="token")
import_usage.app.command("userx")(import_items.import_userx)
import_usage.app.command("subscriptions")(import_subscriptions.import_subscription_file)
app.add_typer(import_usage.app, name="import")
app.command("watch")(import_usage.watch)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
