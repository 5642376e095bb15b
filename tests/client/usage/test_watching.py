"""A watched folder: which files are taken, where they go, and what stays for the next look."""

import gzip
import json
import os
import time
from pathlib import Path
from threading import Event

import pytest
from tests.client.pretended import Server, breaks, refuses

from ratemill.client import calls
from ratemill.client.calls import Json
from ratemill.client.usage.watching import FolderWatch


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calls, "BACKOFF_S_MIN", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, content: bytes = b"a\nb\n", *, age_s: float = 60) -> Path:
    path = folder / name
    path.write_bytes(content)
    changed_at = time.time() - age_s
    os.utime(path, (changed_at, changed_at))
    return path


def watch(server: Server, folder: Path, said: list[Json] | None = None) -> FolderWatch:
    said = [] if said is None else said
    return FolderWatch(server.client(retry_s=0.0), "Guide Feed", folder, say=said.append)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.exists() else []


def test_a_file_is_imported_and_moved_with_its_result(folder: Path):
    server = Server()
    said: list[Json] = []
    put(folder, "day.csv")
    assert watch(server, folder, said).look() == {"done": 1, "failed": 0, "left": 0}
    assert server.records == ["a", "b"]
    assert names(folder) == []
    assert names(folder / "done") == ["day.csv", "day.csv.result.json"]
    result = json.loads((folder / "done" / "day.csv.result.json").read_text())
    assert (result["records"], len(result["trackingIds"]), result["udrFeedName"]) == (2, 1, "Guide Feed")
    assert [(each["state"], each["file"]) for each in said] == [("done", "day.csv")]


def test_what_is_not_complete_or_not_meant_is_left_alone(folder: Path):
    put(folder, "young.csv", age_s=0)
    for name in (".hidden.csv", "day.csv.part", "day.tmp", "day.csv.result.json"):
        put(folder, name)
    (folder / "subfolder").mkdir()
    server = Server()
    assert watch(server, folder).look() == {"done": 0, "failed": 0, "left": 0}
    assert not server.taken


def test_files_are_taken_in_the_order_in_which_they_changed(folder: Path):
    for name, age_s in (("b.csv", 30), ("a.csv", 20), ("c.csv", 40)):
        put(folder, name, name.encode(), age_s=age_s)
    said: list[Json] = []
    watch(Server(), folder, said).look()
    assert [each["file"] for each in said] == ["c.csv", "b.csv", "a.csv"]


def test_a_file_that_cannot_be_sent_is_moved_aside_and_the_next_goes_in(folder: Path):
    put(folder, "bad.csv", b"caf\xe9\n", age_s=90)
    put(folder, "good.csv")
    assert watch(Server(), folder).look() == {"done": 1, "failed": 1, "left": 0}
    result = json.loads((folder / "failed" / "bad.csv.result.json").read_text())
    assert result["errors"][0]["line"] == 1
    assert names(folder / "failed") == ["bad.csv", "bad.csv.result.json"]


@pytest.mark.parametrize(
    "failure", [breaks, refuses(401, 1401), refuses(404, 1451), refuses(409, 1452), refuses(500, 1500)]
)
def test_what_the_world_does_leaves_the_file_for_the_next_look(folder: Path, failure):
    put(folder, "day.csv")
    put(folder, "later.csv", b"c\n", age_s=50)
    server = Server(failures=[failure])
    watching = watch(server, folder)
    assert watching.look() == {"done": 0, "failed": 0, "left": 1}
    assert names(folder) == ["day.csv", "later.csv"]
    assert watching.look() == {"done": 2, "failed": 0, "left": 0}
    assert len(server.taken) == 2


def test_the_same_content_under_another_name_or_packed_is_not_sent_again(folder: Path):
    server = Server()
    said: list[Json] = []
    watching = watch(server, folder, said)
    for name, content in (("day.csv", b"a\nb\n"), ("copy.csv", b"a\nb\n"), ("day.csv.gz", gzip.compress(b"a\nb\n"))):
        put(folder, name, content)
        watching.look()
    assert [each["alreadyImported"] for each in said] == [False, True, True]
    assert len(server.taken) == 1


def test_no_file_is_moved_over_another(folder: Path):
    watching = watch(Server(), folder)
    for content in (b"a\n", b"b\n", b"c\n"):
        put(folder, "day.csv", content)
        watching.look()
    moved = [name for name in names(folder / "done") if name.endswith(".csv")]
    assert moved == ["2-day.csv", "3-day.csv", "day.csv"]


def test_a_watch_that_is_told_to_stop_finishes_the_file_in_hand_and_takes_no_other(folder: Path):
    server, stopping = Server(), Event()
    put(folder, "first.csv", b"a\n", age_s=90)
    put(folder, "second.csv", b"b\n")
    watching = FolderWatch(server.client(), "Guide Feed", folder, stopping=stopping, say=lambda _: stopping.set())
    watching.run()
    assert server.records == ["a"]
    assert names(folder) == ["second.csv"]
