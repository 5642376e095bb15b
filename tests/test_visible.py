"""Text from outside is shown on one line, with nothing that a terminal obeys and nothing that a reader cannot see."""

import json
import sys
import unicodedata

import pytest

from ratemill.visible import SHOWN_CHARS_MAX, shown, visible, visible_json, visible_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, Zürich, 東京, ½ €", "plain, Zürich, 東京, ½ €"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]8;;http://a\x1b\\b", r"\x1b]8;;http://a\x1b\b"),
        ("a\rb\bc\x07", r"a\rb\x08c\x07"),
        ("one\ntwo\tthree", r"one\ntwo\tthree"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("a\u200bb\ufeffc\u00ad", r"a\u200bb\ufeffc\xad"),
        ("a\xa0b\u2003c\u3000", r"a\xa0b\u2003c\u3000"),
        ("\u3164\u2800\ufe0f\U000e0101", r"\u3164\u2800\ufe0f\U000e0101"),
        ("\ud800", r"\ud800"),
        ("\0", r"\x00"),
    ],
)
def test_an_invisible_character_is_spelled_out(text, expected):
    assert visible(text).lower() == expected.lower()


def test_no_character_of_control_format_or_blank_is_left_but_the_space():
    whole = visible("".join(map(chr, range(sys.maxunicode + 1))))
    assert {unicodedata.category(each) for each in whole if each != " "}.isdisjoint(
        {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
    )


def test_lines_of_ours_stay_lines():
    assert visible_lines("a\x1b\nb\r") == "a\\x1b\nb\\r"


def test_a_long_value_is_cut_with_its_length():
    assert shown("x" * SHOWN_CHARS_MAX) == "x" * 100
    assert shown("x" * 101) == "x" * 100 + "… (101 characters)"
    assert shown("\x1b" * 65_536) == r"\x1b" * 100 + "… (65536 characters)"
    assert shown(12.5) == "12.5"


def test_json_keeps_its_values():
    value = {"a\x1b\x7f\u202e": ["\U000e0101", "\ud800", "東京", "\x9b\r\n"]}
    written = visible_json(json.dumps(value, indent=2, ensure_ascii=False))
    assert json.loads(written) == value
    assert visible_lines(written) == written
    assert "東京" in written
