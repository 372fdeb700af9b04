"""Where a server is and how to connect to it: the arguments that all engines on a server have in common, checked."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..core.errors import ConfigError, EngineUnavailable

if TYPE_CHECKING:
    from .server_client import Connection


class Address:
    """A server, the variable or the file that holds its key, and how patient and how broad the connection is."""

    def __init__(
        self, base_url: str, *, key_env: str | None, key_file: str | None = None, timeout: float, max_connections: int
    ) -> None:
        """Check the arguments; nothing is connected.

        Raises:
            ConfigError: an argument that cannot be right.
        """
        self.base_url = _checked_url(base_url)
        if key_env is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]{0,99}", key_env):
            raise ConfigError("api_key_env is no variable in capitals", hint="name the one that holds the key: MY_API_KEY")
        if key_env is not None and key_file is not None:
            raise ConfigError("api_key_env and api_key_file exclude each other", hint="give one of them, or none")
        if not 0 < timeout < math.inf:
            raise ConfigError(f"timeout is {timeout}", hint="give seconds above 0")
        if max_connections < 1:
            raise ConfigError(f"max_connections is {max_connections}", hint="at least 1")
        self.max_connections = max_connections
        self._key_env, self._key_file, self._timeout = key_env, key_file, timeout

    @property
    def root(self) -> str:
        """The URL of the server itself, above the OpenAI protocol."""
        return self.base_url.removesuffix("/v1")

    def connect(self) -> Connection:
        """A connection; it is made when the first call is sent.

        Raises:
            ConfigError: there is no key where one is named.
            EngineUnavailable: the client is not installed.
        """
        key = self._key()
        try:
            from .server_client import Connection
        except ImportError as e:
            hint = "pip install 'burnish[server]'"
            raise EngineUnavailable(f"the openai client is not installed: {e}", hint=hint) from None
        return Connection(self.base_url, key=key, timeout=self._timeout, max_connections=self.max_connections)

    def _key(self) -> str | None:
        if self._key_env is not None:
            if not (key := os.environ.get(self._key_env, "")):
                raise ConfigError(f"the environment variable {self._key_env} is not set", hint=f"export {self._key_env}=...")
            return key
        if self._key_file is None:
            return None
        try:
            key = Path(self._key_file).expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError):
            key = ""
        if not key or not key.isascii() or not key.isprintable():
            hint = "it has the key alone; that of an engine which `burnish engine up` started is there while the engine runs"
            raise ConfigError(f"the file {self._key_file} holds no key", hint=hint)
        return key


def _checked_url(url: str) -> str:
    """The URL without a slash at its end. What it holds is not shown where a password may be in it."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        right, parts = False, None
    if parts is not None and (parts.username or parts.password or parts.query):
        raise ConfigError("base_url holds a user, a password or a query", hint="give the key by api_key_env=NAME")
    if not right:
        raise ConfigError(f"base_url is {url!r}", hint="as in http://127.0.0.1:8000/v1")
    return url.rstrip("/")
