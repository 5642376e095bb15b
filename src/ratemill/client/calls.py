"""The HTTP client: calls of the server, tried again where that can help.

A call is tried again after a lost connection, a 5xx, a 429 and a 409 that says "still being taken", and always as the
very same request: under its Idempotency-Key the server takes it once, however often it comes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import count
from threading import Event
from time import monotonic
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from ratemill.client.errors import ClientError, Rejection, Unreachable
from ratemill.client.tls import not_trusted, trusting
from ratemill.errors import Code, Fault, UsageFault
from ratemill.periods import growing_pause
from ratemill.visible import shown

Json = dict[str, Any]

RESOURCES = "/ResourceServer/api/v7"
BATCHES = "/api/Import/User{}s/Batch"
JOBS = "/api/Import/Jobs"
REQUEST_TIMEOUT_S = 60.0  # an answer comes after the commit, which may wait for a lock
WAIT_S_MAX = 10.0  # how long one call may ask the server to wait
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.2, 10.0
RETRY_S = 120.0  # how long a server that does not answer is tried; longer than its restart takes
LOOK_S = 0.2  # between two looks at something that is under way
PAGE_SIZE = 1_000
_USED_WRONGLY = 2
_ENCODER = msgspec.json.Encoder()


class _RefusedItems(msgspec.Struct):
    items: list[msgspec.Raw]


class _RefusedAnswer(msgspec.Struct):
    result: _RefusedItems


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request of usage: its tracking id, and whether the server had taken it before."""

    tracking_id: str
    replayed: bool


