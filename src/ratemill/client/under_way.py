"""Requests under way: what is done with the answers that still come when no more is sent."""

from __future__ import annotations

from collections.abc import Callable, Sized

from ratemill.client.errors import ClientError


def note_rest(pending: Sized, note_next: Callable[[], None], trouble: BaseException | None) -> BaseException | None:
    """Note every answer that still comes, also after trouble; return the first trouble.

    ``note_next`` takes the oldest of ``pending`` out, waits for its answer and notes it.
    """
    while len(pending):
        try:
            note_next()
        except ClientError as error:
            trouble = trouble or error
    return trouble
