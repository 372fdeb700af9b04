"""Serving the viewer until somebody stops it."""

from __future__ import annotations

import errno
import secrets
import socket
import threading
import time
import webbrowser
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..core.text import one_line

if TYPE_CHECKING:
    from uvicorn import Server

    from ..traces.reader import Reader

_LAST_REQUESTS = 2
"""Seconds that requests under way at the end may take."""


def serve(
    reader: Reader, *, host: str, port: int, token: bool = False, browse: bool = False, tell: Callable[[str], object] = print
) -> None:
    """Serve the pages of a store until SIGINT or SIGTERM.

    Args:
        reader: the store.
        host: address to listen at; on another one than the loopback the pages need a token, which is part of the address.
        port: where; 0 for any that is free.
        token: whether a token is needed on the loopback, too, which other users of the machine can reach.
        browse: whether to open the address in a browser.
        tell: is given the address once requests are answered there.

    Raises:
        ConfigError: that address cannot be listened at, or what serves the pages is not installed.
    """
    try:
        import uvicorn

        from .app import create_app
        from .auth import is_loopback
    except ModuleNotFoundError as e:
        if e.name not in ("uvicorn", "starlette", "jinja2", "markupsafe"):
            raise
        raise ConfigError(f"the viewer needs {e.name}", hint="pip install 'burnish[view]'", code="missing_extra") from None
    loopback = is_loopback(host)
    secret = secrets.token_urlsafe(32) if token or not loopback else None
    with _listening(host, port) as listening:
        port = listening.getsockname()[1]
        app = create_app(reader, token=secret, loopback=loopback, port=port)
        # What is fixed here would otherwise depend on which other packages there are.
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_LAST_REQUESTS,
        )
        server = uvicorn.Server(config)
        address = _address(host, port) + (f"/?token={secret}" if secret else "/")
        threading.Thread(target=_announce, args=(server, address, tell, browse), daemon=True).start()
        _run(server, listening)


def _run(server: Server, listening: socket.socket) -> None:
    """Until a signal; a second one waits for nothing."""

    def stop(number: int, frame: FrameType | None) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    # Its own handler raises the signal once more at the end, so that a clean end would look like an interruption.
    server.handle_exit = stop  # pyright: ignore[reportAttributeAccessIssue]
    server.run(sockets=[listening])


def _announce(server: Server, address: str, tell: Callable[[str], object], browse: bool) -> None:
    while not server.started and not server.should_exit:
        time.sleep(0.01)
    if server.started:
        tell(address)
        if browse:
            webbrowser.open(address)


def _address(host: str, port: int) -> str:
    """How a browser gets there; every address of this machine is told as its name."""
    if host in ("0.0.0.0", "::", ""):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError, UnicodeError) as e:
        shown = f"{one_line(host, 60)}:{port}"
        if getattr(e, "errno", None) == errno.EADDRINUSE:
            hint = "give another one with --port, or any that is free with --port 0"
            raise ConfigError(f"the port {port} of {one_line(host, 60)} is taken", hint=hint, code="port_taken") from None
        reason = getattr(e, "strerror", None) or e
        raise ConfigError(f"cannot listen at {shown}: {reason}", hint="check --host and --port", code="cannot_listen") from None
