"""Logs: everything on standard error has one format, whoever writes it."""

import json
import subprocess
import sys

PROGRAM = """
import logging, threading, warnings
from ratemill import logs
logs.configure(as_json=True)
logging.getLogger("uvicorn.error").error("from %s", "a library")
logging.getLogger("sqlalchemy.pool").error("a connection failed")
warnings.warn("beware")
thread = threading.Thread(target=lambda: 1 / 0, name="divider")
thread.start()
thread.join()
raise ValueError("the end")
"""


def test_libraries_warnings_threads_and_the_end_of_a_process_are_logged_as_json():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"].split("\n")[0] for line in lines][0::2] == ["from a library", "thread_failed"]
    assert "beware" in lines[1]["event"]
    assert lines[2]["thread"] == "divider"
    assert lines[3]["event"] == "process_failed"
    assert "ValueError: the end" in lines[3]["exception"]
    assert len(lines) == 4
