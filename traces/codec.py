"""How texts and token-level details become bytes.

A blob's key is the BLAKE2b hash of its bytes, so that it can be checked. Texts are UTF-8 with lone surrogates passed
through: what is read back is what was written, to the character. Token ids and log-probabilities are packed as
fixed-width numbers; a log-probability takes four bytes if that loses nothing, else eight.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import ByteString, Sequence
from typing import Any

import zstandard

from ..core.errors import StoreError
from ..core.ids import as_json

COMPRESS_ABOVE = 256
"""Bytes from which on a blob is compressed."""

LogprobDict = dict[int, float]


def blob_key(data: bytes) -> str:
    """Content hash of a blob; for a text's bytes the same as `core.ids.text_hash`."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def text_bytes(text: str) -> bytes:
    """A text as it is stored."""
    return text.encode("utf-8", "surrogatepass")


class Compressor:
    """Packs blobs; for use by one thread."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=1)

    def pack(self, blobs: Sequence[bytes]) -> list[tuple[str, int, bytes]]:
        """For each blob the codec's name, its size and the bytes to store."""
        long: list[ByteString] = [data for data in blobs if len(data) > COMPRESS_ABOVE]
        # All in one call: each call gives up Python's global lock, which a busy event loop makes dear to take back.
        compressed = iter(self._zstd.multi_compress_to_buffer(long, threads=1) if long else ())
        packed: list[tuple[str, int, bytes]] = []
        for data in blobs:
            small = next(compressed).tobytes() if len(data) > COMPRESS_ABOVE else data
            packed.append(("zstd", len(data), small) if len(small) < len(data) else ("raw", len(data), data))
        return packed


def unpack(codec: str, data: bytes, size: int) -> bytes:
    """The bytes that were stored.

    Raises:
        StoreError: they are damaged.
    """
    if codec == "raw":
        return data
    try:
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    except zstandard.ZstdError as e:
        raise StoreError(f"a stored text is damaged: {e}", hint="restore the database from a backup", code="corrupt") from None


def json_text(value: object) -> str:
    """`value` as JSON in its own key order, so that it reads back in that order; NaN and infinities become null."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        return json.dumps(as_json(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def pack_ids(ids: Sequence[int]) -> bytes:
    """Token ids, four bytes each."""
    return struct.pack(f"<{len(ids)}I", *ids)


def unpack_ids(data: bytes) -> tuple[int, ...]:
    """What `pack_ids` packed."""
    return struct.unpack(f"<{len(data) // 4}I", data)


def pack_logprobs(logprobs: Sequence[float] | None, top: Sequence[LogprobDict] | None) -> bytes:
    """Log-probabilities of the sampled tokens, of the likeliest, or both."""
    return _pack_floats(logprobs) + _pack_top(top)


def unpack_logprobs(data: bytes) -> tuple[tuple[float, ...] | None, tuple[LogprobDict, ...] | None]:
    """What `pack_logprobs` packed."""
    logprobs, at = _unpack_floats(data, 0)
    if data[at : at + 1] == b"-":
        return logprobs, None
    (positions,) = struct.unpack_from("<I", data, at + 1)
    counts: tuple[int, ...] = struct.unpack_from(f"<{positions}I", data, at + 5)
    at += 5 + 4 * positions
    ids: tuple[int, ...] = struct.unpack_from(f"<{sum(counts)}I", data, at)
    values, _ = _unpack_floats(data, at + 4 * sum(counts))
    pairs = zip(ids, values or (), strict=True)
    return logprobs, tuple({i: v for i, v in (next(pairs) for _ in range(n))} for n in counts)


def _pack_top(top: Sequence[LogprobDict] | None) -> bytes:
    if top is None:
        return b"-"
    counts, ids = [len(t) for t in top], [i for t in top for i in t]
    head = struct.pack(f"<{1 + len(counts)}I", len(counts), *counts)
    return b"t" + head + pack_ids(ids) + _pack_floats([v for t in top for v in t.values()])


def _pack_floats(values: Sequence[float] | None) -> bytes:
    if values is None:
        return b"-"
    code = "f" if _fit_single(values) else "d"
    return code.encode() + struct.pack(f"<I{len(values)}{code}", len(values), *values)


def _unpack_floats(data: bytes, at: int) -> tuple[tuple[float, ...] | None, int]:
    code = data[at : at + 1].decode()
    if code == "-":
        return None, at + 1
    (n,) = struct.unpack_from("<I", data, at + 1)
    values: tuple[Any, ...] = struct.unpack_from(f"<{n}{code}", data, at + 5)
    return values, at + 5 + n * (4 if code == "f" else 8)


def _fit_single(values: Sequence[float]) -> bool:
    try:
        return struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values)) == tuple(values)
    except OverflowError:
        return False
