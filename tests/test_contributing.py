"""The page for contributors names files that exist, and a map for each of the five trips."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
PLACES = (ROOT / "src/ratemill", ROOT)


def exists(name: str) -> bool:
    return any((place / name).exists() for place in PLACES)


def test_every_path_that_the_page_names_exists():
    named = [name for name in re.findall(r"`([\w./-]+)`", PAGE) if "/" in name or name.endswith((".py", ".md"))]
    linked = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert [name for name in [*named, *linked] if not exists(name)] == []


def test_a_map_names_one_file_a_line_and_none_twice():
    trips = re.split(r"^### ", PAGE.partition("## Five trips")[2], flags=re.MULTILINE)[1:]
    assert len(trips) == 5
    for trip in trips:
        lines = trip.splitlines()[1:]
        files = [found[1] for line in lines if line and (found := re.match(r"\d+\. `([\w/]+\.py)`", line))]
        assert len(files) == len(set(files)) == len([line for line in lines if line])
