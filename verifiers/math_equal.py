r"""Equality of a mathematical answer with the reference: by value, however it is written.

The answer is read strictly: what stands in the last `\boxed{...}`, unless another extractor is named. Reading and comparing
mathematics can take for ever (`9^{9^{9^9}}`), so `math_equal_worker` does both in a process that can be killed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.extract import extractor, last_boxed, number_key
from ..core.ids import Json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from .answers import need_reference, no_reference
from .worker import shared_pool

if TYPE_CHECKING:
    from ..core.context import Context

_LONGEST = 1000
_WORKER = f"{__package__}.math_equal_worker:compare"
_ABSTAINS = {
    "unparsable": "the answer cannot be read as mathematics",
    "reference_error": "the reference cannot be read as mathematics",
    "undecided": "whether the answer equals the reference could not be decided",
}


@dataclass(frozen=True, kw_only=True)
class MathEqual:
    r"""Passes an answer that equals the reference as mathematics: `0.5` is `\frac{1}{2}`, `x+1` is `1+x`.

    A reference that is a list holds alternatives. An answer that cannot be read, or not be decided, is an abstention.
    """

    name: ClassVar[str] = "math_equal"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = True

    extract: str = ""
    """Name of the extractor that reads the answer; empty for the task's own, else `boxed`. Others than `boxed`,
    `exact_text` and the one for numbers fold letters to lower case."""
    decimals: int = 6
    """Decimal places to which a decimal fraction must agree, so that 0.333333 equals 1/3."""
    timeout: float = 5.0
    """Seconds that one comparison may take."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if self.extract:
            extractor(self.extract)
        if not 0 < self.timeout < 3600:
            raise ConfigError(f"math_equal: timeout is {self.timeout}", hint="seconds, above 0")
        if not 0 <= self.decimals <= 15:
            raise ConfigError(f"math_equal: decimals is {self.decimals}", hint="0 to 15")

    def check(self, task: Task) -> None:
        """Refuse a task whose reference is missing or no text or number."""
        need_reference(task, self.name)
        if not _texts(task.reference):
            raise ConfigError(f"the reference of task {task.id} is no mathematics", hint='"reference": "\\\\frac{1}{2}"')
        _need_library()

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        references = _texts(task.reference)
        if not references:
            return no_reference()
        name = self.extract or task.extract or "boxed"
        answer = _answer(name, candidate.text, truncated=candidate.truncated)
        if not answer:
            where = " in \\boxed{}" if name == "boxed" else ""
            return Verdict.failed(f"no answer could be read from the text: give one{where}", reason="no_answer")
        evidence = {"answer": one_line(answer, 500)}
        if _written(answer) in map(_written, references):
            return Verdict.passed(evidence=evidence)
        if len(answer) > _LONGEST:
            return Verdict.abstain("unparsable", "the answer is too long to be read as mathematics", evidence=evidence)
        _need_library()
        args: list[Json] = [answer, references, self.decimals]
        said = str(await shared_pool().call(_WORKER, args, seconds=self.timeout, memory_mb=1024))
        if said in _ABSTAINS:
            return Verdict.abstain(said, _ABSTAINS[said], evidence=evidence)
        if said == "equal":
            return Verdict.passed(evidence=evidence)
        return Verdict.failed("the answer is not right", reason="mismatch", evidence=evidence)


def _answer(name: str, text: str, *, truncated: bool) -> str | None:
    """The answer as written; of a text that was cut, only if more text would not change it."""
    extract = last_boxed if name == "boxed" else extractor(name)
    answer = extract(text)
    return None if truncated and extract(text + "7x") != answer else answer


def _written(text: str) -> str:
    return number_key(text) or "".join(text.split())


def _texts(reference: Json) -> list[str]:
    """The right answers as texts; none if one is no text or number."""
    several = cast("Sequence[Json]", reference) if isinstance(reference, list | tuple) else [reference]
    texts = [str(one) for one in several if isinstance(one, str | int | float) and not isinstance(one, bool)]
    return texts if len(texts) == len(several) else []


def _need_library() -> None:
    if importlib.util.find_spec("math_verify") is None:
        raise ConfigError("math_equal needs the library math-verify", hint="pip install 'burnish[math]'")
