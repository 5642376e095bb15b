"""Data profiles: how a raw record becomes a usage record. Mediation knows their members; here each change is a version."""

from __future__ import annotations

from collections.abc import Iterator

from ratemill.mediation.profile import ProfileFaults, read_profile, write_profile
from ratemill.setup.declaration import Entry, Kind, Member, SetupObject, name_member
from ratemill.setup.world import World


def _inner(name: str, *, required: bool = False, words: str = "") -> Member:
    return Member(name, name, Kind.STRUCTURE, required=required, inner=True, default_words=words)


def check_profile(entry: Entry, _world: World) -> Iterator[tuple[str, str]]:
    """Let mediation read the document, and keep it as mediation writes it."""
    document = entry.row["document"] | {"name": entry.row["name"]}
    try:
        profile = read_profile(document)
    except ProfileFaults as error:
        yield from error.faults
        return
    entry.row["document"] = {name: value for name, value in write_profile(profile).items() if name != "name"}


OBJECT = SetupObject(
    list_name="dataProfiles",
    path="DataProfile/",
    dto_type_key="dataProfile",
    noun="data profile",
    table="data_profiles",
    identity="data_profile_id",
    members=(
        name_member(),
        _inner("format", required=True),
        _inner("fields", required=True),
        _inner("delimiter", words="`,`"),
        _inner("quote", words='`"`'),
        _inner("headerRow", words="false"),
        _inner("timeZone", words="UTC"),
        _inner("mappings", words="none"),
        _inner("filter", words="none"),
        _inner("duplicateKey", words="all mapped targets; an empty list: no check"),
        _inner("duplicateWindowDays", words="none: keys are kept for ever"),
        _inner("creditsAllowed", words="false"),
        _inner("unknownKeys", words="keep"),
        _inner("envelope", words="row"),
    ),
    document="document",
    finish=check_profile,
)
