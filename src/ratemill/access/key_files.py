"""Files of private keys: who can read them besides their owner."""

from __future__ import annotations

import stat
from pathlib import Path

from ratemill.visible import shown


def fault_of_key_file(path: str) -> str:
    """Return what is wrong with the permissions of the key file of RATEMILL_TLS_KEY; empty if nothing is.

    Its group may read it: this is how a service that is not root reads keys.
    """
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return f"cannot read the key file '{shown(path)}' of RATEMILL_TLS_KEY: {error.strerror}"
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return f"every account of this machine can access the key file '{shown(path)}' (mode {stat.S_IMODE(mode):04o})"
    return ""
