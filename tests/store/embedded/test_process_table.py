"""The process table, read from a folder that is laid out as ``/proc``: states that last for an instant."""

from pathlib import Path
from threading import Thread

import pytest

from ratemill.store.embedded import process as embedded_process
from ratemill.store.embedded import process_table


class Table:
    """A process table of the test's own."""

    def __init__(self, folder: Path, uid: int) -> None:
        self.folder = folder
        self.uid = uid

    def put(
        self, pid: int, *arguments: str, name: str = "postgres", state: str = "S", started: int = 7, memory: int = 9
    ) -> None:
        process = self.folder / str(pid)
        process.mkdir(exist_ok=True)
        fields = [state, "1", *["0"] * 17, str(started), str(memory), "0"]
        _write(process / "stat", f"{pid} ({name}) {' '.join(fields)}\n")
        _write(process / "status", f"Name:\t{name}\nUid:\t{self.uid}\t{self.uid}\t{self.uid}\t{self.uid}\n")
        _write(process / "cmdline", "".join(f"{argument}\0" for argument in arguments))


def _write(file: Path, text: str) -> None:
    """Write a file that its reader, as in ``/proc``, never finds empty or half written."""
    new = file.with_name("new")
    new.write_text(text)
    new.replace(file)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "meminfo").touch()  # not every entry is a process
    monkeypatch.setattr(process_table, "PROC", folder)
    return Table(folder, tmp_path.stat().st_uid)


def test_a_running_process_without_a_command_line_is_running(table: Table):
    table.put(5, name="sh")
    assert embedded_process.Postmaster(5, started_at=7).runs()


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_process_that_ended_is_not_running_although_it_is_listed(table: Table, state: str):
    table.put(5, "postgres", state=state)
    assert not embedded_process.Postmaster(5, started_at=7).runs()


def test_a_number_that_was_given_to_a_later_process_is_not_the_server(table: Table, tmp_path: Path):
    table.put(5, "postgres", "-D", str(tmp_path), started=8)
    assert not embedded_process.Postmaster(5, started_at=7).runs()


def test_a_process_may_have_any_name(table: Table):
    table.put(5, name="a) R (b")
    process = process_table.find(5)
    assert process
    assert (process.name, process.started_at, process.memory_bytes) == ("a) R (b", 7, 9)


def pid_file(data: Path, text: str) -> None:
    (data / "postmaster.pid").write_text(text)


def test_a_server_of_the_pid_file_that_is_loading_its_program_is_waited_for(table: Table, tmp_path: Path):
    table.put(5, name="sh")
    pid_file(tmp_path, f"5\n{tmp_path}\n1\n")
    servers: list[embedded_process.Postmaster | None] = []
    reader = Thread(target=lambda: servers.append(embedded_process.postmaster(tmp_path)))
    reader.start()
    table.put(5, "postgres", "-D", str(tmp_path))
    reader.join()
    assert servers == [embedded_process.Postmaster(5, started_at=7)]


def test_a_killed_server_that_releases_its_memory_is_not_adopted_but_waited_for(table: Table, tmp_path: Path):
    table.put(5, memory=0)
    pid_file(tmp_path, f"5\n{tmp_path}\n1\n")
    assert embedded_process.postmaster(tmp_path) is None
    clearing = Thread(target=embedded_process.clear, args=(tmp_path,))
    clearing.start()
    assert (tmp_path / "postmaster.pid").exists()
    table.put(5, state="Z", memory=0)
    clearing.join()
    assert not (tmp_path / "postmaster.pid").exists()


@pytest.mark.parametrize("text", ["", "5", "5\n", "5\n/half", "\n\n"])
def test_a_half_written_pid_file_names_no_server(table: Table, tmp_path: Path, text: str):
    table.put(5, "postgres", "-D", "/half")
    pid_file(tmp_path, text)
    assert embedded_process.postmaster(tmp_path) is None


@pytest.mark.parametrize("text", [None, "", "5\n"])
def test_a_server_without_a_whole_pid_file_is_found_by_its_command_line(table: Table, tmp_path: Path, text: str | None):
    table.put(5, "postgres", "-D", str(tmp_path))
    table.put(6, "postgres", "-D", "/other")
    if text is not None:
        pid_file(tmp_path, text)
    assert embedded_process.postmaster(tmp_path) == embedded_process.Postmaster(5, started_at=7)
