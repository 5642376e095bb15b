"""One name, one meaning: the names of classes and parameters, read from the tree."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "ratemill"
MODULES = {str(path.relative_to(SOURCE)): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}
CLASSES = [
    (module, node) for module, tree in MODULES.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
]

# fmt: off
IRREGULAR = frozenset({
    "Begun", "Bent", "Bound", "Broken", "Brought", "Built", "Bought", "Caught", "Chosen", "Come", "Cut",
    "Dealt", "Done", "Drawn", "Driven", "Fallen", "Fed", "Forgotten", "Found", "Given", "Gone",
    "Grown", "Heard", "Held", "Hidden", "Hung", "Kept", "Known", "Laid", "Led", "Left", "Lent",
    "Lost", "Made", "Meant", "Met", "Paid", "Put", "Read", "Risen", "Said", "Seen", "Sent",
    "Shown", "Shut", "Sold", "Sought", "Spent", "Stood", "Stuck", "Swept", "Taken",
    "Taught", "Thought", "Thrown", "Told", "Torn", "Understood", "Unmade", "Unwritten", "Won", "Worn",
    "Written",
})
# fmt: on
NOUNS = frozenset({"Feed", "DueFeed", "WorkerFeed", "TargetFeed"})
"""Words that end like a participle and are nouns."""
HTTP = frozenset({"PreconditionFailed", "Unauthorized", "NotFound"})
"""HTTP's own names for its status codes."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def words_of(name: str) -> list[str]:
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", name)


def is_participle(name: str) -> bool:
    """Whether the noun of a class name, its last word, is a past participle."""
    last = words_of(name)[-1]
    return name not in NOUNS | HTTP and (last.endswith("ed") or last in IRREGULAR)


def parameters() -> Iterator[tuple[str, int, ast.arg]]:
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                arguments = node.args
                for parameter in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                    yield module, parameter.lineno, parameter


def fields() -> Iterator[tuple[str, int, ast.Name]]:
    for module, node in CLASSES:
        for member in node.body:
            if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
                yield module, member.lineno, member.target


def test_no_class_name_appears_twice():
    """Not even once with and once without an underscore."""
    found = defaultdict(list)
    for module, node in CLASSES:
        found[node.name.lstrip("_")].append(f"{module}:{node.lineno}")
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_no_class_is_named_by_a_past_participle():
    found = [f"{module}:{node.lineno}: {node.name}" for module, node in CLASSES if is_participle(node.name)]
    assert not found, "name what it is, such as ReceivedPage, MediationResult or Receipt"


def test_no_parameter_or_field_is_named_each():
    found = [f"{module}:{line}" for module, line, parameter in parameters() if parameter.arg == "each"]
    found += [f"{module}:{line}" for module, line, field in fields() if field.id == "each"]
    assert not found, "name what it holds, such as kind, item or fault"


def test_a_kind_of_set_up_object_is_a_kind():
    found = [
        f"{module}:{line}: {parameter.arg}"
        for module, line, parameter in parameters()
        if parameter.annotation is not None
        and ast.unparse(parameter.annotation) == "SetupObject"
        and parameter.arg not in {"kind", "child"}
    ]
    assert not found
