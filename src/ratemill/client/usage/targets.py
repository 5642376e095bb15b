"""Where a file goes and how it is cut: what the server says of the feed, what the file's name says, what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from ratemill.client.calls import Client, Json
from ratemill.client.errors import Rejection
from ratemill.client.records import Form, Route, Shape
from ratemill.errors import UsageFault

_USED_WRONGLY = 2
_OBJECT_SUFFIXES = {".jsonl", ".ndjson"}
_SHAPES: dict[str, Shape] = {"csv": "csv", "columnar": "columnar", "json": "jsonl", "jsonl": "jsonl"}


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """Where a file goes: the feed, and the form in which its records are cut."""

    feed_id: int
    feed_name: str
    form: Form


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What was asked for beyond what server and file say; None leaves it to them."""

    shape: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    skip_header: bool = False


@dataclass(frozen=True, slots=True)
class TargetFeed:
    """A feed with what its data profile says of a row."""

    feed_id: int
    name: str
    profile: Json


def find_feed(client: Client, name_or_id: str) -> TargetFeed:
    """Return the feed of that name or number; raise ``Rejection`` if there is none."""
    described = client.feed(name_or_id)
    return TargetFeed(described["identity"], described["name"], _profile(client, described))


def target_of(feed: TargetFeed, path: Path, options: TargetOptions) -> ImportTarget:
    """Return where a file goes; raise ``UsageFault`` if nobody says in which form it is."""
    return ImportTarget(feed.feed_id, feed.name, form_of(feed.name, feed.profile, path, options))


def form_of(feed: str, profile: Json, path: Path, options: TargetOptions) -> Form:
    """Return in which form a file is for a data profile, whose members are named as in a set-up document."""
    of_profile = _SHAPES.get(str(profile.get("format")).lower())
    shape = _SHAPES[options.shape] if options.shape else _shape_by_name(path) or of_profile
    if shape is None:
        raise UsageFault(
            f"the server does not say which format the feed '{feed}' takes: name it with --format",
            exit_code=_USED_WRONGLY,
        )
    if of_profile == "jsonl" and shape != "jsonl":
        raise UsageFault(f"the feed '{feed}' takes JSON objects, one a line, not {shape}")
    route: Route = "multi" if shape == "jsonl" and of_profile != "jsonl" else "rows"
    if shape != "csv":
        return Form(shape, route, skip_header=options.skip_header)
    delimiter = options.delimiter or profile.get("delimiter") or ","
    quote = options.quote if options.quote is not None else profile.get("quote", '"')
    return Form(shape, route, delimiter, quote, options.skip_header)


def _shape_by_name(path: Path) -> Shape | None:
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return "jsonl" if bare.suffix.lower() in _OBJECT_SUFFIXES else None


def _profile(client: Client, described: Json) -> Json:
    """Return what is known of the feed's data profile: told with the feed, else asked for if the token may read it."""
    if "dataProfileFormat" in described:
        told = {"format": "dataProfileFormat", "delimiter": "dataProfileDelimiter", "quote": "dataProfileQuote"}
        return {name: described[member] for name, member in told.items() if member in described}
    try:
        return client.read(f"/DataProfile/{described['dataProfileId']}")
    except Rejection as error:
        if error.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            return {}
        raise
