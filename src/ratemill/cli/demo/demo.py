"""``ratemill demo``: a cloud bill and a telecom day through a fresh installation, over HTTP, each sum checked.

Whatever is shown was read back from the product, and compared with what the files say by exact decimals. The demo ends
with 1 and names the record if anything differs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ratemill.cli.demo import bill, day
from ratemill.cli.demo.mill import Mill, fresh, remember, running
from ratemill.cli.demo.shown import DemoFailure, Transcript

DEMO_HOME = Path(".ratemill-demo")

Folder = Annotated[Path, typer.Option("--home", help="Folder of the demo's own installation; made anew.")]


def demo(home: Folder = DEMO_HOME) -> None:
    """Show the product at work on two real examples: from raw rows to amounts, with every sum checked."""
    shown = Transcript()
    folder = fresh(home.absolute())
    with running(folder) as mill:
        shown.say(
            f"Ratemill serves at {mill.url}. To look for yourself, also afterwards: export RATEMILL_HOME={mill.home}"
        )
        try:
            bill.show(shown, mill)
            day.show(shown, mill)
            _show_audit(shown, mill)
        except DemoFailure as failed:
            shown.say()
            shown.say(f"This does not hold: {failed}")
            raise typer.Exit(1) from failed
        remember(folder)


def _show_audit(transcript: Transcript, mill: Mill) -> None:
    """Show the two sums that account for every record, counted anew from the raw bodies."""
    found = json.loads(mill.run("audit", "--json"))
    totals = found["totals"]
    transcript.head("The audit: every record counted anew from the raw requests", "ratemill audit")
    transcript.say(
        "received {received} = waiting {waiting} + imported {imported} + skipped {skipped}"
        " + duplicate {duplicate} + refused {refused}".format(**totals)
    )
    transcript.say(
        "imported {imported} = rated {rated} + rating exceptions {rating_exceptions} + waiting for rating 0"
        " + written off {written_off}".format(**totals)
    )
    if not found["holds"]:
        raise DemoFailure(f"the counts do not tie: {found['failures'][:3]}")
    transcript.say(f"The counts tie: {found['records']} of {found['records']} records accounted for")
