"""Pauses between tries at something that fails: each twice as long as the one before, up to a bound."""

from __future__ import annotations

_DOUBLINGS_MAX = 10  # every bound is reached by then, and the power stays small


def growing(first_s: float, longest_s: float, failures: int) -> float:
    """Return the pause in seconds: the first one doubled for each failure in a row, and never longer than the bound."""
    doubled: float = first_s * 2 ** min(failures, _DOUBLINGS_MAX)
    return min(longest_s, doubled)
