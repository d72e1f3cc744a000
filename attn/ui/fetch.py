"""Files that programs give as a public address: fetched within limits, and never from a private network.

Gradio would fetch them itself, at any size, from any component, and keep what was broken off as if it were whole.
"""

import asyncio
import ipaddress
import socket
from pathlib import PurePosixPath
from urllib.parse import urljoin

import httpx
from safehttpx import AsyncSecureTransport

from attn.errors import PlainError
from attn.ui.gate import MOST
from attn.ui.storage import Arriving
from attn.ui.turns import NOBODY, Caller, Turns

SECONDS = 30.0  # for all of it, redirections included
REDIRECTIONS = 5
# A picture takes its sender's time, not this machine's: more than the model's turns at once, and few that wait.
_turns = Turns(waiting=16, running=4)


class FetchError(PlainError, ValueError):
    """What lies at an address cannot be had."""


async def fetch(url: str, most: int = MOST, caller: Caller = NOBODY) -> str:
    """Path in Gradio's cache of what lies at ``url``, which may have ``most`` bytes.

    Raises:
        FetchError: an address that is not public, or does not give a file of that size in time. Busy: too many fetch.
    """
    async with _turns.turn(caller):
        try:
            async with asyncio.timeout(SECONDS):
                return await _followed(url, most)
        except TimeoutError:
            raise FetchError("page.error.fetch.slow", seconds=int(SECONDS)) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            if isinstance(error, FetchError):
                raise
            raise FetchError("page.error.fetch.failed") from error


async def _followed(url: str, most: int) -> str:
    for _ in range(REDIRECTIONS + 1):
        parts = httpx.URL(url)
        if parts.scheme not in ("http", "https") or not parts.host:
            raise FetchError("page.error.fetch.private")
        # The address that was looked at is the one that is asked, whatever the name stands for a moment later.
        transport = AsyncSecureTransport(await public_address(parts.host))
        # As it is: nothing that grows while it is unpacked.
        headers = {"Accept-Encoding": "identity", "User-Agent": "attention-window"}
        async with (
            httpx.AsyncClient(transport=transport, headers=headers) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.has_redirect_location:
                url = urljoin(url, answer.headers["location"])
                continue
            if answer.status_code != httpx.codes.OK:
                raise FetchError("page.error.fetch.failed")
            return await _stored(answer, PurePosixPath(parts.path).name or "file", most)
    raise FetchError("page.error.fetch.failed")


async def _stored(answer: httpx.Response, name: str, most: int) -> str:
    claimed = answer.headers.get("content-length", "0")
    too_large = FetchError("page.error.fetch.large", limit=most // 2**20)
    if claimed.isdigit() and int(claimed) > most:
        raise too_large
    with Arriving() as file:
        async for part in answer.aiter_raw():
            if file.size + len(part) > most:
                raise too_large
            file.write(part)
        return file.stored(name)


async def public_address(host: str) -> str:
    """An address that ``host`` stands for. Raises FetchError where one of them is not public, or there is none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError("page.error.fetch.failed") from error
    addresses = [str(each[4][0]) for each in found]
    if not addresses or not all(_is_public(each) for each in addresses):
        raise FetchError("page.error.fetch.private")
    return addresses[0]


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    # Reserved are, among others, IPv4 addresses written as IPv6; 6to4 is another way to write them.
    inside = getattr(parsed, "sixtofour", None) or parsed
    return inside.is_global and not inside.is_multicast and not inside.is_reserved
