"""Encrypted connections: whom the client trusts, and what it makes of a server that it does not trust."""

from __future__ import annotations

import ssl

from ratemill.client.errors import UntrustedServer
from ratemill.errors import UsageFault

_USED_WRONGLY = 2
# The server or the network ended the connection while it began, as at a restart.
_PASSING = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


def trusting(ca_file: str) -> ssl.SSLContext | bool:
    """Return what verifies servers: the authority in a file, or the usual ones."""
    if not ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        message = f"RATEMILL_CA_FILE: cannot read certificates from '{ca_file}': {error.strerror or error}"
        raise UsageFault(message, exit_code=_USED_WRONGLY) from error


def not_trusted(url: str, error: BaseException) -> UntrustedServer | None:
    """Return the error if a connection failed because of TLS itself: the next attempt would fail alike."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            remedy = "check RATEMILL_URL, or name the authority of its certificate in RATEMILL_CA_FILE"
            return UntrustedServer(f"{url}: the certificate is not valid: {cause.verify_message}; {remedy}")
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _PASSING):
            reason = (cause.reason or str(cause)).replace("_", " ").lower()
            return UntrustedServer(
                f"{url}: no encrypted connection: {reason}; check RATEMILL_URL: does the server speak TLS?"
            )
        cause = cause.__cause__ or cause.__context__
    return None
