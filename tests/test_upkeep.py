"""The cache stays bounded, and what the page needs survives."""

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from attn.ui.upkeep import sweep, swept
from benchmarks.disk import FILES, simulate

DAY_S = 24 * 3600.0


def put(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_is_old_goes_and_what_the_page_opens_with_stays(tmp_path: Path) -> None:
    example, visit = put(tmp_path, "a" * 64 + "/lion.jpg", 10), put(tmp_path, "b" * 64 + "/mine.jpg", 10)
    assert sweep(tmp_path, [example]) == 20
    assert sweep(tmp_path, [example], now=time.time() + DAY_S + 1) == 10
    assert example.exists()
    assert not visit.exists()
    assert not visit.parent.exists()


def test_an_upload_that_never_ended_goes_after_an_hour(tmp_path: Path) -> None:
    aborted, hidden = put(tmp_path, "tmpx1y2z3", 10), put(tmp_path, "b" * 64 + "/.beside", 10)
    mine = put(tmp_path, "c" * 64 + "/mine.jpg", 10)
    assert sweep(tmp_path, now=time.time() + 3599) == 30
    assert sweep(tmp_path, now=time.time() + 3601) == 10
    assert (aborted.exists(), hidden.exists(), mine.exists()) == (False, False, True)


def test_beyond_the_quota_the_oldest_go_first(tmp_path: Path) -> None:
    paths = []
    for number in range(6):
        paths.append(put(tmp_path, f"{number:064}/a.bin", 100))
        time.sleep(0.02)
    os.utime(paths[0])  # handed out again: young again
    assert sweep(tmp_path, quota=300) == 300
    assert [path.exists() for path in paths] == [True, False, False, False, True, True]


def resident_mb() -> float:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_a_server_gives_freed_memory_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a heap that another one lies behind: the C library keeps them until it is asked."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    blocks = [bytearray(60_000) for _ in range(4000)]
    last = blocks.pop()
    used = resident_mb()
    blocks.clear()

    async def live() -> float:
        async with swept(None):
            deadline = time.monotonic() + 60
            while resident_mb() > used - 150 and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
        return resident_mb()

    with ThreadPoolExecutor(1) as thread:  # the browser tests keep an event loop running in pytest's
        assert thread.submit(lambda: asyncio.run(live())).result() <= used - 150
    assert len(last) == 60_000


@pytest.mark.parametrize("photographs", [8, 2])
def test_a_year_of_photographs_stays_within_the_quota(tmp_path: Path, photographs: int) -> None:
    """In thousandths; eight a day would be above the quota, two stay below it."""
    a_photograph = sum(FILES.values())
    quota = 5 * a_photograph
    most, left = simulate(tmp_path, 365, photographs, every_s=6 * 3600, quota=quota)
    assert left <= quota
    assert most <= left + photographs * a_photograph  # no more than comes between two sweeps
    assert most >= photographs * 0.9 * a_photograph * 0.7  # and it was filled
