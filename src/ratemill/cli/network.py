"""Where the API may listen: what leaves the machine is encrypted, or the operator says that it need not be."""

from __future__ import annotations

import socket
import ssl
from ipaddress import ip_address

from ratemill import logs
from ratemill.access.key_files import fault_of_key_file
from ratemill.errors import USED_WRONGLY, UsageFault
from ratemill.settings import Settings

log = logs.get(__name__)


def check_listening(settings: Settings, host: str, *, insecure: bool) -> None:
    """Raise ``UsageFault`` unless tokens are safe on the way to ``host``, and for a certificate that cannot be used."""
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise UsageFault(
            "RATEMILL_TLS_CERTIFICATE and RATEMILL_TLS_KEY must be set together: the files of a certificate and its key",
            exit_code=USED_WRONGLY,
        )
    if settings.tls_certificate:
        _check_certificate(settings)
        if fault := fault_of_key_file(settings.tls_key):
            log.warning("tls_key_readable", fault=fault, action=f"run `chmod 600 {settings.tls_key}`")
    elif not insecure and not _is_loopback(host):
        raise UsageFault(
            f"'{host}' can be reached from other machines, and tokens would cross the network unencrypted: set"
            " RATEMILL_TLS_CERTIFICATE and RATEMILL_TLS_KEY, or listen on 127.0.0.1 behind a TLS proxy, or accept"
            " the risk with --insecure",
            exit_code=USED_WRONGLY,
        )


def _check_certificate(settings: Settings) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except (OSError, ValueError) as error:
        raise UsageFault(
            f"cannot use the certificate '{settings.tls_certificate}' with the key '{settings.tls_key}': {error}; both must"
            " be PEM files, the key without a password",
            exit_code=USED_WRONGLY,
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        found = {address[4][0] for address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return True  # there is no such host: the attempt to listen there reports it
    return all(ip_address(str(each).partition("%")[0]).is_loopback for each in found)
