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


def test_an_event_for_people_keeps_to_its_line_and_shows_what_is_invisible():
    program = (
        "from ratemill import logs; logs.configure(as_json=AS_JSON);"
        r"logs.get('x').warning('seen', name='a\x1b[31m\nb\x9b\u202e\x7f', names=['\x1b'])"
    )
    for as_json in ("False", "True"):
        done = subprocess.run(
            [sys.executable, "-c", program.replace("AS_JSON", as_json)], capture_output=True, text=True, check=True
        )
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr[:-1].isprintable()
