"""Named points at which a process can be made to die, so that a test may show that nothing is lost or doubled there."""

from __future__ import annotations

import os
import signal
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
    """Kill this process, as a power cut would, if the settings name this point."""
    if settings.die_at == point:
        os.kill(os.getpid(), signal.SIGKILL)
