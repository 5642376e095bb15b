"""Uploads on their way: on the disk of the home, in a bounded number of parts; a full disk costs a try and no file."""

from __future__ import annotations

import json
import resource
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.fixtures.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.store.connections import Database

IMPORTS = "v2/subscriptions/imports"
PRODUCT = {"data": {"type": "subscription_product", "attributes": {"external_ref": "p", "name": "A product"}}}
LINE = json.dumps(PRODUCT).encode() + b"\n"


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Let the folder take 1 MB: by a file system of its own, or by a limit of this process where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def store(database: Database, tmp_path: Path) -> Iterator[Mill]:
    with mill(database, Settings(home=tmp_path)) as made:
        yield made


def test_a_full_disk_is_503_and_the_next_upload_is_taken_once_there_is_room(store, tmp_path):
    uploads = tmp_path / "uploads"
    assert stat.S_IMODE(uploads.stat().st_mode) == 0o700
    # The subscriptions dialect has no 503.
    with small_disk(uploads):
        answer = store.request("POST", IMPORTS, files={"import_file": ("a.jsonl", 20_000 * LINE)})
        assert (answer.status_code, answer.headers["retry-after"]) == (500, "5")
        assert "cannot write to" in answer.json()["errors"][0]["detail"]
        assert list(uploads.iterdir()) == []
        small = store.request("POST", IMPORTS, files={"import_file": ("a.jsonl", LINE)})
        assert small.status_code == 201, small.text
    answer = store.request("POST", IMPORTS, files={"import_file": ("a.jsonl", 20_000 * LINE)})
    assert answer.status_code == 201, answer.text
    assert list(uploads.iterdir()) == []


def test_what_a_killed_process_left_is_deleted_by_the_next_one(database, tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir(mode=0o755)
    (uploads / "ratemill-left").write_bytes(b"left")
    with mill(database, Settings(home=tmp_path)):
        assert list(uploads.iterdir()) == []
        assert stat.S_IMODE(uploads.stat().st_mode) == 0o700


def multipart(parts: int) -> bytes:
    named = b'--b\r\nContent-Disposition: form-data; name="x%d"\r\n\r\n\r\n'
    file = b'--b\r\nContent-Disposition: form-data; name="import_file"; filename="a"\r\n\r\n' + LINE + b"\r\n--b--\r\n"
    return b"".join(named % number for number in range(parts - 1)) + file


def test_a_body_has_at_most_twenty_parts(store):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert store.request("POST", IMPORTS, content=multipart(20), headers=headers).status_code == 201
    for parts in (21, 900_000):
        refused = store.request("POST", IMPORTS, content=multipart(parts), headers=headers)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["detail"] == "the body has more than 20 parts"


def test_a_part_has_a_bounded_head(store):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for head in (b"X: " + 10_000 * b"x" + b"\r\n", 100 * b"X: x\r\n"):
        refused = store.request("POST", IMPORTS, content=b"--b\r\n" + head + multipart(1)[5:], headers=headers)
        assert refused.status_code == 400
