"""`burnish view`: the stored runs as local web pages."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .lookup import reader
from .options import Store
from .output import say, show

PORT = 8600


def view(
    store: Store = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; other machines need the token that is printed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 for any that is free.")] = PORT,
    token: Annotated[
        bool, typer.Option("--token", help="Ask for a token on loopback, too, which other users of this machine can reach.")
    ] = False,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open the address in a browser.")] = False,
) -> int:
    """Show stored runs as web pages on this machine, live while they run, until Ctrl-C.

    The address is printed once the pages are there. Nothing is written, and nothing leaves the machine.
    """
    from ..view.serve import serve

    with reader(store) as found:
        serve(found, host=host, port=port, token=token, browse=browse, tell=_tell)
    return 0


def _tell(address: str) -> None:
    show(address)
    sys.stdout.flush()
    say("Ctrl-C ends it")
