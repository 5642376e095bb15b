"""Sockets of the API: what cannot be listened on ends with one sentence and exit code 3."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.processes import environment, free_port

from ratemill.errors import UsageFault
from ratemill.intake import listening


def test_connections_are_queued_on_every_address_of_a_name():
    port = free_port()
    sockets = listening.open_sockets("localhost", port, is_held_by_earlier=lambda: False)
    addresses = {listener.getsockname()[0] for listener in sockets}
    assert "127.0.0.1" in addresses
    for address in addresses:
        socket.create_connection((address, port)).close()
    listening.close(sockets)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_in_use_is_named(taken: socket.socket):
    port = taken.getsockname()[1]
    with pytest.raises(UsageFault, match=f"cannot listen on port {port} of '127.0.0.1': the port is in use") as caught:
        listening.open_sockets("127.0.0.1", port, is_held_by_earlier=lambda: False)
    assert caught.value.exit_code == 3


def test_a_port_that_processes_of_an_earlier_serve_hold_is_waited_for(taken: socket.socket):
    port = taken.getsockname()[1]
    looks = []

    def is_held() -> bool:
        looks.append(port)
        if len(looks) == 2:
            taken.close()
        return True

    listening.close(listening.open_sockets("127.0.0.1", port, is_held_by_earlier=is_held))
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("no.such.host.invalid", "cannot listen on 'no.such.host.invalid': unknown host"),
        ("a" * 300, "unknown host"),
        ("192.0.2.1", "this machine does not have the address"),
        ("2001:db8::1", "this machine does not have the address"),
    ],
)
def test_a_host_that_is_not_of_this_machine_is_refused(host: str, sentence: str):
    with pytest.raises(UsageFault, match=sentence):
        listening.open_sockets(host, free_port(), is_held_by_earlier=lambda: False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on any port")
def test_a_privileged_port_is_refused():
    with pytest.raises(UsageFault, match="no permission"):
        listening.open_sockets("127.0.0.1", 1, is_held_by_earlier=lambda: False)


def test_serve_on_a_port_in_use_ends_with_a_sentence_and_makes_nothing(taken: socket.socket, tmp_path: Path):
    port = str(taken.getsockname()[1])
    command = [sys.executable, "-m", "ratemill", "serve", "--port", port]
    home = tmp_path / "home"
    done = subprocess.run(command, env=environment(home=str(home)), capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == (
        f"ratemill: cannot listen on port {port} of '127.0.0.1': the port is in use; "
        "stop the process that uses it, or choose another with --port\n"
    )
    assert not home.exists()


@pytest.fixture
def taken() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener
