"""The disk over a year of visitors, in a shortened run: the page's own sweep, another clock, small files.

    python -m benchmarks.disk
    python -m benchmarks.disk --photographs 5000 --days 30

Every photograph leaves what a full visit does, in thousandths: the upload, the page's files, one `/inspect`; one in ten
is broken off on the way, one in ten is asked for again half a day later. A day has a class in it: half of its
photographs come within an hour. Prints the largest size that the folder had, in what it would be at full size.
"""

import argparse
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attn.ui.upkeep import QUOTA, sweep

SHORTENED = 1000  # times smaller than the real files
# Bytes: the upload as the page sends it, the files of See and Bench, and `/inspect`'s; the mean of photographs of 1,200
# positions, which is what the page opens with.
FILES = {"photograph.webp": 81_000, "page.bin": 5_860_000, "inspection.npz": 10_850_000}
UPLOAD = next(iter(FILES))
DAY_S = 24 * 3600


def visits(day: int, photographs: int) -> Iterator[float]:
    """When the day's photographs come, in seconds since the beginning."""
    random.seed(day)
    for number in range(photographs):
        yield DAY_S * day + (10 * 3600 + random.uniform(0, 3600) if number % 2 else random.uniform(0, DAY_S))


def simulate(
    folder: Path, days: int, photographs: int, *, every_s: float = 1800, quota: int = QUOTA
) -> tuple[int, int]:
    """The largest size of ``folder`` at any time and the largest that a sweep left, in bytes at full size.

    Args:
        every_s: between two sweeps; the page's come every minute.
        quota: the sweep's, at full size.
    """
    most, left, number, swept, size = 0, 0, 0, 0.0, 0
    again: list[tuple[float, Path]] = []

    def put(path: Path, content: int, at: float) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(content // SHORTENED))
        os.utime(path, (at, at))

    for day in range(days):
        for at in sorted(visits(day, photographs)):
            while swept + every_s <= at:
                swept += every_s
                most = max(most, size)
                for asked, path in [each for each in again if each[0] <= swept]:
                    again.remove((asked, path))
                    if path.exists():
                        os.utime(path, (asked, asked))
                size = sweep(folder, quota=quota // SHORTENED, now=swept, used=lambda status: status.st_mtime)
                left = max(left, size)
            number += 1
            if number % 10 == 0:
                put(folder / f"tmp{number}", FILES[UPLOAD], at)
                size += FILES[UPLOAD] // SHORTENED
                continue
            for name, content in FILES.items():
                put(folder / f"{number:064}" / name, content, at)
                size += content // SHORTENED
            if number % 10 == 1:
                again.append((at + DAY_S / 2, folder / f"{number:064}" / UPLOAD))
    return max(most, size) * SHORTENED, left * SHORTENED


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--photographs", type=int, default=1000, help="a day")
    parser.add_argument("--days", type=int, default=365)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        most, left = simulate(Path(folder), args.days, args.photographs)
    whole = args.days * args.photographs * sum(FILES.values())
    print(f"{args.photographs} photographs a day for {args.days} days: {whole / 2**30:.0f} GB written, at most")
    print(
        f"at most {most / 2**30:.2f} GB at once, {left / 2**30:.2f} after a sweep (its limit is {QUOTA / 2**30:.0f})."
    )


if __name__ == "__main__":
    main()
