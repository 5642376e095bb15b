"""Stages are folders and imports run one way: the tree is read and held to it."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_origin

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "ratemill"

# A stage may import itself, the ground, and the stages named here.
MAY_IMPORT = {
    "cli": {"api", "jobs", "intake", "ledger", "catalog", "setup", "access", "client", "store"},
    "api": {"intake", "ledger", "catalog", "setup", "access", "reference", "store"},
    "jobs": {"intake", "ledger", "catalog", "setup", "mediation", "rating", "reference", "store"},
    "intake": {"ledger", "setup", "access", "mediation", "rating", "reference", "store"},
    "ledger": {"setup", "mediation", "rating", "reference", "store"},
    "catalog": {"setup", "access", "reference", "store"},
    "setup": {"access", "mediation", "rating", "reference", "store"},
    "access": {"store"},
    "mediation": set(),
    "rating": set(),
    "reference": set(),
    "store": set(),
    "client": set(),
}
ONLY_RECORDS = {"cli", "api"}  # of the store they know the records that it returns and the filters that it takes
PURE = {"mediation", "rating", "reference"}
DRIVERS = {"psycopg", "psycopg_pool", "sqlalchemy", "alembic"}
NOT_IN_PURE = DRIVERS | {"os", "io", "pathlib", "socket", "subprocess", "time", "httpx", "fastapi", "ratemill.settings"}

# Imports inside functions: the module, and what it imports when it needs it. Commands start fast because of them, and a
# worker sets the threads of the table engine before the engine loads.
LATE = {
    ("cli/reading.py", "ratemill.api.usage.charge_filters"),
    ("cli/reading.py", "ratemill.cli.remade"),
    ("cli/rehearse.py", "ratemill.cli.rehearsed"),
    ("cli/reprocess.py", "ratemill.intake.caches"),
    ("cli/reprocess.py", "ratemill.jobs.reprocess"),
    ("cli/serve.py", "ratemill.api.server"),
    ("cli/serve.py", "ratemill.intake.worker"),
    ("cli/serve.py", "ratemill.jobs.runner"),
    ("jobs/runner.py", "ratemill.intake.caches"),
    ("jobs/runner.py", "ratemill.jobs.reprocess"),
    ("mediation/profiles/patterns.py", "ratemill.mediation.profiles.engine"),
    ("store/migrate.py", "alembic.command"),
    ("store/migrate.py", "alembic.config"),
}
MODULES_MAX = 20  # of a folder, so that a reader sees it whole
LONGER = {"setup/objects"}  # one module for each kind of object


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).parts
        yield (parts[0] if len(parts) > 1 else "", path)


def named(nodes: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def imported(path: Path) -> set[str]:
    return named(ast.walk(ast.parse(path.read_text())))


def stages_imported(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imported(path) if name.startswith("ratemill.")}
    return {name for name in names if (SOURCE / name).is_dir()}


def folder_of(name: str) -> Path | None:
    """Return the folder of a module by its dotted name; None if there is no such module."""
    path = SOURCE.joinpath(*name.split(".")[1:]).with_suffix(".py")
    return path.parent if name.startswith("ratemill.") and path.exists() else None


def assert_no_circle(graph: dict[Any, set[Any]]) -> None:
    done: set[Any] = set()

    def visit(item: Any, trail: tuple[Any, ...]) -> None:
        assert item not in trail, " → ".join(str(each) for each in [*trail, item])
        if item in done or item not in graph:
            return
        for target in graph[item]:
            visit(target, (*trail, item))
        done.add(item)

    for item in graph:
        visit(item, ())


def test_only_the_folders_of_the_design_hold_python():
    assert {stage for stage, _ in modules()} <= {"", *MAY_IMPORT}


@pytest.mark.parametrize(("stage", "path"), list(modules()), ids=lambda value: str(value).removeprefix(str(SOURCE)))
def test_imports_run_one_way(stage: str, path: Path):
    if path.name == "__main__.py" and stage == "":
        return
    allowed = MAY_IMPORT[stage] | {stage} if stage else set()
    assert stages_imported(path) <= allowed


def is_record(value: object) -> bool:
    """Whether a value is the type of a record, or a name for such types."""
    if isinstance(value, type):
        return is_dataclass(value) or hasattr(value, "_fields")
    return get_origin(value) is not None


def test_the_top_stages_know_only_records_of_the_store():
    for stage, path in modules():
        for node in ast.walk(ast.parse(path.read_text())) if stage in ONLY_RECORDS else ():
            assert not isinstance(node, ast.Import) or not any(
                "ratemill.store" in alias.name for alias in node.names
            ), path
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ratemill.store"):
                module = import_module(node.module or "")
                others = [alias.name for alias in node.names if not is_record(getattr(module, alias.name, None))]
                assert not others, f"{path} imports {others} from {node.module}: only records may be"


def test_no_module_only_passes_names_on():
    """A name is imported from the module that defines it; four modules gather what belongs together."""
    gathering = {"access/database.py", "store/connections.py", "store/embedded/embedded.py", "store/schema/tables.py"}
    found = {path.relative_to(SOURCE).as_posix() for _, path in modules() if "\n__all__ = " in path.read_text()}
    assert found == gathering


def test_the_pure_stages_know_no_world():
    for stage, path in modules():
        if stage in PURE:
            assert not imported(path) & NOT_IN_PURE, path


def test_only_the_store_knows_a_driver_or_sql():
    for stage, path in modules():
        if stage != "store":
            assert not {name.split(".")[0] for name in imported(path)} & DRIVERS, path


def test_there_is_no_relative_import_and_no_empty_or_exporting_init():
    for _, path in modules():
        tree = ast.parse(path.read_text())
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level], path
        assert ast.get_docstring(tree), f"{path} does not say what it is for"
        if path.name == "__init__.py":
            assert len(tree.body) == 1, f"{path} holds more than its docstring"


def test_nothing_imports_in_a_circle():
    assert_no_circle(
        {
            name: {target for target in imported(path) if target.startswith("ratemill.")}
            for _, path in modules()
            if (name := "ratemill." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)) != "ratemill.__main__"
        }
    )


def test_folders_import_one_way():
    """The modules of a folder and those of a folder inside it count as two folders; no two import each other."""
    graph: defaultdict[Path, set[Path]] = defaultdict(set)
    for _, path in modules():
        if path != SOURCE / "__main__.py":
            folders = {folder for name in imported(path) if (folder := folder_of(name)) is not None}
            graph[path.parent] |= folders - {path.parent}
    assert_no_circle(dict(graph))


def test_late_imports_are_listed():
    late: set[tuple[str, str]] = set()
    for _, path in modules():
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    late |= {(path.relative_to(SOURCE).as_posix(), name) for name in late_names(node)}
    assert late == LATE


def late_names(node: ast.AST) -> set[str]:
    """Return the modules that an import statement names."""
    if isinstance(node, ast.ImportFrom) and node.module:
        names = {f"{node.module}.{alias.name}" for alias in node.names}
        inside = {name for name in names if folder_of(name) is not None or node.module == "alembic"}
        return inside or {node.module}
    return {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()


def test_folders_stay_short():
    counts: defaultdict[str, int] = defaultdict(int)
    for _, path in modules():
        if path.name not in {"__init__.py", "__main__.py"}:
            counts[path.parent.relative_to(SOURCE).as_posix()] += 1
    assert {folder for folder, count in counts.items() if count > MODULES_MAX} <= LONGER
