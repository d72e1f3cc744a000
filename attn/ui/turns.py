"""Who is computed for next: a few at a time, large inspections among themselves, one at a time for each visitor."""

import asyncio
import ctypes
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from anyio.to_thread import run_sync

from attn.errors import PlainError

# At once: the arrays are shared by the cores already, a second one fills the gaps.
RUNNING = 2
# What one visitor may have waiting. The page sends one event of a kind at a time; nobody who uses it comes near.
PER_SESSION = 8

Result = TypeVar("Result")


class Busy(PlainError, RuntimeError):  # noqa: N818 - says what is so
    """Too many are waiting already."""


class Turns:
    """Turns at the model, in the order in which they are asked for.

    Large inspections have a turn of their own, so that everybody else goes on beside them; a session's come one after
    the other, so that its last answer is the one to its last question.

    Args:
        waiting: how many may wait in all; a quarter of them for a large inspection.
    """

    def __init__(self, waiting: int) -> None:
        self._most = {False: RUNNING + waiting, True: 1 + max(1, waiting // 4)}
        self._inside = {False: 0, True: 0}
        self._slots = {False: asyncio.Semaphore(RUNNING), True: asyncio.Semaphore(1)}
        self._sessions: dict[str, asyncio.Lock] = {}
        self._of_session: Counter[str] = Counter()

    async def run(
        self, function: Callable[..., Result], *arguments: Any, session: str | None = None, large: bool = False
    ) -> Result:
        """``function(*arguments)`` in a thread, when its turn has come.

        Raises:
            Busy: too many wait already, or too many of this session.
        """
        async with self._turn(session, large):
            try:
                return await run_sync(function, *arguments)
            finally:
                if large:
                    await run_sync(_give_memory_back)

    @asynccontextmanager
    async def _turn(self, session: str | None, large: bool) -> AsyncIterator[None]:
        if self._inside[large] >= self._most[large]:
            raise Busy("page.error.busy", waiting=self._inside[large])
        if session and self._of_session[session] >= PER_SESSION:
            raise Busy("page.error.busy.session", waiting=PER_SESSION)
        self._inside[large] += 1
        try:
            async with self._one_of(session), self._slots[large]:
                yield
        finally:
            self._inside[large] -= 1

    @asynccontextmanager
    async def _one_of(self, session: str | None) -> AsyncIterator[None]:
        if not session:
            yield
            return
        lock = self._sessions.setdefault(session, asyncio.Lock())
        self._of_session[session] += 1
        try:
            async with lock:
                yield
        finally:
            self._of_session[session] -= 1
            if not self._of_session[session]:
                del self._of_session[session], self._sessions[session]


def _give_memory_back() -> None:
    """Let the C library return what a large inspection took: it keeps freed memory for a next one."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
