"""JSON that goes out as it came in: the digits of numbers, the order of members; and texts that were sent, made writable."""

from __future__ import annotations

from typing import Any

import msgspec

from ratemill.reference import json_text


class Exact:
    """A value of ``json_text`` in an answer: it goes out as it came in, numbers by their digits."""

    __slots__ = ("value",)

    def __init__(self, value: json_text.Value) -> None:
        self.value = value


def encode(content: object) -> bytes:
    """Return the JSON of an answer, which may hold ``Exact`` values."""
    return _ENCODER.encode(content)


def _exact(value: Any) -> Any:  # noqa: ANN401 -- what msgspec hands to its hook
    if isinstance(value, Exact):
        return msgspec.Raw(json_text.write(value.value).encode())
    raise NotImplementedError(f"{type(value).__name__} is nothing of an answer")


_ENCODER = msgspec.json.Encoder(enc_hook=_exact)
