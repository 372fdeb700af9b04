"""Frames of JSON over file descriptors: how the processes of a run talk."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any


# None of these is an Exception: a test that expects one from the code must not take them for it.
class Closed(BaseException):
    """The other side has gone."""


class TooLong(BaseException):
    """A frame is longer than is read."""


class Late(BaseException):
    """The deadline has passed."""


def write(fd: int, message: object) -> None:
    """Write one frame.

    Raises:
        Closed: nobody reads any more.
    """
    data = json.dumps(message).encode()
    view = memoryview(struct.pack("!I", len(data)) + data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        raise Closed from None


def read(fd: int, *, most: int, deadline: float | None = None) -> Any:
    """Read one frame, at most `most` bytes, until `deadline` on the monotonic clock.

    Raises:
        Closed: there is none.
        TooLong: it is longer.
        Late: it did not come in time.
        ValueError, RecursionError: it is no JSON that can be read.
    """
    (size,) = struct.unpack("!I", _exactly(fd, 4, deadline))
    if size > most:
        raise TooLong
    return json.loads(_exactly(fd, size, deadline))


def _exactly(fd: int, count: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < count:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise Late
        piece = os.read(fd, min(count - len(data), 1 << 20))
        if not piece:
            raise Closed
        data += piece
    return bytes(data)
