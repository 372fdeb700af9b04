"""Reading the answer out of a candidate, and the reference out of a task, into comparable form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ..core.errors import ConfigError
from ..core.extract import answer_key, extractor, number_key, words
from ..core.ids import Json, canonical_json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict


def of_json_worker(found: Any) -> Verdict:
    """The verdict on a text's JSON, by what a worker found: whether it was read, the errors, how much of it is right."""
    errors = [one_line(error, 300) for error in found["errors"]]
    if not errors:
        return Verdict.passed()
    reason, evidence = "schema" if found["parsed"] else "not_json", {"errors": errors}
    return Verdict.failed("; ".join(errors), reason=reason, evidence=evidence, valid_prefix=found["valid_prefix"])


def candidate_key(task: Task, extract: str, text: str, *, truncated: bool) -> str | None:
    """Key of the answer in `text`: by the named extractor, else by the task's, else by `words`."""
    return answer_key(extractor(extract or task.extract or "words"), text, truncated=truncated)


def reference_keys(task: Task, extract: str) -> frozenset[str]:
    """Keys of the right answers; a list holds alternatives, unless answers are JSON values."""
    name = extract or task.extract or "words"
    reference = task.reference
    several = isinstance(reference, list | tuple) and name != "json_value"
    keys = (_key(one, name) for one in (cast("Sequence[Json]", reference) if several else [reference]))
    return frozenset(key for key in keys if key is not None)


def _key(reference: Json, name: str) -> str | None:
    text = reference if isinstance(reference, str) else canonical_json(reference)
    return extractor(name)(text) or number_key(text) or words(text)


def need_reference(task: Task, who: str) -> None:
    """Refuse a task without a reference answer.

    Raises:
        ConfigError: it has none.
    """
    if task.reference is None:
        raise ConfigError(
            f"the verifier {who} compares with a reference, and task {task.id} has none",
            hint='add "reference" to the task, or choose a verifier that needs none',
        )


def no_reference() -> Verdict:
    """The abstention of an oracle on a task without a reference."""
    return Verdict.abstain("no_reference", "the task has no reference to compare with")
