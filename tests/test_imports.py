"""Stages are folders and imports run one way: the tree is read and held to it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "ratemill"

# A folder may import itself, the ground, and the folders named here.
MAY_IMPORT = {
    "cli": {"api", "jobs", "intake", "ledger", "catalog", "setup", "access", "client"},
    "api": {"intake", "ledger", "catalog", "setup", "access", "reference"},
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
PURE = {"mediation", "rating", "reference"}
DRIVERS = {"psycopg", "psycopg_pool", "sqlalchemy", "alembic"}
NOT_IN_PURE = DRIVERS | {"os", "io", "pathlib", "socket", "subprocess", "time", "httpx", "fastapi", "ratemill.settings"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).parts
        yield (parts[0] if len(parts) > 1 else "", path)


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def folders_imported(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imported(path) if name.startswith("ratemill.")}
    return {name for name in names if (SOURCE / name).is_dir()}


def test_only_the_folders_of_the_design_hold_python():
    assert {folder for folder, _ in modules()} <= {"", *MAY_IMPORT}


@pytest.mark.parametrize(("folder", "path"), list(modules()), ids=lambda value: str(value).removeprefix(str(SOURCE)))
def test_imports_run_one_way(folder: str, path: Path):
    if path.name == "__main__.py" and folder == "":
        return
    allowed = MAY_IMPORT[folder] | {folder} if folder else set()
    assert folders_imported(path) <= allowed


def test_the_pure_stages_know_no_world():
    for folder, path in modules():
        if folder in PURE:
            assert not imported(path) & NOT_IN_PURE, path


def test_only_the_store_knows_a_driver_or_sql():
    for folder, path in modules():
        if folder != "store":
            assert not {name.split(".")[0] for name in imported(path)} & DRIVERS, path


def test_there_is_no_relative_import_and_no_empty_or_exporting_init():
    for _, path in modules():
        tree = ast.parse(path.read_text())
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level], path
        assert ast.get_docstring(tree), f"{path} does not say what it is for"
        if path.name == "__init__.py":
            assert len(tree.body) == 1, f"{path} holds more than its docstring"


def test_nothing_imports_in_a_circle():
    graph = {
        name: {target for target in imported(path) if target.startswith("ratemill.")}
        for _, path in modules()
        if (name := "ratemill." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)) != "ratemill.__main__"
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join([*trail, name])
        if name in done or name not in graph:
            return
        for target in graph[name]:
            visit(target, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())
