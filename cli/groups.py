"""Command groups named by a noun: the bare noun lists, or shows where there is only one thing."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class ListByDefault(TyperGroup):
    """A group whose command `list` may be left out, with or without its options."""

    default = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # While a word is completed, the words so far are not yet a whole command line.
        if not ctx.resilient_parsing and (not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


class ShowByDefault(ListByDefault):
    """A group whose command `show` may be left out."""

    default = "show"


class StatsByDefault(ListByDefault):
    """A group whose command `stats` may be left out."""

    default = "stats"
