"""Reading what a GGUF file says of itself, without its weights and without the libraries that convert it.

A file that cannot become a model is refused here in a second, not after minutes of conversion. The file is untrusted: every
length is checked against the file's size before it is used.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError
from ..core.text import one_line

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32

_STRING, _ARRAY = 8, 9
_FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_DEEPEST, _MOST_DIMENSIONS = 4, 8


@dataclass(frozen=True)
class Tensor:
    """One tensor of the file."""

    name: str
    shape: tuple[int, ...]
    """The dimension that moves fastest first."""
    type: int
    """GGML's number of the format."""
    start: int
    """Where its data begins in the file."""


@dataclass(frozen=True, kw_only=True)
class GgufFile:
    """The head of a file."""

    path: Path
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    """Its metadata; of arrays only those that were asked for, else their lengths."""
    tensors: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    @property
    def architecture(self) -> str:
        """What llama.cpp calls the kind of model."""
        return str(self.fields.get("general.architecture", ""))

    @property
    def parameters(self) -> int:
        """How many numbers its tensors hold."""
        return sum(prod(tensor.shape) for tensor in self.tensors.values())

    def floats(self, name: str) -> list[float]:
        """The values of a tensor in single precision; empty if there is none of that name and format."""
        tensor = self.tensors.get(name)
        if tensor is None or tensor.type != 0:
            return []
        with self.path.open("rb") as stream:
            stream.seek(tensor.start)
            count = prod(tensor.shape)
            return list(struct.unpack(f"<{count}f", stream.read(4 * count)))


def read_gguf(path: Path, arrays: Container[str] = ()) -> GgufFile:
    """Read a file's head, keeping the arrays of these names.

    Raises:
        ConfigError: there is no such file, it is no GGUF file of a known version, or a part of it is missing.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", hint="for a folder that transformers reads: --path; else name the file in it")
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            if stream.read(len(MAGIC)) != MAGIC:
                raise ConfigError(f"{path} is no GGUF file", hint="such a file begins with the letters GGUF")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found = _Reader(data, size, arrays).file(path)
    except OSError as e:
        raise ConfigError(f"{path} cannot be read: {e.strerror or e}", hint="check the path") from None
    except (struct.error, EOFError):
        raise _truncated(path) from None
    except (UnicodeDecodeError, ValueError) as e:
        raise ConfigError(f"{path} is damaged: {one_line(str(e), 200)}", hint="download it again") from None
    _check_ends(found, size)
    return found


def _check_ends(file: GgufFile, size: int) -> None:
    sizes = import_module("gguf.constants").GGML_QUANT_SIZES
    for tensor in file.tensors.values():
        try:
            elements, width = sizes[tensor.type]
        except KeyError:
            hint = "pip install --upgrade gguf, or another quantisation of the model"
            raise ConfigError(f"{tensor.name} in {file.path} has the unknown format {tensor.type}", hint=hint) from None
        if tensor.start + prod(tensor.shape) // elements * width > size:
            raise _truncated(file.path)


def _truncated(path: Path) -> ConfigError:
    return ConfigError(f"{path} is cut off: a part of the file is missing", hint="download it again")


class _Reader:
    def __init__(self, data: mmap.mmap, size: int, arrays: Container[str]) -> None:
        self._data, self._size, self._arrays, self._at = data, size, arrays, 4

    def file(self, path: Path) -> GgufFile:
        version = self._number("<I")
        if version not in VERSIONS:
            raise ConfigError(f"{path} is GGUF version {version}", hint=f"versions {VERSIONS[0]} and {VERSIONS[1]} can be read")
        tensors, count = self._number("<Q"), self._number("<Q")
        fields: dict[str, Any] = {}
        for _ in range(count):
            key = self._text()
            fields[key] = self._value(self._number("<I"), keep=key in self._arrays)
        infos = [self._tensor() for _ in range(tensors)]
        alignment = fields.get("general.alignment", ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"an alignment of {alignment!r}")
        start = -(-self._at // alignment) * alignment
        return GgufFile(
            path=path, fields=fields, tensors={t.name: Tensor(t.name, t.shape, t.type, start + t.start) for t in infos}
        )

    def _tensor(self) -> Tensor:
        name, dimensions = self._text(), self._number("<I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(f"a tensor of {dimensions} dimensions")
        shape = tuple(self._number("<Q") for _ in range(dimensions))
        return Tensor(name, shape, self._number("<I"), self._number("<Q"))

    def _value(self, kind: int, *, keep: bool, depth: int = 0) -> Any:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array(keep, depth)
        if kind not in _FORMATS:
            raise ValueError(f"a value of the unknown type {kind}")
        return self._number(_FORMATS[kind])

    def _array(self, keep: bool, depth: int) -> Any:
        kind, count = self._number("<I"), self._number("<Q")
        if depth > _DEEPEST:
            raise ValueError("arrays within arrays")
        if keep:
            return list(self._items(kind, count, depth))
        if kind in _FORMATS:
            self._skip(count * struct.calcsize(_FORMATS[kind]))
        else:
            for _ in range(count):
                if kind == _STRING:
                    self._skip(self._number("<Q"))
                else:
                    self._value(kind, keep=False, depth=depth + 1)
        return count

    def _items(self, kind: int, count: int, depth: int) -> Iterator[Any]:
        for _ in range(count):
            yield self._value(kind, keep=True, depth=depth + 1)

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _text(self) -> str:
        start, length = self._at + 8, self._number("<Q")
        self._skip(length)
        return self._data[start : start + length].decode()

    def _skip(self, count: int) -> None:
        if count > self._size - self._at:
            raise EOFError
        self._at += count
