"""How actions with a name and an argument are written: `search[red shoes]`."""

from __future__ import annotations

import re

_CALL = re.compile(r"(\w+)\[(.*)\]", re.DOTALL)


def read_call(action: str) -> tuple[str, str] | None:
    """Name, in lower case, and argument of an action; None if it is not written like that, as a whole."""
    found = _CALL.fullmatch(action.strip())
    return (found[1].lower(), found[2].strip()) if found else None
