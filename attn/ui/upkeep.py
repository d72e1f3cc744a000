"""Keeping the disk bounded: what nobody asked for lately is deleted, whatever process wrote it.

Gradio's `delete_cache` forgets what it wrote when it ends, and at its end deletes what other replicas serve from the
same folder; this goes by what lies there.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from anyio.to_thread import run_sync
from gradio.utils import get_upload_folder

from attn.ui.examples import EXAMPLES
from attn.ui.turns import give_memory_back

EVERY_S = 60.0
AGE_S = 24 * 3600.0
# An upload that takes longer than this is not coming any more.
UPLOAD_S = 3600.0
QUOTA = 4 * 2**30
# Before anything is written that the page opens with.
LOADED = time.time()


class Found(NamedTuple):
    """A file of the cache: when it was last written or handed out, its bytes and where it is."""

    used: float
    size: int
    path: Path


def last_changed(status: os.stat_result) -> float:
    """When a file was written or handed out, whichever was later; nobody can set this time."""
    return status.st_ctime


def sweep(
    folder: Path,
    keep: Collection[Path] = (),
    *,
    age_s: float = AGE_S,
    quota: int = QUOTA,
    now: float | None = None,
    used: Callable[[os.stat_result], float] = last_changed,
) -> int:
    """Deletes what is older than ``age_s``, uploads that never ended, the oldest beyond ``quota``; bytes left.

    Args:
        folder: Gradio's cache: a folder for each file, named by its content, and unfinished uploads beside them.
        keep: files that stay whatever their age, as the page's examples.
        now: the time it is, in seconds since the epoch.
        used: when a file was last used, by its status; another clock than the system's for a shortened year.
    """
    now = time.time() if now is None else now
    kept = {path.resolve() for path in keep}
    files = sorted(_files(folder, used))
    total = sum(file.size for file in files)
    for file in files:
        unfinished = file.path.parent == folder or file.path.name.startswith(".")
        old = now - file.used > (UPLOAD_S if unfinished else age_s)
        if (old or total > quota) and file.path.resolve() not in kept:
            with suppress(OSError):  # another replica was faster
                file.path.unlink()
                total -= file.size
            with suppress(OSError):  # not empty
                if file.path.parent != folder:
                    file.path.parent.rmdir()
    return total


@asynccontextmanager
async def swept(_: Any) -> AsyncIterator[None]:
    """The server's life, with the cache swept and freed memory given back at its start and every minute."""
    folder = Path(get_upload_folder())
    # What the page opens with was written before the server started, and is on everybody's page.
    keep = [*map(Path, EXAMPLES.values()), *(file.path for file in _files(folder) if file.used >= LOADED)]

    async def go_on() -> None:
        while True:
            with suppress(OSError):
                await run_sync(lambda: sweep(folder, keep))
            # What many small inspections leave behind the last large one: a quarter of the memory, in a measured run.
            await run_sync(give_memory_back)
            await asyncio.sleep(EVERY_S)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _files(folder: Path, used: Callable[[os.stat_result], float] = last_changed) -> list[Found]:
    found = []
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            with suppress(OSError):
                status = path.lstat()
                found.append(Found(used(status), status.st_size, path))
    return found
