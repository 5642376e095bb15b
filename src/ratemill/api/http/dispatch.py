"""The routes of fixed paths and of identities by a table: hundreds of them are not tried one after the other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Match, Route

from ratemill.api.http.paths import IDENTITY_IN_PATH, PathIdentity

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class PathRouter(BaseRoute):
    """Stands before the routes that it knows, and hands on what belongs to one of them; the rest is for those behind."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes: defaultdict[str, list[Route]] = defaultdict(list)
        for route in routes:
            if isinstance(route, Route) and all(
                isinstance(convertor, PathIdentity) for convertor in route.param_convertors.values()
            ):
                self._routes[re.sub(r"\{\w+\}", "{}", route.path_format).lower()].append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return the match of the first route of path and method, else that of the first of the path."""
        if scope["type"] != "http":
            return Match.NONE, {}
        key = IDENTITY_IN_PATH.sub("/{}", scope["path"]).lower()
        partial: tuple[Match, Any] = (Match.NONE, {})
        for route in self._routes.get(key, ()):
            match, found = route.matches(scope)
            if match is Match.FULL:
                return match, {**found, "route": route}
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = match, {**found, "route": route}
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route that matched answer."""
        await scope["route"].handle(scope, receive, send)
