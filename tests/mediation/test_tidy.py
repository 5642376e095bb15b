"""The stage works on tables: the tree is read for loops over records, and the allowed ones are listed."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent.parent / "src" / "ratemill" / "mediation"
ROW_BY_ROW = {
    "map_elements",
    "map_batches",
    "map_rows",
    "iter_rows",
    "iter_slices",
    "rows",
    "to_dicts",
    "to_list",
    "apply",
}

# Where rows may be taken one by one, each with its reason.
ALLOWED = {
    ("parse.py", "_one_by_one"): "where a quote ends can only be told by reading up to it; few rows come here",
    ("objects.py", "read_objects"): "the table engine reads JSON numbers as floats, so their digits would be lost",
}


def functions() -> list[tuple[str, ast.FunctionDef]]:
    return [
        (path.name, node)
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]


def loops_over_a_column(function: ast.FunctionDef) -> bool:
    """Tell whether a loop or comprehension goes over `…["raw"]`."""
    sources = [node.iter for node in ast.walk(function) if isinstance(node, ast.For | ast.comprehension)]
    return any(isinstance(each, ast.Subscript) and ast.unparse(each).endswith("['raw']") for each in sources)


def calls(function: ast.FunctionDef) -> set[str]:
    """Return the names of the methods that a function calls."""
    found = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {each.attr for each in found if isinstance(each, ast.Attribute)}


def test_no_row_is_taken_alone_but_where_it_must_be():
    found = {
        (name, function.name)
        for name, function in functions()
        if loops_over_a_column(function) or calls(function) & ROW_BY_ROW
    }
    assert found == set(ALLOWED)


def test_no_float_takes_part():
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), path
            assert not (isinstance(node, ast.Attribute) and node.attr in {"Float32", "Float64", "mean"}), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"float", "eval", "exec"}, path
