"""What a process keeps of the set-up, by number and version: a process of the product has one database, a test run many."""

from ratemill.intake import holders
from ratemill.setup.in_force import book, price_books


def forget_set_up() -> None:
    """Forget the set-up of the database before."""
    for kept in (price_books._books, book._profiles, holders._known):
        kept.clear()
