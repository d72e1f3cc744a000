"""The cache stays bounded, and what the page needs survives."""

import os
import time
from pathlib import Path

import pytest

from attn.ui.upkeep import sweep

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


@pytest.mark.parametrize("days", [30])
def test_a_thousand_photographs_a_day_do_not_fill_the_disk(tmp_path: Path, days: int) -> None:
    """In thousandths: 2 kB a photograph instead of 2 MB, 10 of them a day instead of 1,000."""
    most, quota = 0, 12 * 2000
    example = put(tmp_path, "e" * 64 + "/lion.jpg", 1000)
    for day in range(days):
        for number in range(10):
            put(tmp_path, f"{day * 10 + number:064}/photograph.jpg", 2000)
        sweep(tmp_path, [example], quota=quota)
        most = max(most, bytes_in(tmp_path))
    assert most <= quota
    assert example.exists()
