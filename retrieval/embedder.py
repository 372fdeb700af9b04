"""The embedder protocol: what makes vectors of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from ..core.ids import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedded(NamedTuple):
    """Vectors of texts."""

    vectors: NDArray[np.float32]
    """One row for each text, of length 1."""
    cut: int
    """Texts of which only the beginning was embedded, because they are longer than the model reads."""


@runtime_checkable
class Embedder(Protocol):
    """Makes vectors of texts. Called from threads, never from the event loop."""

    @property
    def name(self) -> str:
        """What it is called or where it is, so that an index can say by whom it was made."""
        ...

    @property
    def identity(self) -> Mapping[str, Json]:
        """What decides on the vectors: weights and settings. An index can only be searched by the embedder that made it."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        ...

    def embed(self, texts: Sequence[str], *, query: bool) -> Embedded:
        """Vectors of texts; a model may treat queries and passages differently.

        Raises:
            RetrievalFailed: the model failed.
        """
        ...
