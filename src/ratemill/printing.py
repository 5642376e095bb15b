"""The one way to standard output and standard error, for text of any origin.

A line is printed as ``visible`` shows it: nothing in it reaches a terminal that the terminal would obey, and no value breaks
the line. JSON and YAML stay exact, because their own escapes replace what is invisible. Only ``print_document`` writes a
text unchanged. Tables are printed by ``ratemill.cli.terminal.tables``, logs by ``ratemill.logs``.
"""

from __future__ import annotations

import json
import sys
from typing import TextIO

from ratemill.visible import visible, visible_json


def print_line(text: str = "") -> None:
    """Print one line on standard output; a line break in it is spelled out."""
    _write_line(sys.stdout, text)


def print_notice(text: str) -> None:
    """Print one line on standard error; a line break in it is spelled out."""
    _write_line(sys.stderr, text)


def print_json(value: object) -> None:
    """Print one JSON value on standard output."""
    sys.stdout.write(visible_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)) + "\n")
    sys.stdout.flush()


def print_document(text: str) -> None:
    """Print a document of the product unchanged; its format must escape what is invisible."""
    sys.stdout.write(text)
    sys.stdout.flush()


def confirm(question: str) -> bool:
    """Ask a question at the terminal, and return whether the answer is yes; no answer is no."""
    sys.stdout.write(f"{visible(question)} [y/N]: ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _write_line(stream: TextIO, text: str) -> None:
    stream.write(f"{visible(text)}\n")
    stream.flush()
