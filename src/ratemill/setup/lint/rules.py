"""The rules of the lint: each looks at the stored set-up of one rate plan and yields what is likely a mistake.

Nothing here is refused at set-up for it may be meant; what set-up refuses is looked for all the same, for rows may come
from elsewhere. Rules of steps and period counters come with them: rates have none yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ratemill.setup.lint.money import currency_without_group, digits_near_limit, places_lost
from ratemill.setup.lint.places import broad_over_exact, location_never_reached, pattern_shadowed
from ratemill.setup.lint.plan import Finding, PlanSetup
from ratemill.setup.lint.times import group_gap, groups_overlap, rate_gap, rates_expired, rates_overlap, rates_tie

RULES: tuple[Callable[[PlanSetup], Iterator[Finding]], ...] = (
    rates_overlap,
    rates_tie,
    currency_without_group,
    group_gap,
    rate_gap,
    rates_expired,
    location_never_reached,
    broad_over_exact,
    places_lost,
    groups_overlap,
    pattern_shadowed,
    digits_near_limit,
)
