"""Templates, and the answer that a page is.

Values are escaped, and their control characters shown, by the environment itself: a template can forget neither. A name that
a page did not give is an error, not an empty place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .. import __version__
from ..core.text import one_line
from . import words

if TYPE_CHECKING:
    from ..traces.reader import Reader

HERE = Path(__file__).parent
LARGEST = 2**31 - 1
"""The largest number of a fact."""


@cache
def environment() -> Environment:
    """The templates."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=words.visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (words.short, words.moment, words.duration, words.number, words.count, words.pretty, words.graph_label):
        made.filters[filter_.__name__] = filter_
    made.filters["line"] = one_line
    made.filters["ended"] = words.ended
    shared: dict[str, Any] = {"version": __version__, "address": address}
    cast("dict[str, Any]", made.globals).update(shared)
    return made


def page(request: Request, template: str, *, status: int = 200, live: bool = False, **values: Any) -> Response:
    """A page; with `?part=1` only what changes while runs go on, with `?whole=1` long texts uncut.

    Args:
        request: that asks for it.
        template: name of the file.
        status: of the answer.
        live: whether something on it may change, so that the browser should ask again.
        values: what the template prints.
    """
    part = request.query_params.get("part") == "1"
    layout = "part.html" if part else "base.html"
    path = request.url.path
    shared = {
        "layout": layout,
        "live": live,
        "path": path,
        "here": address(path, {**request.query_params, "part": "1"}) if live else "",
        "most": 10**9 if request.query_params.get("whole") == "1" else words.LONGEST,
    }
    text = environment().get_template(template).render(**shared, **values)
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), status, {"x-live": "1" if live else "0"})


def address(path: str, query: Mapping[str, Any] | None = None, **more: Any) -> str:
    """A path of the viewer with a query, from which empty values are left out."""
    given = {name: value for name, value in {**(query or {}), **more}.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(given, errors='backslashreplace')}" if given else path


def reader_of(request: Request) -> Reader:
    """The store that is looked at."""
    return request.app.state.reader


def number_of(request: Request, name: str, otherwise: int = 0) -> int:
    """A number from the query.

    Raises:
        HTTPException: it is none.
    """
    return whole(request.query_params.get(name) or str(otherwise), name)


def whole(text: str, name: str) -> int:
    """A number of a fact, from a page's address.

    Raises:
        HTTPException: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise HTTPException(400, f"{name} is {one_line(text, 40)!r}, not a number")
    return min(int(text), LARGEST)
