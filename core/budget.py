"""Limits of a run, and the ledger that keeps to them.

An amount is reserved before a call and settled after it, so that calls in parallel cannot overshoot. A reservation
that does not fit now, but may once calls in flight have settled, waits; one that cannot fit any more is refused.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from .errors import BudgetExhausted, ConfigError
from .ids import Json
from .stop import Stop

T = TypeVar("T")

_DUST = 1e-9


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of one run, shared by all that spends in it. None is no limit."""

    calls: int | None = None
    """Model calls."""
    tokens: int | None = None
    """Prompt and generated tokens together."""
    output_tokens: int | None = None
    """Generated tokens, reasoning included."""
    verifier_calls: int | None = None
    """Verdicts asked for."""
    seconds: float | None = None
    """Seconds that the run is active; waiting to be resumed does not count."""
    usd: float | None = None
    """US dollars."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(
                    f"the budget's {f.name} is {value}", hint="nothing could start; give a number above 0, or leave it out"
                )

    @staticmethod
    def of(value: Budget | str | Mapping[str, Any] | None) -> Budget:
        """A budget from a mapping or from text such as `calls=16,seconds=30`.

        Raises:
            ConfigError: an unknown limit or a value that is no positive number.
        """
        if value is None or isinstance(value, Budget):
            return value or Budget()
        if isinstance(value, str):
            pairs = [p.partition("=") for p in value.split(",") if p.strip()]
            value = {name.strip(): number.strip() for name, _, number in pairs}
        kinds = {f.name: float if f.name in ("seconds", "usd") else int for f in fields(Budget)}
        out: dict[str, float] = {}
        for name, number in value.items():
            if name not in kinds:
                raise ConfigError(f"unknown limit {name!r}", hint=f"one of: {', '.join(kinds)}")
            try:
                out[name] = kinds[name](number)
                if out[name] != float(number):
                    raise ValueError(number)  # 1.5 calls are not 1.
            except (TypeError, ValueError, OverflowError):
                raise ConfigError(f"the budget's {name} is {number!r}", hint=f"give a number, as in {name}=100") from None
        return Budget(**out)  # pyright: ignore[reportArgumentType]

    def to_json(self) -> dict[str, Json]:
        """The limits that are set."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}

    def __bool__(self) -> bool:
        return bool(self.to_json())


@dataclass(frozen=True, kw_only=True)
class Spend:
    """An amount of everything that a budget limits but time."""

    calls: int = 0
    tokens: int = 0
    output_tokens: int = 0
    verifier_calls: int = 0
    usd: float = 0.0

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            calls=self.calls + other.calls,
            tokens=self.tokens + other.tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            verifier_calls=self.verifier_calls + other.verifier_calls,
            usd=self.usd + other.usd,
        )

    def __sub__(self, other: Spend) -> Spend:
        return Spend(
            calls=self.calls - other.calls,
            tokens=self.tokens - other.tokens,
            output_tokens=self.output_tokens - other.output_tokens,
            verifier_calls=self.verifier_calls - other.verifier_calls,
            usd=self.usd - other.usd,
        )


class Ledger:
    """What a run has spent and reserved, within one event loop."""

    def __init__(
        self, budget: Budget, *, spent: Spend | None = None, elapsed: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.budget = budget
        self.spent = spent or Spend()
        """Settled so far; starts with what the record of an earlier attempt says."""
        self.reserved = Spend()
        """Held by calls in flight."""
        self._clock = clock
        self._began = clock() - elapsed
        self._limits = budget.to_json()
        self.limited = bool(self._limits)
        """Whether there is any limit; without one nothing is counted."""
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def elapsed(self) -> float:
        """Seconds that the run has been active."""
        return self._clock() - self._began

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline, at least 0; None without one."""
        return None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.elapsed)

    async def reserve(self, want: Spend, stop: Stop | None = None) -> None:
        """Hold `want` until it is settled; wait while calls in flight may still make room.

        Raises:
            BudgetExhausted: it does not fit and nothing in flight could make room.
            Cancelled: `stop` was requested while waiting.
        """
        if not self.limited:
            return
        while limit := self._exceeded(want):
            # Only who holds some of it can make room: a verifier that waits for its own call would wait for ever.
            # Sums of dollars taken apart again leave dust, which is no reservation.
            if limit == "seconds" or getattr(self.reserved, limit) <= _DUST:
                raise self._spent(limit)
            # Registered before anything else can run: a settlement in between would be missed and waited for for ever.
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(settled)
            await (stop.race(_wait_for(settled)) if stop else settled)
        self.reserved += want

    async def settle(self, held: Spend, actual: Spend) -> None:
        """Replace a reservation by what was really spent."""
        if not self.limited:
            return
        self.reserved -= held
        self.spent += actual
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def in_time(self, work: Awaitable[T]) -> T:
        """Await `work`, or give it up at the deadline.

        Raises:
            BudgetExhausted: the deadline came first; `work` has been cancelled.
        """
        if self.seconds_left is None:
            return await work
        deadline = asyncio.timeout(self.seconds_left)
        try:
            async with deadline:
                return await work
        except TimeoutError:
            if deadline.expired():
                raise self._spent("seconds") from None
            raise

    def _spent(self, limit: str) -> BudgetExhausted:
        return BudgetExhausted(
            f"the budget of {self._limits[limit]} {limit} is spent", limit=limit, hint=f"raise it with --budget {limit}=N"
        )

    def _exceeded(self, want: Spend) -> str | None:
        if self.seconds_left == 0:
            return "seconds"
        total = self.spent + self.reserved + want
        for name in ("calls", "tokens", "output_tokens", "verifier_calls", "usd"):
            limit = self._limits.get(name)
            if limit is not None and getattr(want, name) and getattr(total, name) > limit:
                return name
        return None


async def _wait_for(future: asyncio.Future[None]) -> None:
    await future
