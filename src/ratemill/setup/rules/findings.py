"""What a rule is: a function that yields what is wrong with an entry, or with a list of entries.

What the price book refuses is refused by a rule too, so that no document that was applied can stop the rating of its owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ratemill.setup.declaration import Entry, Finding
from ratemill.setup.world import World

Findings = Iterator[tuple[str, str]]

EntryRule = Callable[[Entry, World], Iterable[tuple[str, str]]]

ListRule = Callable[[list[Entry], World], Iterable[Finding]]
