"""Set-up objects as the wire shows them."""

from collections.abc import Iterator

import pytest
from tests.fixtures.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.setup.declaration import SetupObject
from ratemill.setup.objects.registry import BASE_UNITS, BY_LIST, BY_PATH, OBJECTS
from ratemill.setup.reading.showing import ObjectView, etag, show
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


def shown(mine: Mill, each: SetupObject) -> list[ObjectView]:
    owner_id = mine.value("select owner_id from owners where name = 'default'")
    identities = [row[0] for row in mine.rows(f"select {each.identity} from {each.table} order by 1")]
    with mine.database.face(owner_id) as connection:
        return list(show(connection, owner_id, each, identities).values())


@pytest.mark.parametrize("each", [BASE_UNITS, *OBJECTS], ids=lambda each: each.list_name)
def test_an_instance_has_identity_and_owner_then_the_members_in_their_order(mine: Mill, each: SetupObject):
    members = [name for m in each.members for name in ((m.id_name, m.name) if m.is_reference else (m.name,))]
    for one in shown(mine, each):
        assert list(one.instance) == ["identity", "ownerId", "ownerName", *members]


def test_a_reference_is_shown_by_id_and_name(mine: Mill):
    rate = shown(mine, BY_LIST["usageRates"])[0].instance
    assert (rate["usageClassName"], rate["usageRateGroupName"]) == ("data_class", "Main USD")
    assert rate["amount"] == "0.0123"
    plan = shown(mine, BY_LIST["usageRatePlans"])[0].instance
    assert plan["usageRateGroupNames"] == ["Main USD"]
    assert plan["usageRateGroupIds"] == [rate["usageRateGroupId"]]


def test_an_identifier_shows_the_account_of_its_service(mine: Mill):
    identifier = shown(mine, BY_LIST["usageIdentifiers"])[0].instance
    account = shown(mine, BY_LIST["accounts"])[0].instance
    assert (identifier["accountId"], identifier["accountName"]) == (account["identity"], "Acme")


def test_another_owner_sees_nothing(mine: Mill):
    identities = [one.identity for one in shown(mine, BY_LIST["accounts"])]
    with mine.database.face(999_999) as connection:
        assert show(connection, 999_999, BY_LIST["accounts"], identities) == {}


def test_an_entity_tag_changes_with_the_object(mine: Mill):
    before = etag(shown(mine, BY_LIST["accounts"])[0])
    mine.apply("ratemill: 1\naccounts: [{name: Acme, usageBillDay: 7}]")
    after = shown(mine, BY_LIST["accounts"])[0]
    assert after.instance["usageBillDay"] == 7
    assert etag(after) != before


def test_a_path_finds_its_object():
    assert BY_PATH["usage/rate"].list_name == "usageRates"
    assert len(BY_PATH) == len(OBJECTS) + 1
