"""What went wrong at a server, as burnish's own errors: which call may be sent again, and which mends need a person.

A failure that says "later" (too busy, broken inside, cut off, silent) is retryable and carries the wait that the server asks
for. A wrong key, an unknown model, a spent quota end the run instead of failing all of its candidates one by one: once
it is mended the run can be resumed. Whatever a server says is untrusted text, in which the key never appears.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, cast

from ..core.errors import BurnishError, EngineUnavailable, GenerationFailed
from ..core.text import one_line

_CONTEXT = re.compile(r"context.?(length|window|size)|max_model_len|prompt is too long|too many (input )?tokens", re.IGNORECASE)
_LATER = (408, 409, 425, 429)


def refusal(status: int, body: object, headers: Mapping[str, str], *, secret: str = "") -> BurnishError:
    """The error that an answer with a status of 300 or more means. `secret` is taken out of what the server says."""
    said, kind = _said(body)
    said = one_line(said.replace(secret, "***") if secret else said, 300) or "no reason given"
    if status in (401, 403):
        hint = "name the environment variable that holds the key: api_key_env=NAME"
        return EngineUnavailable(f"the server refuses the key ({status}): {said}", hint=hint, code="unauthorized")
    if status == 404:
        hint = "check base_url and model"
        return EngineUnavailable(f"the server does not know the model or the path: {said}", hint=hint, code="not_found")
    if status == 402 or kind == "insufficient_quota":
        hint = "add credit, then resume the run"
        return EngineUnavailable(f"the quota at the server is spent: {said}", hint=hint, code="quota")
    if status in _LATER or status >= 500:
        code = "rate_limited" if status == 429 else "server_error"
        message = f"the server answered {status}: {said}"
        return GenerationFailed(message, code=code, retryable=True, retry_after=retry_after(headers))
    if status in (400, 413, 422) and _CONTEXT.search(f"{kind} {said}"):
        hint = "shorten the prompt, or serve the model with a larger context"
        return GenerationFailed(f"the prompt does not fit: {said}", code="context_length", hint=hint)
    return GenerationFailed(f"the server refuses the call ({status}): {said}", code="bad_request", hint="change the call")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the headers ask to wait, given as a number or as a date; None if they do not say."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{0,6})?", value):
            return float(value) * scale
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def bad_response(why: str) -> GenerationFailed:
    """The server answered, but not what the protocol says."""
    return GenerationFailed(f"the server's answer cannot be used: {one_line(why, 200)}", code="bad_response", retryable=True)


def interrupted(why: str) -> GenerationFailed:
    """The answer broke off."""
    return GenerationFailed(f"the server's answer broke off: {one_line(why, 200)}", code="connection", retryable=True)


def silent(seconds: float) -> GenerationFailed:
    """Nothing came for too long."""
    hint = "raise the engine's timeout, if the server is only slow"
    return GenerationFailed(f"the server was silent for {seconds:g} s", code="timeout", hint=hint, retryable=True)


class Unreachable(GenerationFailed):
    """No connection could be made; nothing was sent."""

    def __init__(self, where: str, why: str) -> None:
        message = f"no server answers at {where}: {one_line(why, 200)}"
        super().__init__(message, code="unreachable", hint="is it running?", retryable=True)


def _said(body: object) -> tuple[str, str]:
    """The message of an error body, and its kind, in the forms that servers give them."""
    if not isinstance(body, Mapping):
        return str(body or ""), ""
    outer = cast("Mapping[str, Any]", body)
    error: Any = outer.get("error", outer)
    if not isinstance(error, Mapping):
        return str(error), ""
    inner = cast("Mapping[str, Any]", error)
    message = inner.get("message") or inner.get("detail") or ""
    return str(message), str(inner.get("code") or inner.get("type") or "")
