r"""A text as messages repeat it (``ratemill.visible.shown``), computed in SQL: for filters that compare whole messages."""

from __future__ import annotations

from functools import lru_cache
from itertools import count, groupby

from ratemill.visible import visible

PARAMETER = "invisible_characters"
"""The parameter of ``expression``; its value is ``invisible_characters()``."""

_CODE_POINTS = 0x110000
_SURROGATES = range(0xD800, 0xE000)  # no text of the database has one


@lru_cache(maxsize=1)
def invisible_characters() -> str:
    """Return a regular expression of PostgreSQL that matches one character that messages spell out."""
    invisible = [code for code in range(1, _CODE_POINTS) if code not in _SURROGATES and visible(chr(code)) != chr(code)]
    places = count()
    ranges = [list(run) for _, run in groupby(invisible, lambda code: code - next(places))]
    return "[" + "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in ranges) + "]"


def expression(value: str, chars_max: str) -> str:
    r"""Return the SQL of a text as messages show it; both arguments are expressions.

    A case arm splits the text only if there is something to spell out: most texts have nothing.
    """
    return f"""(select case when t.part ~ %({PARAMETER})s then (
            select string_agg(case
                when s.letter !~ %({PARAMETER})s then s.letter
                when s.letter = chr(9) then '\\t' when s.letter = chr(10) then '\\n' when s.letter = chr(13) then '\\r'
                when ascii(s.letter) < 256 then '\\x' || lpad(to_hex(ascii(s.letter)), 2, '0')
                when ascii(s.letter) < 65536 then '\\u' || lpad(to_hex(ascii(s.letter)), 4, '0')
                else '\\U' || lpad(to_hex(ascii(s.letter)), 8, '0') end, '' order by s.place)
            from string_to_table(t.part, null) with ordinality as s (letter, place)
        ) else t.part end || case when length(t.whole) > t.most
            then '… (' || length(t.whole) || ' characters)' else '' end
        from (select v.whole, v.most, left(v.whole, v.most) as part
            from (select {value} as whole, {chars_max} as most) v) t)"""
