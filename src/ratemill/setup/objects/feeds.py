"""Usage feeds: where usage of one kind arrives, by which data profile."""

from __future__ import annotations

import re

from ratemill.setup.declaration import NAME_CHARS_MAX, Member, MemberKind, SetupObject, name_member, reference
from ratemill.setup.rules.names import unique_without_case
from ratemill.visible import shown

BATCH_WAIT_S_MAX = 30  # the longest that a record may wait for its batch
_API_NAME = re.compile(r"[A-Za-z0-9]+\Z")


def check_api_name(name: str) -> str | None:
    """Say what is wrong with an API name, if anything is."""
    return None if _API_NAME.match(name) else f"'{shown(name)}' must be letters and digits only"


OBJECT = SetupObject(
    list_name="udrFeeds",
    path="Udr/Feed/",
    dto_type_key="udrFeed",
    noun="usage feed",
    table="feeds",
    identity="feed_id",
    members=(
        name_member(),
        reference("dataProfileName", "data_profile_id", "dataProfiles", required=True),
        Member("apiName", "api_name", check=check_api_name, chars_max=NAME_CHARS_MAX),
        Member("enabled", "enabled", MemberKind.BOOL, default=True),
        Member("description", "description"),
        Member("batchWaitSeconds", "batch_wait_s", MemberKind.QUANTITY, default=1, least=0, most=BATCH_WAIT_S_MAX),
    ),
    lookup=(),
    list_rules=(unique_without_case("name", "name"), unique_without_case("api_name", "apiName")),
)
