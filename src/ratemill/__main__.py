"""The entry point: ``ratemill`` and ``python -m ratemill``."""

from __future__ import annotations

from ratemill.cli.app import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
