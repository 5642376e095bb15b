"""A mill to test with: a fresh database, set up from a document, its HTTP face, and a worker that works when told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from fastapi.testclient import TestClient
from httpx import Response
from tests.caches import forget_set_up
from tests.owners import token_of

from ratemill.api.server import create_app
from ratemill.intake.worker import Worker
from ratemill.ledger.audit import audit
from ratemill.settings import Settings
from ratemill.setup.writing.apply import apply_document
from ratemill.store.connections import Database, driver

LOCAL = "http://localhost"
PATH = "/ResourceServer/api/v7"

GUIDE = """
ratemill: 1
usageClassTypes: [{name: Data_1}]
usageClasses: [{name: data_class, usageBaseUnitName: Data, usageClassTypeName: Data_1}]
dataProfiles:
  - name: guide_csv
    format: csv
    fields: [{name: DateTime}, {name: UdrIdentifierTypeName}, {name: OriginatingIdentifier}, {name: TerminatingIdentifier},
             {name: UdrUsageIdentifier}, {name: Value}, {name: Inbound}, {name: ReverseRating}, {name: UsageClassName},
             {name: UsageClassTypeName}, {name: UniquenessIdentifier}]
udrFeeds: [{name: Guide Feed, apiName: guideFeed, dataProfileName: guide_csv, batchWaitSeconds: 0}]
usageRateGroups: [{name: Main USD, currencyName: USD, start: 2000-01-01}]
usageRatePlans: [{name: Standard, usageRateGroupNames: [Main USD]}]
usageRates: [{usageRateGroupName: Main USD, usageClassName: data_class, amount: "0.0123"}]
accounts: [{name: Acme, currencyName: USD, usageRatePlanName: Standard}]
accountServices: [{accountName: Acme, name: Line}]
usageIdentifiers: [{udrUsageIdentifier: "648-688-4180", accountName: Acme, accountServiceName: Line}]
"""
GUIDE_ROW = (
    "2022-05-01T01:01:00.01,Unknown,4038675309,4038675345,648-688-4180,94,False,False,data_class,Data_1,"
    "2022-05-01T01:01:00.01"
)


def guide_row(number: int = 0, **members: str) -> str:
    """Return the guide's row with some fields replaced; ``number`` makes it unlike the others."""
    names = ["date", "type", "originating", "terminating", "identifier", "value"]
    names += ["inbound", "reverse", "usage_class", "class_type", "unique"]
    fields = dict(zip(names, GUIDE_ROW.split(","), strict=True))
    return ",".join({**fields, "unique": f"u{number}", **members}.values())


class Mill:
    """One owner's view of a database, with a token of every right."""

    def __init__(self, database: Database, settings: Settings, owner: str, client: TestClient) -> None:
        self.database, self.settings, self.owner, self.client = database, settings, owner, client
        self.token = token_of(database, owner, name="tester")

    def apply(self, document: str, folder: Path = Path()) -> None:
        """Apply a set-up document that must be without fault."""
        named = document.replace("ratemill: 1", f"ratemill: 1\nowner: {self.owner}", 1)
        applied = apply_document(self.database, named, folder, created_by="tester")
        assert not applied.errors, applied.errors

    def request(self, method: str, path: str, **options: Any) -> Response:
        """Call the face with this owner's token, unless ``headers`` brings another."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        answer: Response = self.client.request(
            method, PATH + path if path.startswith("/") else f"/{path}", headers=headers, **options
        )
        return answer

    def post_rows(self, *rows: str, feed: str = "guideFeed", **options: Any) -> Response:
        """Post rows of text."""
        return self.request("POST", f"/DataImport/Usage/{feed}", content=json.dumps({"data": rows}), **options)

    def work(self) -> None:
        """Let a worker take what waits, until nothing does."""
        worker = Worker(self.database, self.settings, Event())
        while self.value("select count(*) from submissions where rows_waiting > 0"):
            worker.step()

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a statement finds, of all owners."""
        with self.database.worker() as connection:
            return driver(connection).execute(statement, values).fetchall()

    def value(self, statement: str, *values: object) -> Any:
        """Return the first value that a statement finds."""
        return self.rows(statement, *values)[0][0]

    def change(self, statement: str, *values: object) -> None:
        """Change rows behind the product's back."""
        with self.database.worker() as connection:
            driver(connection).execute(statement, values)

    def assert_ties(self) -> None:
        """Hold that every record is accounted for."""
        found = audit(self.database)
        assert found.holds, found.failures


@contextmanager
def mill(database: Database, settings: Settings, owner: str = "default", document: str = GUIDE) -> Iterator[Mill]:
    """Yield a mill on a database, set up from a document."""
    forget_set_up()
    with TestClient(
        create_app(database, settings), LOCAL, raise_server_exceptions=False, client=("127.0.0.1", 50_000)
    ) as client:
        made = Mill(database, settings, owner, client)
        made.apply(document)
        yield made
