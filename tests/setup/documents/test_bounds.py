"""Documents that would exhaust stack or memory are refused, and those within the bounds are read."""

import subprocess
import sys

import pytest

from ratemill.nesting import NESTING_MAX
from ratemill.setup.documents import yaml_nodes
from ratemill.setup.documents.yaml_nodes import read_yaml
from ratemill.setup.nodes import Unreadable, plain

LEVELS = {
    "flow lists": lambda levels: "[" * levels + "1" + "]" * levels,
    "flow mappings": lambda levels: "{a: " * levels + "1" + "}" * levels,
    "lists": lambda levels: "- " * levels + "1",
    "aliases": lambda levels: "- &a " + "[" * (levels - 2) + "1" + "]" * (levels - 2) + "\n- [*a]",
}


@pytest.mark.parametrize("made", LEVELS.values(), ids=LEVELS)
def test_a_hundred_levels_are_read_and_one_more_is_refused(made):
    assert read_yaml(made(NESTING_MAX))
    with pytest.raises(Unreadable, match="at most 100 levels"):
        read_yaml(made(NESTING_MAX + 1))


def test_an_alias_stands_for_what_it_names():
    text = "a: &a {x: [1, ~]}\nb: *a\nc: [*a, &s text, *s]\n? *s\n: d"
    one = {"x": ["1", None]}
    assert plain(read_yaml(text)) == {"a": one, "b": one, "c": [one, "text", "text"], "text": "d"}


def test_aliases_stand_for_a_million_values_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(yaml_nodes, "ALIAS_NODES_MAX", 12)
    text = "- &a [1, 2]\n" + "- *a\n" * 4
    assert plain(read_yaml(text)) == [["1", "2"]] * 5
    with pytest.raises(Unreadable, match="more than 12 values") as refused:
        read_yaml(text + "- *a\n")
    assert refused.value.line == 6


PROGRAM = """
import resource, sys
from ratemill.setup.documents.document import read_document
from ratemill.setup.nodes import DocumentFaults
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
size = 8 * 1024 * 1024
laughs = ["ratemill: 1", "a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
texts = ["\\n".join(laughs), "[" * size, "{a: " * (size // 4), '{"a":' * (size // 5), "- " * (size // 2), "? " * (size // 2)]
for text in texts:
    faults = DocumentFaults([])
    read_document(text, None, faults)
    assert faults.found, text[:40]
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))  # of this program alone
print(int(peak.split()[1]) // 1024)
"""


def test_documents_that_would_exhaust_stack_or_memory_are_refused_in_little_of_both():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200
