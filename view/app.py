"""The application: which address is which page, and what is answered where there is none.

Pages are plain functions, which Starlette runs in threads, so that a long query holds up no other request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..core.errors import BurnishError, ConfigError
from .auth import Guard
from .pages import batches, calls, candidates, diff, run, runs
from .render import HERE, page

if TYPE_CHECKING:
    from ..traces.reader import Reader


def create_app(reader: Reader, *, token: str | None = None, loopback: bool = True, port: int = 0) -> Starlette:
    """The viewer of a store.

    Args:
        reader: the store; closed by whoever opened it.
        token: what requests have to know; None if nothing.
        loopback: whether requests have to name the loopback as their host.
        port: where it is served; part of its cookie's name.
    """
    routes = [
        Route("/", runs.runs),
        Route("/batches", batches.batches),
        Route("/batches/{batch}", batches.batch),
        Route("/runs", _list),
        Route("/runs/{run}", run.run),
        Route("/runs/{run}/calls", calls.calls),
        Route("/runs/{run}/calls/{call}", calls.call),
        Route("/runs/{run}/candidates", candidates.candidates),
        Route("/runs/{run}/candidates/{candidate}", candidates.candidate),
        Route("/diff", diff.diff),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token, loopback=loopback, port=port)],
        exception_handlers={HTTPException: _refused, BurnishError: _failed},
    )
    app.state.reader = reader
    return app


def _list(request: Request) -> Response:
    return RedirectResponse("/")


def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = "there is no such page" if status == 404 else str(getattr(error, "detail", error))
    return page(request, "error.html", status=status, title=str(status), message=message, hint="")


def _failed(request: Request, error: Exception) -> Response:
    """What the reader raises: an id that there is not, or a store that cannot be read just now."""
    status, hint = (404, "") if isinstance(error, ConfigError) else (503, getattr(error, "hint", ""))
    message = error.message if isinstance(error, BurnishError) else str(error)
    return page(request, "error.html", status=status, title=str(status), message=message, hint=hint)
