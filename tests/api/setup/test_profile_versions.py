"""The versions of a data profile by path, and one kind of rating exceptions by path."""

from collections.abc import Iterator

import pytest
from tests.fixtures.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        made.apply("ratemill: 1\ndataProfiles: [{name: guide_csv, headerRow: true}]\n")
        yield made


@pytest.fixture(scope="module")
def path(mine: Mill) -> str:
    return f"/DataProfile/{mine.value('select data_profile_id from data_profiles')}/Version"


def test_every_version_is_there_with_its_document_the_newest_first(mine: Mill, path: str):
    page = mine.request("GET", f"{path}/Paged").json()
    newest, first = page["pagedResults"]["items"]
    assert list(newest) == [
        "dataProfileId",
        "dataProfileName",
        "dataProfileVersion",
        "inForce",
        "created",
        "document",
    ]
    assert (newest["dataProfileVersion"], newest["inForce"], newest["document"]["headerRow"]) == (2, True, True)
    assert (first["dataProfileVersion"], first["inForce"], "headerRow" in first["document"]) == (1, False, False)
    assert first["created"] < newest["created"]
    assert mine.request("GET", f"{path}/1/").json()["instance"] == first
    one = mine.request("GET", f"{path}/Paged?pageSize=1&pageNumber=2&excludeTotalCount=true").json()["pagedResults"]
    assert one == {"items": [first]}


@pytest.mark.parametrize("rest", ["3", "0", "x", "9" * 25])
def test_a_version_that_is_not_there(mine: Mill, path: str, rest):
    assert mine.request("GET", f"{path}/{rest}").status_code == 404


def test_a_profile_of_another_owner_is_not_there(mine: Mill, path: str):
    others = Mill(mine.database, mine.settings, "other", mine.client)
    for rest in ("Paged", "1"):
        assert others.request("GET", f"{path}/{rest}").status_code == 404
    assert mine.request("GET", "/DataProfile/999999/Version/Paged").status_code == 404


def test_one_kind_of_rating_exceptions(mine: Mill):
    kinds = mine.request("GET", "/Udr/Usage/ExceptionType/").json()["items"]
    for kind in kinds:
        assert mine.request("GET", f"/Udr/Usage/ExceptionType/{kind['identity']}").json()["instance"] == kind
    for number in ("0", "8", "x"):
        assert mine.request("GET", f"/Udr/Usage/ExceptionType/{number}").status_code == 404
