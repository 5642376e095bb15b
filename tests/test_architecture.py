"""The architecture page names the folders of the tree: all of them, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "ratemill"
PAGE = (ROOT / "docs/explain/architecture.md").read_text()


def test_the_page_names_every_folder_and_none_that_is_gone():
    named = re.findall(r"^\| `([a-z_/]+)/` \|", PAGE, re.MULTILINE)
    assert sorted(named) == sorted(path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*/__init__.py"))


def test_every_module_that_the_page_names_exists():
    for name in re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", PAGE):
        assert (SOURCE / name).exists() or (ROOT / name).exists(), name