class Client:
    """A caller of one server with one token; may be used from several threads."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        connections_max: int = 8,
        retry_s: float = RETRY_S,
        stopping: Event | None = None,
        say: Callable[[str], None] = lambda _: None,
        ca_file: str = "",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """``say`` is told why a call is tried again; once ``stopping`` is set, none is."""
        if not _is_address(url):
            raise UsageFault(
                f"'{shown(url)}' is not the address of a server: http://HOST:PORT is expected", exit_code=_USED_WRONGLY
            )
        self._retry_s, self._stopping, self._say = retry_s, stopping or Event(), say
        limits = httpx.Limits(max_connections=connections_max, max_keepalive_connections=connections_max)
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {token}"},
            timeout=REQUEST_TIMEOUT_S,
            limits=limits,
            verify=trusting(ca_file),
            transport=transport,
        )

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # usage

    def feed(self, name_or_id: str) -> Json:
        """Return a usage feed as the server describes it."""
        return self.read(f"/DataImport/Usage/Feed/{quote(name_or_id, safe='')}")

    def post_rows(self, feed: str, rows: Sequence[str], idempotency_key: str) -> Answer:
        """Send up to 1,000 records, each a text in the format of the feed's data profile."""
        return self.post_usage(feed, "rows", _ENCODER.encode({"data": rows}), idempotency_key)

    def post_usage(self, feed: str, route: str, body: bytes, idempotency_key: str) -> Answer:
        """Send a body of usage that is made already, by the route of rows (``rows``) or of objects (``multi``)."""
        way = "Json/Multi/" if route == "multi" else ""
        headers = {"Idempotency-Key": idempotency_key}
        path = f"{RESOURCES}/DataImport/Usage/{way}{quote(feed, safe='')}"
        response = self.call("POST", path, content=body, headers=headers)
        replayed = response.headers.get("Idempotent-Replayed", "").lower() == "true"
        return Answer(str(content_of(response)["trackingId"]), replayed)

    def status(self, tracking_id: str, *, wait_s: float = 0) -> Json:
        """Return the history of one request; with ``wait_s``, wait so long for its records to be done."""
        path = f"/DataImport/History/{quote(tracking_id, safe='')}"
        deadline = monotonic() + wait_s
        while True:
            left = max(0.0, deadline - monotonic())
            history = self.read(path, **({"wait": min(int(left) + 1, int(WAIT_S_MAX))} if left else {}))
            if not left or history["dataImportHistoryStatusTypeName"] == "Done":
                return history

    def charges(self, filters: Mapping[str, str]) -> Iterator[Json]:
        """Yield the charges that the filters let through, page by page."""
        return self.pages("/Udr/Charge/Paged", filters)

    def reprocess(self, filter_criteria: Json, wait_s: float) -> Json:
        """Rate the rating exceptions anew that the criteria let through; return the schedule once it is complete."""
        answer = self.post("/UsageRatedExceptionSchedule/Reprocess", {"filterCriteria": filter_criteria})
        number = answer["results"]["items"][0]["identity"]
        deadline = monotonic() + wait_s
        while True:
            schedule = self.read(f"/UsageRatedExceptionSchedule/{number}")
            if schedule["complete"] or monotonic() > deadline or self._stopping.wait(LOOK_S):
                return schedule

    # any object

    def read(self, path: str, **parameters: object) -> Json:
        """Return the one object that a path names."""
        instance: Json = content_of(self.call("GET", RESOURCES + path, params=parameters))["instance"]
        return instance

    def pages(self, path: str, filters: Mapping[str, str], *, page_size: int = PAGE_SIZE) -> Iterator[Json]:
        """Yield the items of a paged list."""
        number, offset = 1, 0
        while True:
            asked: Json = {**filters, "pageNumber": number, "pageSize": page_size, "excludeTotalCount": "true"}
            if offset:
                asked["pageOffset"] = offset
            answer = content_of(self.call("GET", RESOURCES + path, params=asked))
            items = answer["pagedResults"]["items"]
            yield from items
            following = answer.get("pagination", {}).get("next")
            if following is None and offset + len(items) < page_size:
                return
            number, offset = (number + 1, 0) if following is None else (number, following)

    def post(self, path: str, content: Json) -> Json:
        """Post an object under the resource path; return the whole answer. Not tried again once it may have arrived."""
        return content_of(self.call("POST", RESOURCES + path, content=_ENCODER.encode(content), once=True))

    # items of characteristics

    def create_batch(self, characteristic: int, content: Json) -> Json:
        """Create a batch of items; return its ``batchId`` and ``jobQueueGuid``.

        Where the answer is lost and the call tried again, an empty batch stays behind that nobody submits.
        """
        return self._result("POST", BATCHES.format(characteristic), content=_ENCODER.encode(content))

    def send_page(self, characteristic: int, batch_id: int, body: bytes) -> None:
        """Send a page of a batch; one that comes twice takes the place of the first."""
        self._result("PATCH", f"{BATCHES.format(characteristic)}/{batch_id}", content=body)

    def submit_batch(self, characteristic: int, batch_id: int, *, dry_run: bool) -> None:
        """Submit a batch; with ``dry_run`` its items are checked and counted, and none is written."""
        switches = "?Submit&dryRun" if dry_run else "?Submit"
        self._result("PATCH", f"{BATCHES.format(characteristic)}/{batch_id}{switches}")

    def clear_batch(self, characteristic: int, batch_id: int) -> None:
        """Remove the pages of a batch, which takes no further ones then."""
        self._result("POST", f"{BATCHES.format(characteristic)}/{batch_id}/clear")

    def job(self, guid: str) -> Json:
        """Return the job of a batch: its state and counts."""
        return self._result("GET", f"{JOBS}/{guid}")

    def job_items(self, guid: str, outcome: str, *, items_max: int = PAGE_SIZE) -> list[Json]:
        """Return what became of the first items that came to an outcome, by page, then index."""
        parameters = {"outcome": outcome, "$top": items_max}
        items: list[Json] = self._result("GET", f"{JOBS}/{guid}/Items", params=parameters)["items"]
        return items

    def refused_items(self, guid: str) -> Iterator[bytes]:
        """Yield the items that a job refused, as they were sent: the JSON text of each."""
        for number in count():
            asked = {"pageNumber": number, "pageSize": PAGE_SIZE}
            response = self.call("GET", f"{JOBS}/{guid}/Refused", params=asked)
            items = msgspec.json.decode(response.content, type=_RefusedAnswer).result.items
            yield from map(bytes, items)
            if len(items) < PAGE_SIZE:
                return

    def _result(self, method: str, path: str, **options: Any) -> Json:  # noqa: ANN401
        result: Json = content_of(self.call(method, path, **options))["result"]
        return result

    # one call

    def call(self, method: str, path: str, *, once: bool = False, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Return the answer to a call, tried again while that can help, or with ``once`` not tried again.

        ``options`` are those of httpx.
        """
        if "content" in options:
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        deadline = monotonic() + self._retry_s
        for attempt in count():
            trouble, asked_s = self._try(method, path, options)
            if not isinstance(trouble, ClientError):
                return trouble
            if asked_s is not None:  # the server is there and says when: that is no failure to reach it
                deadline = monotonic() + asked_s + self._retry_s
            pause = max(backoff(attempt), asked_s or 0.0)
            if not trouble.retry or once or monotonic() + pause > deadline:
                raise trouble
            self._say(f"{trouble}; trying again in {pause:.1f} s")
            if self._stopping.wait(pause):
                raise trouble
        raise AssertionError  # pragma: no cover -- the count does not end

    def _try(self, method: str, path: str, options: Json) -> tuple[httpx.Response | ClientError, float | None]:
        """Return the answer or the trouble with it, and after how many seconds the server asks to be tried again."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            url = str(self._http.base_url)
            return not_trusted(url, error) or Unreachable(f"{url}: {error or type(error).__name__}"), None
        if response.is_success:
            return response, None
        faults = _faults(response)
        if _passes(response.status_code, faults):
            trouble = Unreachable(f"{response.status_code}: " + "; ".join(fault.message for fault in faults))
            return trouble, _retry_after(response)
        return Rejection(response.status_code, faults), None


def _is_address(url: str) -> bool:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return address.scheme in {"http", "https"} and bool(address.host)


def _passes(status: int, faults: list[Fault]) -> bool:
    """Return whether the same request may succeed later."""
    if status == HTTPStatus.CONFLICT:
        return any(fault.code == Code.IDEMPOTENCY_KEY_IN_USE for fault in faults)
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def backoff(attempt: int) -> float:
    """Return the pause before another attempt: twice the one before, of which half by chance, so callers spread."""
    whole = growing_pause(BACKOFF_S_MIN, BACKOFF_S_MAX, attempt)
    return whole / 2 + random.uniform(0, whole / 2)  # noqa: S311 -- no secret


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of ``Retry-After``, which may be a number or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def content_of(response: httpx.Response) -> Json:
    """Return the object that an answer holds; raise ``Rejection`` for anything else."""
    try:
        content = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = None
    if not isinstance(content, dict):
        fault = Fault(0, f"{response.url} answered something that is not from Ratemill")
        raise Rejection(response.status_code, [fault])
    return content


def _fault(named: Json) -> Fault:
    """Return one fault of any envelope: by number, row and field, by a path, or by a title."""
    if "title" in named:
        return Fault(0, ": ".join(filter(None, (named["title"], named.get("detail")))))
    if "property" in named:
        return Fault(0, named["message"], path=named["property"] or None)
    return Fault(named["code"], named["message"], named.get("row"), named.get("field"))


def _faults(response: httpx.Response) -> list[Fault]:
    """Return the faults of an error's envelope, or the start of what came instead."""
    try:
        listed = content_of(response)["errors"]
        faults = [_fault(each) for each in listed]
    except (Rejection, KeyError, TypeError):
        faults = []
    return faults or [Fault(0, response.text[:200] or response.reason_phrase)]
