"""Named points at which a process can be made to die or to hang: a test shows that nothing is lost or doubled there."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal

from ratemill.settings import Settings

Point = Literal[
    "after-accept-before-commit",
    "after-claim",
    "after-mediate",
    "after-rate",
    "mid-copy",
    "before-commit",
    "after-commit",
    "reprocess-before-commit",
    "reprocess-after-commit",
    "characteristics-before-commit",
    "characteristics-after-commit",
    "subscriptions-before-commit",
    "subscriptions-after-commit",
]


def die_at(point: Point, settings: Settings) -> None:
    """Kill this process, as a power cut would, or let it hang, if the settings name this point."""
    if settings.die_at == point:
        os.kill(os.getpid(), signal.SIGKILL)
    if settings.hang_at == point:
        _hang_once(settings.home / f"hung-{point}")


def _hang_once(mark: Path) -> None:
    """Hang for ever, deaf to SIGTERM, unless a process has hung at this point of the home before."""
    with suppress(FileExistsError):
        mark.touch(exist_ok=False)
        while True:
            signal.pause()
