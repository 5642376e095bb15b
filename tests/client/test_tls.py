"""Encrypted connections to real sockets: a server that is not trusted is an error at once."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from ratemill.client.calls import Client
from ratemill.client.errors import Unreachable, UntrustedServer
from ratemill.errors import UsageFault


@contextmanager
def answering(context: ssl.SSLContext | None) -> Iterator[int]:
    """Answer every connection with one object, encrypted or not; yield the port."""
    body = b'{"instance": {"name": "x"}}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) if context else connection as secured:
                    secured.recv(65_536)
                    secured.sendall(answer)
            except OSError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture
def context(cases: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cases / "tls" / "certificate.pem", cases / "tls" / "key.pem")
    return made


def test_a_server_whose_authority_is_named_is_trusted(context, cases):
    ca_file = str(cases / "tls" / "ca.pem")
    with answering(context) as port, Client(f"https://localhost:{port}", "secret", ca_file=ca_file) as client:
        assert client.read("/x") == {"name": "x"}


@pytest.mark.parametrize(("host", "ca"), [("localhost", ""), ("127.0.0.1", "ca.pem"), ("localhost", "certificate.pem")])
def test_a_certificate_that_is_not_valid_is_an_error_without_another_try(context, cases, host, ca):
    said: list[str] = []
    ca_file = str(cases / "tls" / ca) if ca else ""
    with answering(context) as port, pytest.raises(UntrustedServer, match="RATEMILL_CA_FILE"):
        Client(f"https://{host}:{port}", "secret", ca_file=ca_file, say=said.append).read("/x")
    assert not said


def test_a_server_that_speaks_no_tls_is_an_error_without_another_try():
    said: list[str] = []
    with answering(None) as port, pytest.raises(UntrustedServer, match="speak TLS"):
        Client(f"https://localhost:{port}", "secret", say=said.append).read("/x")
    assert not said


def test_a_server_that_is_away_is_worth_another_try():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Client(f"https://localhost:{port}", "secret", retry_s=0.0) as client, pytest.raises(Unreachable):
        client.read("/x")


def test_an_authority_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageFault, match="RATEMILL_CA_FILE"):
        Client("https://localhost:1", "secret", ca_file=str(tmp_path / "none"))
