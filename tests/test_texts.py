"""One module decides which texts can be stored and written, and what takes the place of the others."""

import re
from pathlib import Path

import pytest

from ratemill import texts

SOURCE = Path(texts.__file__).parent
HALVES = ("\ud83d", "\ude00", "a\udfffb", "\ude00\ud83d")
GOOD = ("", "a", "é", "\U0001f600", "\ufffd", "\x01\n\t", "\ud7ff\ue000")
# What these files do with a NUL or half a surrogate pair is another job: escapes in what is shown, digests, sizes, file
# formats, and characters that stand for something because no text has them.
OTHER_JOBS = {
    "access/tokens.py",
    "api/subscriptions/filter.py",
    "mediation/bounds.py",
    "mediation/keys.py",
    "mediation/objects.py",
    "nesting.py",
    "setup/reading/long_lists.py",
    "store/array_parameters.py",
    "store/embedded/process_table.py",
    "store/work_attempts.py",
    "visible.py",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_text_without_nul_and_halves_is_stored_and_written_unchanged(text: str):
    assert texts.is_storable(text)
    assert texts.is_writable(text)
    assert texts.storable(text) == texts.writable(text) == texts.readable(text) == texts.without_nul(text) == text


@pytest.mark.parametrize("text", HALVES)
def test_half_of_a_surrogate_pair_is_replaced(text: str):
    assert not texts.is_storable(text)
    assert not texts.is_writable(text)
    assert texts.writable(text) == re.sub("[\ud800-\udfff]", "?", text)
    assert texts.readable(text) == re.sub("[\ud800-\udfff]", "\ufffd", text)
    texts.storable(text).encode()


def test_a_nul_is_written_and_not_stored():
    assert texts.is_writable("a\0")
    assert not texts.is_storable("a\0")
    assert texts.without_nul("a\0\0b") == "a\ufffd\ufffdb"
    assert texts.storable("\0\ud83d") == "\ufffd?"


def test_a_bound_counts_characters():
    assert texts.is_storable("é" * 3, 3)
    assert not texts.is_storable("é" * 4, 3)
    assert texts.is_storable("é" * 4)


def test_no_other_module_decides_about_nul_or_surrogates():
    """A character in quotes: a NUL, the first and the last surrogate, or an encoding that replaces surrogates."""
    written = re.compile(r"""(?<!b)["'](?:\\0|\\x00)["']|\\ud800|\\udfff|encode\([^)]*(?:"replace"|surrogatepass)""")
    found = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if written.search(path.read_text())}
    assert found - OTHER_JOBS - {"texts.py"} == set()
