"""Many visitors at once: throughput, waiting time, errors, memory.

    python -m benchmarks.load
    python -m benchmarks.load --visitors 32 --seconds 600
    python -m benchmarks.load --visitors 8 --pictures equal
    python -m benchmarks.load --inspections 4000
    python -m benchmarks.load --heavy 0 1 4 24

Starts the page in a process of its own and visits it over loopback through its HTTP interface, as `gradio_client` does:
upload a picture, ask, wait on the event stream, check the answer, fetch its file and open it. With pictures of their
"own" no two visitors hold the same one at the same time, and a picture comes back too late for any cache of the
server; with "equal" ones all ask for the same at the same time, as a class does. Every answer is compared with the one
computed here beforehand. "Refused" are requests told that the page is busy; the visitor waits a second
and comes again.

``--inspections N``: eight clients call `/inspect` N times in all on one photograph; every answer's file is fetched and
opened, and compared with the first. Connections that end before an answer begins are counted apart from broken answers.
``--heavy``: how long a visitor with small questions waits beside so many clients that each inspect photographs of
their own at 1,024 px without end, and what memory stays afterwards.

Prints Markdown tables. Linux only (memory is read from /proc).
"""

import argparse
import asyncio
import collections
import io
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from attn import Inspector
from attn.ui.upkeep import EVERY_S
from benchmarks.served import Served

SIDE = 320
SIZE = (320, 240)
KEPT = 24  # more pictures than the server keeps
# A connection that was closed before an answer began, as by a server that gives up an idle one while a client uses it
# again: whoever asks once more gets it. What was cut short or is another answer is counted apart.
UNANSWERED = "unanswered"


def drawn(number: int) -> Image.Image:
    """Picture ``number``: colour blocks of its own, 320 × 240."""
    noise = np.random.default_rng(number).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    return Image.fromarray(noise.repeat(16, axis=0).repeat(16, axis=1))


class Tally:
    """What happened to the requests of one run."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.page_seconds: list[float] = []
        self.counts: collections.Counter[str] = collections.Counter()
        self.samples: list[float] = []


class Refused(RuntimeError):  # noqa: N818 - nothing went wrong
    """The page said that it is busy."""


async def upload(client: httpx.AsyncClient, url: str, picture: Image.Image, name: str) -> dict[str, Any]:
    """The picture on the server, as the endpoints take it."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    reply = await client.post(f"{url}/gradio_api/upload", files={"files": (name, content.getvalue())})
    reply.raise_for_status()
    return {"path": reply.json()[0], "meta": {"_type": "gradio.FileData"}}


async def answer_of(client: httpx.AsyncClient, url: str, endpoint: str, data: list[Any]) -> list[Any]:
    """What the endpoint answers. Raises Refused, or RuntimeError with what it says."""
    reply = await client.post(f"{url}/gradio_api/call/{endpoint}", json={"data": data})
    reply.raise_for_status()
    event = ""
    async with client.stream("GET", f"{url}/gradio_api/call/{endpoint}/{reply.json()['event_id']}") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: ") and event in ("complete", "error"):
                answer = json.loads(line.removeprefix("data: "))
                if event == "error":
                    raise Refused if "busy" in str(answer) else RuntimeError(str(answer))
                return list(answer)
    raise RuntimeError("the stream ended without an answer")


async def ask(client: httpx.AsyncClient, url: str, number: int, row: int, column: int) -> list[list[float]]:
    """Upload picture ``number`` and ask for one query's map."""
    image = await upload(client, url, drawn(number), f"{number}.png")
    data = [row, column, image, "bundled", "layer3", SIDE, "similarity", True, 0, None, "coarse", ""]
    answer = await answer_of(client, url, "query", data)
    file = await client.get(f"{url}/gradio_api/file={answer[1]['path']}")
    file.raise_for_status()
    Image.open(io.BytesIO(file.content)).load()  # raises where it was cut short
    return list(answer[0]["attention"])


