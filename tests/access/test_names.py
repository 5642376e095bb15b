"""The names of owners and tokens: what is shown is what is stored."""

import pytest

from ratemill.access.names import likeness, name_fault


@pytest.mark.parametrize(
    "name", ["Acme", "acme-2 (EU)", "Bäcker & Söhne", "株式会社", "Ромашка", "Acme Ромашка", "نور", "😀", "n" * 255]
)
def test_a_visible_name_is_accepted(name: str):
    assert name_fault(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is required"),
        ("   ", "is required"),
        ("n" * 256, "must have at most 255 characters, got 256"),
        ("a\x1b[2Jb", "must not contain invisible characters, got U+001B at character 2"),
        ("acme\u200b", "must not contain invisible characters, got U+200B at character 5"),
        ("ac\u00adme", "must not contain invisible characters, got U+00AD at character 3"),
        ("ac\u202eme", "must not contain invisible characters, got U+202E at character 3"),
        ("ac\u00a0me", "must not contain invisible characters, got U+00A0 at character 3"),
        ("ac\u3164me", "must not contain invisible characters, got U+3164 at character 3"),
        ("acme\ufe0f", "must not contain invisible characters, got U+FE0F at character 5"),
        ("acme\ud800", "must not contain invisible characters, got U+D800 at character 5"),
        ("two\nlines", "must not contain invisible characters, got U+000A at character 4"),
        (" acme", "must not begin or end with a space, or contain two in a row"),
        ("a  b", "must not begin or end with a space, or contain two in a row"),
        ("Ba\u0308cker", "must be in Unicode normal form C"),
        ("\u0430cme", "must not mix Cyrillic and Latin letters in one word, got '\u0430cme'"),
    ],
)
def test_what_is_invisible_or_misleading_is_refused(name: str, message: str):
    assert name_fault(name) == message


@pytest.mark.parametrize(
    ("one", "other"), [("Acme", "ACME"), ("Acme", "\uff21cme"), ("Straße", "STRASSE"), ("fi", "\ufb01")]
)
def test_names_that_look_alike_have_one_likeness(one: str, other: str):
    assert likeness(one) == likeness(other)
