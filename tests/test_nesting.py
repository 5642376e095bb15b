"""How deeply a text nests is found without parsing it."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratemill import nesting
from ratemill.nesting import NESTING_MAX, is_too_deep

VALUES = st.recursive(
    st.none() | st.text('[]{}"\\a'), lambda inner: st.lists(inner) | st.dictionaries(st.text('[{"\\'), inner)
)


def depth_of(value: object) -> int:
    """Return the levels of a value, by its definition."""
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)


@pytest.mark.parametrize("chunk_bytes", [1, 3, 65_536])
def test_levels_are_counted_as_a_parser_does(chunk_bytes: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nesting, "_CHUNK_BYTES", chunk_bytes)

    @given(VALUES, st.integers(0, 6))
    def check(value: object, levels_max: int) -> None:
        for text in (json.dumps(value), json.dumps(value).encode()):
            assert is_too_deep(text, levels_max) == (depth_of(value) > levels_max)

    check()


@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_the_bound_is_met_to_the_level(pair: str):
    opens, closes = pair[:-1], pair[-1]
    assert not is_too_deep(opens * NESTING_MAX + "1" + closes * NESTING_MAX)
    assert is_too_deep(opens * (NESTING_MAX + 1) + "1" + closes * (NESTING_MAX + 1))


@pytest.mark.parametrize("text", ["[" * 200, "[" * 101 + "]" * 7, '{"a":' * 200, "]" * 300 + "[" * 500])
def test_what_is_no_json_is_measured_too(text: str):
    assert is_too_deep(text)


def test_a_body_of_16_mb_takes_little_memory_besides():
    program = """
from ratemill.nesting import is_too_deep
size = 16 * 1024 * 1024
for part in (b'"["[],', b'"[\\\\"",', (b'[' * 100 + b']' * 100 + b','), b'[]'):
    body = part * (size // len(part))
    assert not is_too_deep(body)
    body += b'[' * 101
    assert is_too_deep(body)
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))  # of this program alone
print(int(peak.split()[1]) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150
