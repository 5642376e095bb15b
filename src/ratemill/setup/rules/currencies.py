"""What makes a text a currency."""

from __future__ import annotations

from ratemill.reference.currencies import CODES
from ratemill.visible import shown


def check_currency(code: str) -> str | None:
    """Say what is wrong with a currency code, if anything is."""
    return None if code in CODES else f"'{shown(code)}' is not a currency code of ISO 4217"
