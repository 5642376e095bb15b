"""How often a caller may fail, and how often a token may call: counted in this process, for a bounded number of callers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from time import monotonic

from starlette.requests import Request

from ratemill.access.tokens import digest
from ratemill.api.http.auth import LOGINS, secret_of
from ratemill.errors import CallerError, TooManyRequests
from ratemill.settings import Settings

SMALL_BODY = "ratemill.small_body"
"""Under this name the scope of a call that needs no token has its body."""
WINDOW_S = 60.0
CALLERS_MAX = 10_000  # counted at once; the one counted first is forgotten first


@dataclass(slots=True)
class _WrongSecrets:
    since: float
    wrong: set[bytes] = field(default_factory=set)


class FailedAttempts:
    """The wrong secrets that each address tried within the last minute.

    The same secret counts once: a program with an expired token must learn that, however often it calls. A secret is looked
    up even if its address has tried too many, so that nobody can lock out a neighbour who has a valid one: secrets have 256
    random bits, and are not found by trying.
    """

    def __init__(self, settings: Settings) -> None:
        self._most = settings.failed_attempts_per_min_max
        self._failures: OrderedDict[str, _WrongSecrets] = OrderedDict()

    def answer(self, request: Request, error: CallerError) -> CallerError:
        """Count a failed attempt; return the error, or ``TooManyRequests`` if there were too many."""
        secret = secret_of(request)
        is_login = request.scope["path"].lower() in LOGINS
        if not secret and not is_login:
            return error
        now, address = monotonic(), _network_of(request)
        failures = self._failures.get(address)
        if failures is None or now - failures.since > WINDOW_S:
            failures = _WrongSecrets(now)
            self._failures[address] = failures
            self._failures.move_to_end(address)
            if len(self._failures) > CALLERS_MAX:
                self._failures.popitem(last=False)
        if len(failures.wrong) <= self._most:
            failures.wrong.add(_digest_of_login(request) if is_login else digest(secret))
        if len(failures.wrong) <= self._most:
            return error
        return TooManyRequests(
            f"{self._most} wrong secrets came from your address within a minute; a valid token is accepted at any time",
            retry_after_s=max(1, round(failures.since + WINDOW_S - now)),
        )


class TokenRates:
    """The requests of each token within the current second."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.token_requests_per_s_max
        self._calls: OrderedDict[bytes, tuple[float, int]] = OrderedDict()

    def count(self, request: Request) -> None:
        """Count a request; raise ``TooManyRequests`` if its token has made too many."""
        if not self._most:
            return
        secret = secret_of(request)
        if not secret:
            return
        key, now = digest(secret), monotonic()
        since, calls = self._calls.get(key, (now, 0))
        since, calls = (now, 1) if now - since >= 1.0 else (since, calls + 1)
        self._calls[key] = since, calls
        if len(self._calls) > CALLERS_MAX:
            self._calls.popitem(last=False)
        if calls > self._most:
            raise TooManyRequests(f"a token may make {self._most} requests a second", retry_after_s=1)


def _digest_of_login(request: Request) -> bytes:
    """Return what tells a login from another: all the places that its name and secret may be in."""
    authorization = request.headers.get("authorization", "").encode("latin-1")
    return sha256(
        b"\0".join((request.scope["query_string"], authorization, request.scope.get(SMALL_BODY, b"")))
    ).digest()


def _network_of(request: Request) -> str:
    """Return the address of the caller, or of the IPv6 network that one caller usually has."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def is_local(request: Request) -> bool:
    """Return whether the caller is on this machine; what a proxy handed on may be from anywhere."""
    if any(name in request.headers for name in ("x-forwarded-for", "forwarded", "x-real-ip", "via")):
        return False
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False
