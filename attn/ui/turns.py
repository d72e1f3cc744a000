"""Who is computed for next: a few at a time, large inspections among themselves, everybody as often as the others."""

import asyncio
import ctypes
import ipaddress
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

from anyio.to_thread import run_sync

from attn.errors import PlainError

# At once: the arrays are shared by the cores already, a second one fills the gaps.
RUNNING = 2
# What one visitor may have waiting. The page sends one event of a kind at a time; nobody who uses it comes near.
PER_SESSION = 8

Result = TypeVar("Result")


class Busy(PlainError, RuntimeError):  # noqa: N818 - says what is so
    """Too many are waiting already."""


class Caller(NamedTuple):
    """Who asks: the address of a machine, and a page's or client's session there; a program may have none.

    Sessions cost nothing, so turns are shared among addresses first. Behind a balancer the address is the balancer's
    unless uvicorn is told to trust it (FORWARDED_ALLOW_IPS); a header of the visitor's own never counts.
    """

    address: str = ""
    session: str | None = None

    @classmethod
    def of(cls, request: Any, session: str | None = None) -> "Caller":
        """Who sent this request, Gradio's or Starlette's; an IPv6 address stands for its network of 64 bits."""
        host = getattr(getattr(request, "client", None), "host", None) or ""
        with suppress(ValueError):
            if ipaddress.ip_address(host).version == 6:
                host = str(ipaddress.ip_network((host, 64), strict=False))
        return cls(host, session)


NOBODY = Caller()
# Who sent what is being answered, for where Gradio hands over no request.
current_caller: ContextVar[Caller] = ContextVar("current_caller", default=NOBODY)


class Turns:
    """Turns at something there is little of, as the model: whoever was served least lately comes next.

    Addresses take turns, and sessions within an address, so that one program that asks without end waits for itself.
    Where no more may wait and a newcomer comes who has less here than others, the youngest request of whoever has most
    is told that the page is busy in its place. Large inspections have a turn of their own, so that everybody else
    goes on beside them; a session's come one after the other, so that its last answer is the one to its last question.

    Args:
        waiting: how many may wait in all; a quarter of them for a large inspection.
        running: how many at once, beside a large one.
    """

    def __init__(self, waiting: int, running: int = RUNNING) -> None:
        self._running = {False: running, True: 1}
        self._most = {False: running + waiting, True: 1 + max(1, waiting // 4)}
        self._inside: list[_Place] = []  # in the order in which they came
        self._given = 0
        self._last: dict[Hashable, int] = {}  # address, or address and session → number of its last turn

    async def run(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        caller: Caller = NOBODY,
        large: bool = False,
    ) -> Result:
        """``function(*arguments)`` in a thread, when its turn has come.

        Raises:
            Busy: too many wait already, or too many of this session.
        """
        async with self.turn(caller, large):
            try:
                return await run_sync(function, *arguments)
            finally:
                if large:
                    await run_sync(give_memory_back)

    @asynccontextmanager
    async def turn(self, caller: Caller, large: bool = False) -> AsyncIterator[None]:
        """A turn: waits until it has come, and holds it meanwhile. Raises as `run`."""
        place = _Place(caller, large)
        self._take_in(place)
        try:
            self._go_on()
            await place.turn
            yield
        finally:
            self._inside.remove(place)
            self._forget(place)
            self._go_on()

    def _take_in(self, place: "_Place") -> None:
        session = place.caller.session
        if session and sum(each.caller.session == session for each in self._inside) >= PER_SESSION:
            raise Busy("page.error.busy.session", waiting=PER_SESSION)
        here = [each for each in self._inside if each.large == place.large and not each.refused]
        if len(here) >= self._most[place.large]:
            busy = Busy("page.error.busy", waiting=len(here))
            given_up = _greedier(here, place.caller)
            if given_up is None:
                raise busy
            given_up.turn.set_exception(busy)
        self._inside.append(place)

    def _go_on(self) -> None:
        """Gives every turn that is free."""
        for large, most in self._running.items():
            while sum(each.large == large and each.runs for each in self._inside) < most:
                first = [each for each in self._inside if each.large == large and each.waits and self._is_next(each)]
                if not first:
                    break
                chosen = min(first, key=lambda each: [self._last.get(key, 0) for key in each.keys])
                self._given += 1
                self._last.update(dict.fromkeys(chosen.keys, self._given))
                chosen.turn.set_result(None)

    def _is_next(self, place: "_Place") -> bool:
        """Whether nothing that its session asked before is still to be answered."""
        session = place.caller.session
        return not session or place is next(
            each for each in self._inside if each.caller.session == session and not each.refused
        )

    def _forget(self, place: "_Place") -> None:
        left = {key for each in self._inside for key in each.keys}
        for key in set(place.keys) - left:
            self._last.pop(key, None)


class _Place:
    """One request that is here: it waits for its turn, or runs."""

    def __init__(self, caller: Caller, large: bool) -> None:
        self.caller = caller
        self.large = large
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.keys: tuple[Hashable, ...] = (caller.address, caller)

    @property
    def waits(self) -> bool:
        return not self.turn.done()

    @property
    def refused(self) -> bool:
        """Given up, by its visitor or for a newcomer, and about to go."""
        return self.turn.done() and not self.runs

    @property
    def runs(self) -> bool:
        return self.turn.done() and not self.turn.cancelled() and self.turn.exception() is None


def _greedier(here: list[_Place], newcomer: Caller) -> _Place | None:
    """Whose place a newcomer takes: the youngest of the address that has most here, or of the session of its own."""
    addresses = Counter(each.caller.address for each in here)
    address, most = addresses.most_common(1)[0]
    if most <= addresses[newcomer.address] + 1:
        address = newcomer.address
    sessions = Counter(each.caller for each in here if each.caller.address == address)
    if not sessions:
        return None
    session, most = sessions.most_common(1)[0]
    if address == newcomer.address and most <= sessions[newcomer] + 1:
        return None
    return next((each for each in reversed(here) if each.caller == session and each.waits), None)


def give_memory_back() -> None:
    """Let the C library return what it keeps of freed memory for a next time, as after a large inspection."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