async def visit(
    url: str,
    visitor: int,
    visitors: int,
    expected: list[NDArray[np.float32]],
    until: float,
    tally: Tally,
    equal: bool,
) -> None:
    """One visitor: its own pictures one after the other until the time is over."""
    limits = httpx.Limits(max_connections=4)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        for turn in itertools.count():
            if time.monotonic() > until:
                return
            if equal:
                number, index = tally.counts["right"] // visitors % len(expected), 0
            else:
                number = (visitor + turn * visitors) % (len(expected) // visitors * visitors)
                index = (7 * turn + visitor) % len(expected[number])
            start = time.perf_counter()
            try:
                answer = await ask(client, url, number, *divmod(index, SIZE[0] // 16))
            except Refused:
                tally.counts["refused"] += 1
                await asyncio.sleep(1)
                continue
            except (httpx.HTTPError, RuntimeError, OSError) as error:
                tally.counts[f"error: {type(error).__name__} {str(error)[:60]}"] += 1
                await asyncio.sleep(1)
                continue
            tally.seconds.append(time.perf_counter() - start)
            right = np.abs(np.ravel(answer) - expected[number][index]).max() < 1e-4
            tally.counts["right" if right else "WRONG"] += 1


async def watch(server: Served, until: float, tally: Tally) -> None:
    """Memory, and how long a newcomer waits for the page's configuration, every second."""
    async with httpx.AsyncClient(timeout=60) as client:
        while time.monotonic() < until:
            tally.samples.append(server.memory())
            start = time.perf_counter()
            await client.get(f"{server.url}/config")
            tally.page_seconds.append(time.perf_counter() - start)
            await asyncio.sleep(1)


async def run(
    server: Served, visitors: int, seconds: float, expected: list[NDArray[np.float32]], equal: bool = False
) -> Tally:
    """``visitors`` at once for ``seconds``, with equal pictures or with their own."""
    tally = Tally()
    until = time.monotonic() + seconds
    await asyncio.gather(
        watch(server, until, tally),
        *(visit(server.url, visitor, visitors, expected, until, tally, equal) for visitor in range(visitors)),
    )
    return tally


async def inspections(server: Served, total: int, side: int) -> Tally:
    """``total`` equal calls of `/inspect` from eight clients, each answer's file fetched and opened."""
    tally, left, first = Tally(), iter(range(total)), list[bytes]()

    async def one(client: httpx.AsyncClient, image: dict[str, Any]) -> bytes:
        data = [image, "bundled", "layer3", side, "similarity", True, 0, None, "coarse", ""]
        answer = await answer_of(client, server.url, "inspect", data)
        file = await client.get(f"{server.url}/gradio_api/file={answer[1]['path']}")
        file.raise_for_status()
        with np.load(io.BytesIO(file.content)) as arrays:  # raises where it was cut short
            return b"".join(np.asarray(arrays[name]).tobytes() for name in sorted(arrays.files))

    async def client() -> None:
        begun = False  # whether the answer to the last request has

        async def asked(_: httpx.Request) -> None:
            nonlocal begun
            begun = False

        async def answered(_: httpx.Response) -> None:
            nonlocal begun
            begun = True

        hooks: dict[str, list[Callable[..., Any]]] = {"request": [asked], "response": [answered]}
        async with httpx.AsyncClient(timeout=120, event_hooks=hooks) as session:
            image = await upload(session, server.url, drawn(0), "equal.png")
            for number in left:
                start = time.perf_counter()
                try:
                    content = await one(session, image)
                except Exception as error:  # whatever it is, it is counted
                    unanswered = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError) and not begun
                    kind = UNANSWERED if unanswered else f"error: {type(error).__name__} {str(error)[:60]}"
                    tally.counts[kind] += 1
                    continue
                tally.seconds.append(time.perf_counter() - start)
                first[:] = first or [content]
                tally.counts["right" if content == first[0] else "WRONG"] += 1
                if number % 500 == 499:
                    print(f"{number + 1}: {dict(tally.counts)}", file=sys.stderr, flush=True)

    await asyncio.gather(*(client() for _ in range(8)))
    return tally


async def beside(server: Served, heavy: int, seconds: float, expected: list[NDArray[np.float32]]) -> Tally:
    """One light visitor for ``seconds`` beside ``heavy`` clients with large inspections of their own."""
    tally, numbers = Tally(), itertools.count(1)

    async def inspect() -> None:
        async with httpx.AsyncClient(timeout=600) as client:
            while True:
                number = next(numbers)
                try:
                    image = await upload(client, server.url, drawn(number).resize((1024, 768)), "heavy.png")
                    data = [image, "bundled", "layer3", 1024, "random", True, number, None, "coarse", ""]
                    await answer_of(client, server.url, "inspect", data)
                    tally.counts["large ones"] += 1
                except Refused:
                    tally.counts["large ones refused"] += 1
                    await asyncio.sleep(1)
                except (httpx.HTTPError, RuntimeError) as error:  # it goes on, else fewer would be heavy than are said
                    tally.counts[f"error: large one: {type(error).__name__} {str(error)[:60]}"] += 1
                    await asyncio.sleep(1)

    clients = [asyncio.create_task(inspect()) for _ in range(heavy)]
    await asyncio.sleep(2)
    until = time.monotonic() + seconds
    await asyncio.gather(watch(server, until, tally), visit(server.url, 0, 1, expected, until, tally, False))
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return tally


def row(visitors: int, pictures: str, took: float, tally: Tally, before: float, after: float, peak: float) -> str:
    """One line of the table."""
    p50, p95, p99 = np.percentile(tally.seconds or [np.nan], [50, 95, 99])
    wrong = {name: count for name, count in tally.counts.items() if name.startswith(("WRONG", "error"))}
    cells: list[Any] = [
        visitors,
        pictures,
        f"{took:.0f}",
        tally.counts["right"],
        f"{tally.counts['right'] / took:.1f}",
        f"{p50:.2f} / {p95:.2f} / {p99:.2f}",
        tally.counts["refused"],
        "; ".join(f"{count} {name}" for name, count in wrong.items()) or 0,
        f"{statistics.median(tally.page_seconds):.2f} / {max(tally.page_seconds):.2f}",
        f"{before:.0f} / {after:.0f} / {peak:.0f}",
        f"{os.getloadavg()[0]:.1f}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def table_of_inspections(server: Served, total: int, side: int) -> None:
    """Prints what became of ``total`` equal calls of `/inspect`."""
    start = time.monotonic()
    tally = asyncio.run(inspections(server, total, side))
    right, took = tally.counts.pop("right", 0), time.monotonic() - start
    unanswered = tally.counts.pop(UNANSWERED, 0)
    broken = "; ".join(f"{count} {name}" for name, count in tally.counts.items()) or "none"
    print(f"{total} equal inspections at {side} px by 8 clients in {took:.0f} s, {right} whole and equal.")
    print(f"Wrong, cut short or refused: {broken}. Connections closed before an answer began: {unanswered}.")
    print(f"p50 {statistics.median(tally.seconds):.2f} s, load {os.getloadavg()[0]:.1f}.")


def table_beside(server: Served, heavy: list[int], seconds: float, expected: list[NDArray[np.float32]]) -> None:
    """Prints a light visitor's wait beside each number of heavy clients, and the memory that stays."""
    print("| heavy clients | light answers | median / p95 s | large ones | memory before / peak / at rest MB | load |")
    print("| --- " * 6 + "|")
    for number in heavy:
        server.forget_peak()
        before = server.memory()
        tally = asyncio.run(beside(server, number, seconds, expected))
        load = os.getloadavg()[0]
        # What waited goes on after its client has gone: at rest is where nothing has been computed for ten seconds, and
        # the page has since given back what was free.
        used = -1.0
        while server.processor_seconds() - used > 1:
            used = server.processor_seconds()
            time.sleep(10)
        time.sleep(EVERY_S)
        median, p95 = np.percentile(tally.seconds or [np.nan], [50, 95])
        memory = f"{before:.0f} / {server.memory('VmHWM'):.0f} / {server.memory():.0f}"
        wrong = {name: count for name, count in tally.counts.items() if name.startswith(("WRONG", "error"))}
        cells = [number, tally.counts["right"], f"{median:.2f} / {p95:.2f}", tally.counts["large ones"], memory]
        print(f"| {' | '.join(map(str, [*cells, f'{load:.1f}']))} |{wrong or ''}", flush=True)


def table_of_visitors(
    server: Served, numbers: list[int], kinds: list[str], seconds: float, expected: list[NDArray[np.float32]]
) -> None:
    """Prints what so many visitors at once get."""
    print(
        "| visitors | pictures | seconds | right answers | a second | p50 / p95 / p99 s | refused "
        "| wrong or failed | the page itself, median / max s | memory before / after / peak MB | load |"
    )
    print("| --- " * 11 + "|")
    for visitors, pictures in itertools.product(numbers, kinds):
        server.forget_peak()
        before, start = server.memory(), time.monotonic()
        tally = asyncio.run(run(server, visitors, seconds, expected, pictures == "equal"))
        took = time.monotonic() - start
        print(row(visitors, pictures, took, tally, before, server.memory(), server.memory("VmHWM")), flush=True)
        if len(tally.samples) > 120:
            tenths = [f"{statistics.mean(part):.0f}" for part in np.array_split(tally.samples, 10)]
            print(f"\nMean memory in each tenth of the run, MB: {', '.join(tenths)}.\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 8, 32, 100])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--pictures", choices=("own", "equal"), nargs="+", default=["own", "equal"])
    parser.add_argument("--inspections", type=int, metavar="N", help="N equal calls of /inspect instead")
    parser.add_argument("--side", type=int, default=64, help="longest side of those, in pixels")
    parser.add_argument("--heavy", type=int, nargs="+", metavar="N", help="one visitor beside N heavy clients instead")
    args = parser.parse_args()
    if not 1 <= min(args.visitors) <= max(args.visitors) <= 200 or args.seconds > 3600:
        parser.error("1 to 200 visitors for at most 3600 seconds")
    torch.set_num_threads(1)
    inspector = Inspector("bundled", "layer3", detail="coarse", weights="similarity")
    drawings = max(KEPT, 2 * max(args.visitors))
    expected = [inspector.encode(drawn(number), SIDE).attention for number in range(drawings)]
    server = Served()
    try:
        asyncio.run(run(server, 1, 5, expected))
        if args.inspections:
            table_of_inspections(server, args.inspections, args.side)
        elif args.heavy:
            table_beside(server, args.heavy, args.seconds, expected)
        else:
            table_of_visitors(server, args.visitors, args.pictures, args.seconds, expected)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
