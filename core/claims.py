"""Which positions of a run have been used, in this process.

A position is the key of one effect. Two effects at one position would answer each other's calls on resume, so the
second is an error, unless a node that failed runs again: then its positions are used anew.
"""

from __future__ import annotations

from .errors import ConfigError


class Claims:
    """Positions used so far, and counters for those that are numbered."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.covered: set[str] = set()
        """Positions under which everything counts as used: a search or verdict answered whole from the record."""
        self._numbers: dict[str, int] = {}
        self._open: set[str] = set()

    def keyed(self, position: str) -> str:
        """Use a position that the caller named.

        Raises:
            ConfigError: it was used before.
        """
        if position in self.used:
            raise ConfigError(f"two effects have the position {position}", hint="give each a key of its own")
        self.used.add(position)
        return position

    def numbered(self, stem: str) -> str:
        """Use the next of the positions `stem`0, `stem`1, ..."""
        n = self._numbers.get(stem, 0)
        self._numbers[stem] = n + 1
        return self.keyed(f"{stem}{n}")

    def by_content(self, stem: str) -> str:
        """Use the position of a request that only its content tells apart; repeated in turn it is numbered.

        Raises:
            ConfigError: the same request is still running, so that their results could change places on resume.
        """
        if stem in self._open:
            raise ConfigError(f"identical requests run at the same time at {stem}", hint="give each call a key: key='first'")
        self._open.add(stem)
        n = self._numbers.get(stem, 0)
        self._numbers[stem] = n + 1
        return self.keyed(stem if n == 0 else f"{stem}.{n}")

    def ended(self, stem: str) -> None:
        """The request that `by_content` let in is over."""
        self._open.discard(stem)

    def cover(self, position: str) -> None:
        """Count everything at or below a position as used."""
        self.covered.add(position)

    def has(self, position: str) -> bool:
        """Whether a position was used, or lies below one that is covered."""
        above = position
        while above:
            if above in self.covered:
                return True
            above = above.rpartition("/")[0]
        return position in self.used

    def forget(self, prefix: str) -> None:
        """Free all positions below `prefix`: the node that used them runs again."""
        below = prefix + "/"
        self.used = {p for p in self.used if not p.startswith(below)}
        self.covered = {p for p in self.covered if not p.startswith(below)}
        self._open = {p for p in self._open if not p.startswith(below)}
        self._numbers = {p: n for p, n in self._numbers.items() if not p.startswith(below)}


class Claimed:
    """Holds the position of one call while it runs, to be used with `with`: below `here` by its key, else by its content."""

    def __init__(self, claims: Claims, here: str, kind: str, digest: str, key: str | None) -> None:
        self._claims = claims
        self._stem = None if key else f"{here}/{kind}:{digest[:12]}"
        self._position = claims.by_content(self._stem) if self._stem else claims.keyed(f"{here}/{key}")

    def __enter__(self) -> str:
        return self._position

    def __exit__(self, *_: object) -> None:
        if self._stem:
            self._claims.ended(self._stem)
