"""Processes give way to those that answer requests, also where the kernel shares the processors among sessions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratemill.priority import BACKGROUND_NICE, give_way


@pytest.fixture
def session() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process in a session of its own, which waits until its input ends."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        yield process


def test_a_process_gives_way(session: subprocess.Popen[bytes]):
    give_way(session.pid)
    assert os.getpriority(os.PRIO_PROCESS, session.pid) == BACKGROUND_NICE


def test_its_session_gives_way_with_it(session: subprocess.Popen[bytes]):
    group = Path(f"/proc/{session.pid}/autogroup")
    if not group.exists():
        pytest.skip("this kernel does not share the processors among sessions")
    give_way(session.pid)
    assert group.read_text().split()[1:] == ["nice", str(BACKGROUND_NICE)]


def test_one_that_is_gone_raises_nothing(session: subprocess.Popen[bytes]):
    session.communicate()
    give_way(session.pid)
