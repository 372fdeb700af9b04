"""Every error that burnish raises on purpose, in one tree.

BurnishError
├── ConfigError            what the user asked for cannot be done as asked
├── EngineUnavailable      no engine, a dead engine, or one that lacks what the run needs
├── StoreError             the database refuses: locked, full, newer than the code, damaged
│   └── Fenced             another process took the run over; this one may not write to it
├── BudgetExhausted        a limit of the run's budget is reached
├── Cancelled              somebody stopped the run or this call
├── Waiting                the run goes on once a person has answered
├── GenerationFailed       one model call failed; its siblings go on
├── VerifierFailed         one verifier call failed; becomes an abstention
├── RetrievalFailed        one retrieval failed
└── ReplayMismatch         on resume, code asked for something else than what is recorded

The first three are the user's to mend. `BudgetExhausted`, `Cancelled` and `Waiting` are events of a run. The rest
crossed a boundary. `code` is stable and machine-readable, `hint` is the mend in one line, `retryable` says
whether the same call may succeed later without anybody changing anything.
"""

from __future__ import annotations

from typing import ClassVar


class BurnishError(Exception):
    """Base of all errors raised on purpose."""

    default_code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    """Exit status of a command line that ends with this error."""

    def __init__(self, message: str, *, hint: str = "", code: str | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(BurnishError):
    """The request itself is wrong: an unknown name, a malformed file, a value out of range."""

    default_code = "config"
    exit_code = 2


class EngineUnavailable(BurnishError):
    """There is no engine to call, or it cannot do what the run needs."""

    default_code = "engine_unavailable"
    exit_code = 5


class StoreError(BurnishError):
    """The database cannot be read or written."""

    default_code = "store"
    exit_code = 6


class Fenced(StoreError):
    """The run's lease belongs to another process; nothing more of this one is written."""

    default_code = "fenced"
    exit_code = 7


class BudgetExhausted(BurnishError):
    """A limit is reached. `limit` names it, as a field of `Budget`."""

    default_code = "budget"
    exit_code = 4

    def __init__(self, message: str, *, limit: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.limit = limit


class Cancelled(BurnishError):
    """The run, or one call of it, was stopped from outside."""

    default_code = "cancelled"
    exit_code = 130


class Waiting(BurnishError):
    """The run asked a person and has no reply yet. It is stored as `waiting`, in no process."""

    default_code = "waiting"
    exit_code = 8


class GenerationFailed(BurnishError):
    """One model call failed. The candidate is lost, its siblings are not."""

    default_code = "generation"

    def __init__(
        self, message: str, *, hint: str = "", code: str | None = None, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, code=code, retryable=retryable)
        self.retry_after = retry_after
        """Seconds that the server asks to wait before the next attempt; None if it does not say."""


class VerifierFailed(BurnishError):
    """A verifier could not judge. It becomes an abstention with this error's code as its reason."""

    default_code = "verifier"


class RetrievalFailed(BurnishError):
    """A retriever could not answer."""

    default_code = "retrieval"


class ReplayMismatch(BurnishError):
    """The code asks for a call that differs from the recorded one at the same position."""

    default_code = "replay_mismatch"
    exit_code = 6

    def __init__(self, message: str, *, position: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.position = position
