"""uvicorn within the test's own process, on loopback. In one of its own: `tests.examples.serving`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from .support import PATIENCE, until


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is running: its port, and uvicorn's own object."""

    port: int
    server: uvicorn.Server

    @property
    def url(self) -> str:
        """Where it is; without a slash at the end, and right where it is served without TLS."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def idle(self) -> bool:
        """Nobody is connected, and no call is under way."""
        state = self.server.server_state
        return not (state.connections or state.tasks)


@contextmanager
def uvicorn_server(app: Any, **settings: Any) -> Iterator[Running]:
    """Serve an ASGI app on a free port, with these settings of uvicorn's, while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Its own log_config would set the log up anew for all tests that come after.
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="critical", **settings))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive())
            assert server.started, "uvicorn did not start"
            yield Running(listener.getsockname()[1], server)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
    assert not thread.is_alive(), "uvicorn did not come to an end"
