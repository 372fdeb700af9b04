"""Untrusted text, made safe to print and to store."""

from __future__ import annotations

import unicodedata

_KEPT = {"\n", "\t"}


def printable(text: str) -> str:
    """`text` with every control, format and surrogate character shown as an escape, line breaks and tabs kept.

    Terminal escapes, bidirectional overrides and the like never reach a terminal this way.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in _KEPT or unicodedata.category(c)[0] != "C" else _escape(c) for c in text)


def one_line(text: str, width: int = 80) -> str:
    """`printable` text on one line, cut at `width` characters with an ellipsis."""
    line = " ".join(printable(text[: width * 8]).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def storable(text: str) -> str:
    """`text` as both databases take it: NUL and lone surrogates, which PostgreSQL refuses, shown as escapes."""
    if text.isascii() and "\0" not in text:
        return text
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(_escape(c) if "\ud800" <= c <= "\udfff" else c for c in text)
    return text


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
