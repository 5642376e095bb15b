"""Paths: any case, with or without a slash at the end; under ``/ResourceServer/api/`` in each version that exists.

All are brought to the one form under which the routes are declared, before routing and without a redirect. Before
``/api/`` the name of an instance may stand, which says nothing here: ``/INSTANCE/api/...`` is ``/api/...``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.convertors import Convertor, register_url_convertor

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

RESOURCES = "/ResourceServer/api/v7"
VERSIONS = ("v6", "v7", "v8")

IDENTITY = "{identity:identity}"  # of a set-up object, in a path: no word is one, so that no other path is taken for it
_IDENTITY_MAX = 2**63 - 1  # what the database counts with

CHARACTERISTICS = "{named:characteristics}"  # the collection of a characteristic, whose batches are meant

IDENTITY_IN_PATH = re.compile(r"/[0-9]{1,30}(?=/|\Z)")

_RESOURCE_PATH = re.compile(r"/ResourceServer/api/(?P<version>v\d+)(?P<rest>/.*)?\Z", re.IGNORECASE | re.DOTALL)
_JSON_ROUTE = re.compile(r"/(internal/)?DataImport/Usage/Json(/|\Z)", re.IGNORECASE)
_INSTANCE_PATH = re.compile(
    r"/(?!ResourceServer/|AuthorizationServer/)[^/]+(?P<rest>/api(?:/.*)?)", re.IGNORECASE | re.DOTALL
)
_NOWHERE = "/no-such-version"


class PathIdentity(Convertor[int]):
    """The identity of an object in a path; one that is too large for any row stays too large."""

    regex = "[0-9]{1,30}"

    def convert(self, value: str) -> int:
        """Return the number."""
        return min(int(value), _IDENTITY_MAX)

    def to_string(self, value: int) -> str:
        """Return the number as it is written."""
        return str(value)


register_url_convertor("identity", PathIdentity())


class Characteristics(Convertor[str]):
    """The collection of a characteristic in a path, ``UserXs`` or ``User1s`` to ``User20s`` in any letter case."""

    regex = "[Uu][Ss][Ee][Rr](?:[Xx]|[1-9]|1[0-9]|20)[Ss]"

    def convert(self, value: str) -> str:
        """Return the collection as it is named."""
        return f"User{value[4:-1].upper()}s"

    def to_string(self, value: str) -> str:
        """Return the collection as it is written."""
        return value


register_url_convertor("characteristics", Characteristics())


class PathNormalizer:
    """Middleware that brings the path of each request to the form under which it is declared."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on under its one path; ``scope['asked_path']`` keeps the one that was sent."""
        if scope["type"] == "http":
            scope["asked_path"] = scope["path"]
            scope["path"] = one_path(scope["path"])
        await self._app(scope, receive, send)


def one_path(path: str) -> str:
    """Return the declared form of ``path``; letter case is settled by the routes, which do not regard it."""
    match = _RESOURCE_PATH.match(path)
    if match is None:
        instance = _INSTANCE_PATH.fullmatch(path)
        return (instance["rest"] if instance else path).rstrip("/") or "/"
    version, rest = match["version"].lower(), (match["rest"] or "").rstrip("/")
    if version not in VERSIONS or (version == "v6" and _JSON_ROUTE.match(rest)):  # the Json routes came with v7
        return _NOWHERE
    return RESOURCES + rest
