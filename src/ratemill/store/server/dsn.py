"""DSNs: whether one is valid, where it leads, and messages about it that never show its password.

A parser's message may quote the password: one with an unescaped ``@``, ``/`` or ``:`` ends up in another part. So what is
wrong with a DSN is said here, without its values.
"""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ratemill.errors import UsageFault

SETTING = "RATEMILL_DATABASE_URL"
USED_WRONGLY = 2  # the exit code
PASSWORDS = ("password", "sslpassword")


def check(dsn: str) -> None:
    """Raise ``UsageFault`` if a DSN is not valid."""
    try:
        parts = conninfo_to_dict(dsn)
    except (psycopg.ProgrammingError, UnicodeError):
        parts = {}
    ports = [port for port in str(parts.get("port") or "").split(",") if port]
    places = [str(parts.get(name) or "") for name in ("host", "hostaddr", "dbname", "user")]
    if not parts or any("@" in place for place in places[:3]) or not all(_is_port(port) for port in ports):
        raise UsageFault(
            f"{SETTING} is not a valid DSN. Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE and percent-encode "
            "characters such as @, / and : in the password (its value is not shown here).",
            exit_code=USED_WRONGLY,
        )


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= 65_535  # noqa: PLR2004 -- the largest port


def place(dsn: str) -> str:
    """Return where a valid DSN leads, as host:port/database; libpq's defaults where it gives none."""
    parts = conninfo_to_dict(dsn)
    host = parts.get("host") or parts.get("hostaddr") or "the default host"
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or 'the default database'}"


def without_passwords(text: str, dsn: str) -> str:
    """Return a message of the driver without the passwords of a DSN."""
    parts = conninfo_to_dict(dsn)
    for secret in [str(parts[name]) for name in PASSWORDS if parts.get(name)]:
        text = text.replace(secret, "***")
    return text
