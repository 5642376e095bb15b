"""Data profiles: how a raw record becomes a usage record. Mediation knows their members; here each change is a version."""

from __future__ import annotations

from collections.abc import Iterator

from ratemill.mediation.profiles.declared import Match, Profile
from ratemill.mediation.profiles.profile import ProfileFaults, read_profile, write_profile
from ratemill.setup.declaration import Entry, Member, MemberKind, SetupObject, name_member
from ratemill.setup.objects import accounts, identifier_types, locations, services, usage_class_types, usage_classes
from ratemill.setup.world import World
from ratemill.visible import shown

# The lists that a match may look in, with the members it may compare.
MATCHED: dict[str, set[str]] = {
    each.OBJECT.list_name: {member.name for member in each.OBJECT.members if member.kind is MemberKind.TEXT}
    for each in (accounts, identifier_types, locations, services, usage_class_types, usage_classes)
}


def _inner(name: str, *, required: bool = False, words: str = "") -> Member:
    return Member(name, name, MemberKind.STRUCTURE, required=required, inner=True, default_words=words)


def check_profile(entry: Entry, _world: World) -> Iterator[tuple[str, str]]:
    """Let mediation read the document, and keep it as mediation writes it."""
    document = entry.row["document"] | {"name": entry.row["name"]}
    try:
        profile = read_profile(document)
    except ProfileFaults as error:
        yield from error.faults
        return
    yield from _unknown_lists(profile)
    entry.row["document"] = {name: value for name, value in write_profile(profile).items() if name != "name"}


def _unknown_lists(profile: Profile) -> Iterator[tuple[str, str]]:
    """Hold a match to a list of set-up and a text of its entries."""
    for index, mapping in enumerate(profile.mappings):
        if not isinstance(mapping.origin, Match):
            continue
        texts = MATCHED.get(mapping.origin.list)
        path = f"mappings[{index}].match"
        if texts is None:
            yield f"{path}.list", f"there is no list '{shown(mapping.origin.list)}'"
        elif mapping.origin.member not in texts:
            yield f"{path}.member", f"there is no text '{shown(mapping.origin.member)}' in {mapping.origin.list}"


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
        _inner("requiredCharacteristics", words="none: an item that is not known is kept"),
    ),
    document="document",
    finish=check_profile,
    versioned=True,
)
