"""The query of the calls under ``/api/``: names in any letter case, switches that may stand without a value.

A parameter that comes twice or whose value does not fit is a fault, and all faults are told at once. One that the call does
not know is a warning; but where a collection is asked for, an unknown name that begins with ``$`` is a fault: a misspelt
filter would answer with everything.
"""

from __future__ import annotations

import re

from starlette.requests import Request

from ratemill.errors import BadRequest, Code, Fault
from ratemill.reference.characteristics.values import ItemFault
from ratemill.visible import shown

WHOLE_MAX = 10**18 - 1  # what the database counts with, and more than anything is counted to

_TRUE, _FALSE = frozenset({"", "true", "1"}), frozenset({"false", "0"})
_WHOLE = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
_SHOWN_MAX = 80  # characters of what was sent that a message repeats


class Parameters:
    """The parameters of one call; ``check`` raises what reading them found, ``warnings`` go with the answer."""

    def __init__(self, request: Request, *names: str, collection: bool = False) -> None:
        self.warnings: list[ItemFault] = []
        self.faults: list[Fault] = []
        self._texts: dict[str, str] = {}
        known = {name.lower(): name for name in names}
        seen: set[str] = set()
        for given, text in request.query_params.multi_items():
            name = known.get(given.lower(), given)
            if given.lower() in seen and given.lower() in known:
                self.fault(name, "comes more than once")
            elif given.lower() in known:
                self._texts[name] = text
            elif collection and given.startswith("$"):
                others = ", ".join(name for name in names if name.startswith("$")) or "none that begin with $"
                self.fault(given, f"is no parameter of this call, which knows {others}")
            elif given.lower() not in seen:
                message = f"'{shown(given)}' is no parameter of this call, which knows {', '.join(names) or 'none'}"
                self.warnings.append(ItemFault("parameter_not_known", message, given))
            seen.add(given.lower())

    def text(self, name: str) -> str | None:
        """Return the text of a parameter; None if it is not there."""
        return self._texts.get(name)

    def listed(self, name: str) -> list[str]:
        """Return the texts that a parameter has with commas between."""
        return [each.strip() for each in self._texts.get(name, "").split(",") if each.strip()]

    def switch(self, name: str) -> bool:
        """Return whether a switch is on: ``?name``, ``?name=true`` and ``=1`` are, an absent one is not."""
        text = self._texts.get(name)
        if text is not None and text.lower() not in _TRUE | _FALSE:
            self.fault(name, f"is a switch: without a value, true or false, not '{shown(text)}'")
        return text is not None and text.lower() in _TRUE

    def whole(self, name: str, default: int, least: int = 0, largest: int = WHOLE_MAX) -> int:
        """Return a whole number from ``least`` to ``largest``."""
        text = self._texts.get(name)
        if text is None:
            return default
        if not _WHOLE.match(text) or not least <= int(text) <= largest:
            self.fault(name, f"must be a whole number from {least} to {largest}, not '{shown(text)}'")
            return default
        return int(text)

    def fault(self, name: str, message: str) -> None:
        """Note what is wrong with a parameter."""
        self.faults.append(Fault(Code.PARAMETER_NOT_VALID, f"{name} {message}", field=name, word="parameter_not_valid"))

    def check(self) -> None:
        """Raise ``BadRequest`` with every fault."""
        if self.faults:
            raise BadRequest(faults=self.faults)
