"""Time periods: windows of days, hours and dates by the wall clock of one zone."""

from __future__ import annotations

from ratemill.setup.declaration import Member, MemberKind, SetupObject, name_member
from ratemill.setup.objects.accounts import check_zone
from ratemill.setup.rules.windows import check_windows

OBJECT = SetupObject(
    list_name="timePeriods",
    path="TimePeriod/",
    dto_type_key="timePeriod",
    noun="time period",
    table="time_periods",
    identity="time_period_id",
    members=(
        name_member(),
        Member("timeZone", "time_zone", default="UTC", check=check_zone),
        Member("windows", "windows", MemberKind.STRUCTURE, required=True, inner=True),
    ),
    document="document",
    finish=check_windows,
)
