"""A pretended server for the client's tests: takes usage under its keys, and fails as it is told to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import httpx

from ratemill.client.calls import Client

Failure = Callable[[httpx.Request], httpx.Response | None]


@dataclass
class Server:
    """What was taken: each key with its body, in order; ``failures`` are asked first, one after the other."""

    feed: dict[str, Any] = field(
        default_factory=lambda: {"identity": 1, "name": "Guide Feed", "dataProfileId": 1, "dataProfileFormat": "csv"}
    )
    taken: dict[str, list[Any]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    calls: list[httpx.Request] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def client(self, **options: Any) -> Client:
        """Return a client of this server that does not wait long between two tries."""
        return Client("http://mill", "secret", transport=httpx.MockTransport(self.answer), **options)

    @property
    def records(self) -> list[Any]:
        """The records that were taken, in the order of the numbers in their keys."""
        return [each for key in sorted(self.taken, key=_number) for each in self.taken[key]]

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        with self.lock:
            self.calls.append(request)
            failed = self.failures.pop(0)(request) if self.failures else None
            return failed or self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/ResourceServer/api/v7/")
        if request.method == "POST":
            return self._take(request)
        if path.startswith("DataImport/Usage/Feed/"):
            return httpx.Response(200, json={"trackingId": "-", "instance": self.feed})
        if path.startswith("DataImport/History/"):
            known = path.removeprefix("DataImport/History/") in map(tracking_id, self.taken)
            return httpx.Response(200, json={"instance": {}}) if known else refusal(404, 1404)
        raise AssertionError(path)

    def _take(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["Idempotency-Key"]
        data = json.loads(request.content)["data"]
        replayed = key in self.taken
        assert self.taken.setdefault(key, data) == data
        headers = {"Idempotent-Replayed": "true"} if replayed else {}
        return httpx.Response(200, json={"trackingId": tracking_id(key)}, headers=headers)


def tracking_id(key: str) -> str:
    """Return the tracking id of the request that came under a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def refusal(status: int, code: int, headers: dict[str, str] | None = None) -> httpx.Response:
    """Return an error in its envelope."""
    faults = [{"code": code, "message": f"fault {code}", "row": 3}]
    return httpx.Response(status, json={"trackingId": "-", "type": "create", "errors": faults}, headers=headers)


def refuses(status: int, code: int, headers: dict[str, str] | None = None) -> Failure:
    """Return a failure that refuses a call."""
    return lambda _: refusal(status, code, headers)


def breaks(_: httpx.Request) -> httpx.Response:
    """Lose the connection before the request arrives."""
    raise httpx.ConnectError("refused")


def _number(key: str) -> int:
    return int(key.split("-")[1])
