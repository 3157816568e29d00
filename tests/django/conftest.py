"""Fixtures for the Django edges. Importing this configures Django."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.test import override_settings

from d1verify import KeySet
from tests.django_settings import Routes
from tests.support import KEY, key_set

GOOD = f"Bearer {KEY.mint()}"
OTHER_GATEWAY = f"Bearer {KEY.mint(sub='MGW_000002')}"


@pytest.fixture
def configure() -> Iterator[Callable[..., None]]:
    """Change Django's settings until the test ends; routes come as positional arguments."""
    with ExitStack() as stack:

        def change(*urlpatterns: Any, **changes: Any) -> None:
            if urlpatterns:
                changes["ROOT_URLCONF"] = Routes(*urlpatterns)
            stack.enter_context(override_settings(**changes))

        yield change


class HangingStore:
    """A key store whose load says when it has started, and ends when it is released."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.released = threading.Event()

    def load(self) -> KeySet:
        self.started.set()
        assert self.released.wait(10)
        return key_set(KEY)


def answer_of(call: Callable[[], Awaitable[Any]], store: HangingStore) -> Any:
    """Return what `call` gives on an event loop that has to turn while the store's load is in the air."""

    async def run() -> Any:
        task = asyncio.ensure_future(call())
        while not store.started.is_set():  # noqa: ASYNC110 - it is another thread that starts
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not task.done(), "the loop stood still until the load had been given up"
        store.released.set()
        return await task

    return asyncio.run(run())
