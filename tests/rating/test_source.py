"""The kernel works on whole tables: its source is read, and no way of going through records is in it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

RATING = Path(__file__).parents[2] / "src" / "ratemill" / "rating"
KERNEL = sorted(path for path in RATING.glob("*.py") if path.name != "explain.py")
ROW_BY_ROW = {"map_elements", "map_rows", "map_batches", "iter_rows", "rows", "to_dicts", "to_list", "apply", "row"}
FLOATS = {"Float32", "Float64", "truediv", "mean"}


@pytest.mark.parametrize("path", KERNEL, ids=lambda path: path.name)
def test_the_kernel_goes_through_no_records_and_has_no_float(path: Path):
    tree = ast.parse(path.read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & (ROW_BY_ROW | FLOATS)
    divisions = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]
    assert not divisions
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]


def test_explain_takes_from_the_kernel_only_what_its_arguments_are():
    tree = ast.parse((RATING / "explain.py").read_text())
    taken = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ratemill.rating")
        for alias in node.names
    }
    assert taken == {"PriceTables", "Holders"}
