"""Named points at which an import can be made to die, so that a test may show that nothing is lost or doubled there."""

from __future__ import annotations

import os
import signal
from typing import Literal

Point = Literal[
    "import-before-first-answer-is-written",
    "import-after-second-answer-is-written",
    "import-before-last-answer-is-written",
    "import-after-second-page-is-written",
    "import-after-submit-is-written",
    "watch-before-move",
]


def die_at(point: Point, chosen: str) -> None:
    """Kill this process, as a power cut would, if ``chosen`` is this point."""
    if chosen == point:
        os.kill(os.getpid(), signal.SIGKILL)
