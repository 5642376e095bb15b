"""Set-up objects over HTTP, read: whole lists, pages, one, details, searches, and where an object is used.

The routes of every object are made from its declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from http import HTTPStatus
from typing import IO, Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from ratemill import money
from ratemill.access.tokens import Principal
from ratemill.api.http import envelope, paging, spool
from ratemill.api.http.auth import needs
from ratemill.api.http.bodies import read_json_body
from ratemill.api.http.envelope import Json
from ratemill.api.http.paging import Parameter
from ratemill.api.http.paths import IDENTITY, RESOURCES
from ratemill.api.setup import schemas, search_body
from ratemill.comparisons import Comparison, Operator
from ratemill.errors import Fault
from ratemill.pages import Page, Paging
from ratemill.setup.declaration import SetupObject
from ratemill.setup.objects.registry import BASE_UNITS, OBJECTS
from ratemill.setup.reading import searching
from ratemill.setup.reading.details import PARTS_OF_EACH_MAX, PARTS_OF_ONE_MAX, details
from ratemill.setup.reading.searching import SetupQuery
from ratemill.setup.reading.showing import ObjectView, etag
from ratemill.setup.reading.used_by import User, used_by
from ratemill.store.setup.searches import ColumnComparison, SearchColumn

Reader = Annotated[Principal, Depends(needs("read"))]

ROWS_AT_ONCE = 10_000  # of a long list; a shorter one is answered at once
_CHUNK_BYTES = 262_144
_ENCODER = msgspec.json.Encoder()


def routes() -> APIRouter:
    """Return the reading routes of every object: those of fixed paths before those that end in an identity."""
    made = APIRouter(prefix=RESOURCES)
    for kind in (BASE_UNITS, *OBJECTS):
        _add_lists(made, kind)
    for kind in (BASE_UNITS, *OBJECTS):
        _add_one(made, kind)
    return made


def _add_lists(made: APIRouter, kind: SetupObject) -> None:
    filters = _filters(kind)

    def read_all(request: Request, principal: Reader) -> Response:
        asked = _asked(paging.read_query(request, filters))
        return _whole_list(request, principal.owner_id, kind, asked)

    def read_page(request: Request, principal: Reader) -> Response:
        asked, found = paging.read_page(request, filters)
        database, lists = request.app.state.database, request.app.state.long_lists
        page = searching.page(database, principal.owner_id, kind, _asked(found), asked, lists=lists)
        return envelope.reply(envelope.paged(page, asked, _instance))

    def read_page_with_details(request: Request, principal: Reader) -> Response:
        asked, found = paging.read_page(request, filters)
        owner_id, lists = principal.owner_id, request.app.state.long_lists
        with request.app.state.database.reader(owner_id) as connection:
            page = searching.page_within(connection, owner_id, kind, _asked(found), asked, lists=lists)
            more = details(connection, owner_id, kind, page.rows, parts_max=PARTS_OF_EACH_MAX, lists=lists)
        return envelope.reply(
            envelope.paged(page, asked, lambda view: {**view.instance, "details": more[view.identity]})
        )

    async def search(request: Request, principal: Reader) -> Response:
        paging.read_query(request)
        faults: list[Fault] = []
        header = {**paging.read_header(request, faults), "bytes_max": request.app.state.settings.page_bytes_max}
        body = search_body.read(kind, await read_json_body(request), header, faults)
        database, lists = request.app.state.database, request.app.state.long_lists
        owner_id = principal.owner_id
        page = await run_in_threadpool(searching.page, database, owner_id, kind, body.query, body.paging, lists=lists)
        return await run_in_threadpool(_search_reply, page, body)

    path, many = f"/{kind.path.rstrip('/')}", kind.nouns
    _add(
        made,
        kind,
        path,
        read_all,
        f"Return every {kind.noun}.",
        paging.described(filters, paged=False),
        _answers(schemas.list_envelope(schemas.shown(kind))),
    )
    _add(
        made,
        kind,
        f"{path}/Paged",
        read_page,
        f"Return a page of {many}.",
        paging.described(filters),
        _answers(schemas.page_envelope(schemas.shown(kind))),
    )
    _add(
        made,
        kind,
        f"{path}/Paged/Detail",
        read_page_with_details,
        f"Return a page of {many}, each with the first of its parts.",
        paging.described(filters),
        _answers(schemas.page_envelope(schemas.with_details(kind))),
    )
    extra = {**schemas.body(search_body.schema(kind)), **paging.header_described()}
    _add(
        made,
        kind,
        f"{path}/Search",
        search,
        f"Return a page of the {many} that a query finds.",
        extra,
        _answers(schemas.page_envelope(schemas.shown_in_part(kind))),
        method="POST",
    )


def _add_one(made: APIRouter, kind: SetupObject) -> None:
    def read_one(request: Request, principal: Reader) -> Response:
        paging.read_query(request)
        with request.app.state.database.reader(principal.owner_id) as connection:
            shown = searching.find(connection, principal.owner_id, kind, _identity(request))
        tag = etag(shown)
        if _has(request, tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
        return envelope.reply(envelope.one(shown.instance), headers={"ETag": tag})

    def read_one_with_details(request: Request, principal: Reader) -> Response:
        paging.read_query(request)
        with request.app.state.database.reader(principal.owner_id) as connection:
            shown = searching.find(connection, principal.owner_id, kind, _identity(request))
            more = details(
                connection,
                principal.owner_id,
                kind,
                [shown],
                parts_max=PARTS_OF_ONE_MAX,
                lists=request.app.state.long_lists,
            )
        return envelope.reply(envelope.one({**shown.instance, "details": more[shown.identity]}))

    def read_users(request: Request, principal: Reader) -> Response:
        paging.read_query(request)
        with request.app.state.database.reader(principal.owner_id) as connection:
            shown = searching.find(connection, principal.owner_id, kind, _identity(request))
            users = used_by(connection, principal.owner_id, kind, shown.identity, request.app.state.long_lists)
        return envelope.reply(
            {
                "trackingId": str(uuid4()),
                "totalCount": sum(of_kind.total for of_kind in users),
                "items": [_user(user) for of_kind in users for user in of_kind.first],
                "counts": [
                    {"dtoTypeKey": of_kind.object.dto_type_key, "member": of_kind.member, "totalCount": of_kind.total}
                    for of_kind in users
                ],
            }
        )

    path = f"/{kind.path.rstrip('/')}/{IDENTITY}"
    extra = {"parameters": [schemas.PATH_IDENTITY]}
    tagged = {"parameters": [schemas.PATH_IDENTITY, schemas.IF_NONE_MATCH]}
    answers = {
        200: {
            **schemas.answered(schemas.one_envelope(schemas.shown(kind))),
            "headers": {"ETag": {"description": "For If-Match of a change.", "schema": {"type": "string"}}},
        },
        304: {"description": "It is the one of If-None-Match."},
    }
    _add(made, kind, path, read_one, f"Return one {kind.noun}.", tagged, answers)
    detailed = _answers(schemas.one_envelope(schemas.with_details(kind)))
    _add(
        made, kind, f"{path}/Detail", read_one_with_details, f"Return one {kind.noun} with its parts.", extra, detailed
    )
    used = _answers(schemas.REFERENCES)
    _add(
        made, kind, f"{path}/References", read_users, f"Return every object that points to {kind.a_noun}.", extra, used
    )


def _add(  # noqa: PLR0917 - a route is said in one line
    made: APIRouter,
    kind: SetupObject,
    path: str,
    endpoint: Callable[..., Any],
    about: str,
    extra: dict[str, Any],
    answers: dict[int, Any],
    *,
    method: str = "GET",
) -> None:
    made.add_api_route(
        path,
        endpoint,
        methods=[method],
        name=f"{kind.list_name}_{endpoint.__name__}",
        description=about,
        tags=[f"Set-up: {kind.list_name}"],
        openapi_extra=extra,
        responses={status: answers[status] for status in answers},
    )


# what is asked


def _filters(kind: SetupObject) -> dict[str, Parameter]:
    return {
        name: Parameter(
            f"{kind.list_name}.{name}", _reader(kind, name, field), f"Only those of this {name}.", _SCHEMAS[field.type]
        )
        for name, field in searching.fields(kind).items()
    }


def _reader(kind: SetupObject, name: str, field: SearchColumn) -> Callable[[str], ColumnComparison]:
    read = _READERS[field.type]

    def comparison(text: str) -> ColumnComparison:
        return Comparison(searching.fields(kind)[name], Operator.EQ, (read(text),))

    return comparison


def _decimal(text: str) -> Decimal:
    if (number := money.decimal_within(text)) is None:
        raise ValueError("must be a number")
    return number


def _owner(text: str) -> int:
    return min(paging.read_number(text), 2**31 - 1)


_READERS: dict[str, Callable[[str], Any]] = {
    "text": paging.read_text,
    "bigint": paging.read_number,
    "integer": _owner,
    "boolean": paging.read_boolean,
    "numeric": _decimal,
    "timestamptz": paging.read_time,
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "bigint": {"type": "integer", "minimum": 0},
    "integer": {"type": "integer", "minimum": 0},
    "boolean": {"type": "boolean"},
    "numeric": {"type": "number"},
    "timestamptz": {"type": "string", "format": "date-time"},
}


def _asked(comparisons: dict[str, ColumnComparison]) -> SetupQuery:
    return SetupQuery(tuple(comparisons.values()))


def _identity(request: Request) -> int:
    identity: int = request.path_params["identity"]
    return identity


def _has(request: Request, tag: str) -> bool:
    """Return whether the caller has the object as it is: ``If-None-Match`` compares weakly."""
    tags = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return tag in tags or "*" in tags


# what is answered


def _instance(view: ObjectView) -> Json:
    return view.instance


def _search_reply(page: Page[ObjectView], body: search_body.SearchBody) -> Response:
    named = set(body.fields)

    def instance(view: ObjectView) -> Json:
        if not named:
            return view.instance
        return {name: value for name, value in view.instance.items() if name in named}

    return envelope.reply(envelope.paged(page, body.paging, instance))


def _user(user: User) -> Json:
    return {
        "dtoTypeKey": user.object.dto_type_key,
        "identity": user.identity,
        "name": user.words,
        "member": user.member,
        "path": f"{user.object.path}{user.identity}",
    }


def _whole_list(request: Request, owner_id: int, kind: SetupObject, query: SetupQuery) -> Response:
    """Answer a short list at once, a long one from a file: no connection waits for a slow reader."""
    with request.app.state.database.reader(owner_id) as connection:
        total = searching.total(connection, owner_id, kind, query)
        if total <= ROWS_AT_ONCE:
            whole, lists = Paging(size=ROWS_AT_ONCE, with_total=False), request.app.state.long_lists
            page = searching.page_within(connection, owner_id, kind, query, whole, lists=lists)
            return envelope.reply(envelope.everything([shown.instance for shown in page.rows]))
        with spool.writing(request.app.state.settings):
            file = spool.new_file(request.app.state.settings)
            try:
                for part in _written(total, searching.everything(connection, owner_id, kind, query, ROWS_AT_ONCE)):
                    file.write(part)
                length = file.tell()
                file.seek(0)
            except BaseException:
                file.close()
                raise
    return StreamingResponse(_read(file), media_type="application/json", headers={"Content-Length": str(length)})


def _written(total: int, pages: Iterator[list[ObjectView]]) -> Iterator[bytes]:
    yield f'{{"trackingId":"{uuid4()}","totalCount":{total},"items":['.encode()
    for number, rows in enumerate(pages):
        yield (b"," if number else b"") + _ENCODER.encode([shown.instance for shown in rows])[1:-1]
    yield b"]}"


def _read(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


# how it is described


def _answers(schema: Json) -> dict[int, Json]:
    return {200: schemas.answered(schema)}


router = routes()
