"""One load in the air, and everybody who waits for it: threads, asyncio loops, trio runs.

A `concurrent.futures.Future` will not do: cancelling one `wrap_future` waiter cancels
the future for all of them, and a thread-pool executor delays the interpreter's exit.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from ._freshness import Attempt

__all__ = ["PendingLoad", "pause", "start_thread"]


class PendingLoad:
    """A load that has been started and will end, or not; any number of callers may wait for it."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.looked_at = attempt.started_at
        self.asked_for = False
        self._ended = False
        self._callbacks: set[Callable[[], object]] = set()
        self._lock = threading.Lock()

    def end(self) -> None:
        """Wake everybody who waits."""
        with self._lock:
            self._ended = True
            callbacks, self._callbacks = self._callbacks, set()
        for callback in callbacks:
            callback()

    def wait(self, seconds: float) -> None:
        """Block this thread until the load ends, at most for `seconds`."""
        ended = threading.Event()
        self._call_at_end(ended.set)
        try:
            ended.wait(seconds)
        finally:
            self._forget(ended.set)

    async def async_wait(self, seconds: float) -> None:
        """Suspend this task until the load ends, at most for `seconds`, on asyncio or trio.

        A waiter that is cancelled takes its own callback away and cancels nobody.
        """
        import anyio

        ended = anyio.Event()
        call_soon = _thread_safe_call_soon()

        def wake() -> None:
            with suppress(RuntimeError):  # The loop was closed meanwhile: nobody waits there any more.
                call_soon(ended.set)

        self._call_at_end(wake)
        try:
            with anyio.move_on_after(seconds):
                await ended.wait()
        finally:
            self._forget(wake)

    def _call_at_end(self, callback: Callable[[], object]) -> None:
        with self._lock:
            if not self._ended:
                self._callbacks.add(callback)
                return
        callback()

    def _forget(self, callback: Callable[[], object]) -> None:
        with self._lock:
            self._callbacks.discard(callback)


def _thread_safe_call_soon() -> Callable[[Callable[[], object]], object]:
    """Return the running event loop's way of being called from another thread."""
    lowlevel = sys.modules.get("trio.lowlevel")
    # Another thread may be importing trio just now, the HTTP client's for one; nothing runs in it then.
    in_trio_run = getattr(lowlevel, "in_trio_run", None)
    if lowlevel is not None and in_trio_run is not None and in_trio_run():
        call_soon: Callable[[Callable[[], object]], object] = lowlevel.current_trio_token().run_sync_soon
        return call_soon
    import asyncio

    return asyncio.get_running_loop().call_soon_threadsafe


def pause(seconds: float) -> None:
    """Let a load's thread rest."""
    time.sleep(seconds)


def start_thread(run: Callable[[], None]) -> None:
    """Run `run` on a daemon thread of its own, which never keeps the interpreter from ending."""
    threading.Thread(target=run, name="d1verify-key-load", daemon=True).start()
