"""The numbers of a whole folder of photographs, as Parquet: ``python -m attn.batch FOLDER OUT``.

One row a photograph. Stopped at any moment it goes on where it was: what lies in OUT is not computed again. The work is
spread over the processors of this machine by Ray Data, or over a cluster where RAY_ADDRESS names one and FOLDER, OUT
and this repository have the same paths on all its machines. Needs ``pip install -r requirements-batch.txt``.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attn.checkpoints import SOURCES
from attn.images import ImageError
from attn.inspector import Inspection, Inspector
from attn.measures.channels import median_defined
from attn.stems import DETAILS, STAGES, STEMS

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
BATCH = 16


def pictures(folder: Path) -> list[str]:
    """The pictures in ``folder`` and below it, by suffix: sorted paths relative to it."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )


def row_of(inspection: Inspection) -> dict[str, float | int]:
    """One photograph's numbers: medians over its queries and channels. nan = undefined."""
    metrics = inspection.query_metrics
    jensen_shannon, cosine = inspection.specificity
    row: dict[str, float | int] = {
        "height": inspection.image.shape[0],
        "width": inspection.image.shape[1],
        "rows": inspection.grid[0],
        "columns": inspection.grid[1],
        "entropy": float(np.median(metrics.entropy)),
        "perplexity": float(np.median(metrics.perplexity)),
        "distance_px": float(np.median(metrics.distance)),
        "uniform_distance_px": float(np.median(metrics.uniform_distance)),
        "mass_area": float(np.median(metrics.mass_area)),
        "specificity_jensen_shannon": jensen_shannon,
        "specificity_cosine": cosine,
    }
    for name, result in inspection.mechanisms.items():
        row[f"{name}_relative_change"] = result.change
        row[f"{name}_affine_r2"] = median_defined(result.statistics.affine_r2)
        row[f"{name}_delta_r2"] = median_defined(result.statistics.delta_r2)
    return row


class Measure:
    """A worker: one inspector, batches of paths in, columns of numbers out. A file that is no picture is a sentence."""

    def __init__(self, folder: str, longest_side: int, options: Mapping[str, Any]) -> None:
        import torch

        torch.set_num_threads(1)  # one worker a processor
        self.folder = Path(folder)
        self.longest_side = longest_side
        self.inspector = Inspector(**options)
        self.columns = list(row_of(self.inspector.inspect(np.zeros((64, 64, 3), np.uint8), 64)))

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """{"path": (b,)} → one column of b values per number, and the sentence of each picture that failed or ""."""
        rows = [self.measure(str(path)) for path in batch["path"]]
        return {name: np.array([row[name] for row in rows]) for name in ("path", "error", *self.columns)}

    def measure(self, path: str) -> dict[str, Any]:
        """One picture's row; nan throughout where it cannot be used."""
        try:
            numbers = row_of(self.inspector.inspect(self.folder / path, self.longest_side))
        except (ImageError, ValueError) as error:
            return {"path": path, "error": str(error), **dict.fromkeys(self.columns, np.nan)}
        return {"path": path, "error": "", **{name: float(value) for name, value in numbers.items()}}


def done(out: Path) -> set[str]:
    """The paths that complete files in ``out`` hold; a file that was being written when the run ended is removed."""
    import pyarrow.parquet as parquet
    from pyarrow import ArrowInvalid

    paths: set[str] = set()
    for file in sorted(out.glob("*.parquet")):
        try:
            paths.update(parquet.read_table(file, columns=["path"])["path"].to_pylist())
        except ArrowInvalid:
            file.unlink()
    return paths


def run(folder: Path, out: Path, longest_side: int, options: Mapping[str, Any], workers: int | None = None) -> int:
    """Measure what ``out`` lacks of ``folder``; returns how many pictures that were.

    Raises:
        ValueError: no pictures; ImportError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # a busy machine is not a broken one
    import ray
    import ray.data

    folder, out = folder.resolve(), out.resolve()
    every = pictures(folder)
    if not every:
        raise ValueError(f"expected pictures ({', '.join(sorted(SUFFIXES))}) in {folder}, found none")
    out.mkdir(parents=True, exist_ok=True)
    finished = done(out)
    missing = [path for path in every if path not in finished]
    if not missing:
        return 0
    ray.init(num_cpus=workers if "RAY_ADDRESS" not in os.environ else None, include_dashboard=False)
    try:
        # One small file a block: what is finished is on disk, and a worker that dies loses a block at most.
        blocks = -(-len(missing) // BATCH)
        size = max(1, min(blocks, int(ray.cluster_resources()["CPU"])))
        dataset = ray.data.from_items([{"path": path} for path in missing], override_num_blocks=blocks).map_batches(
            Measure,
            fn_constructor_args=(str(folder), longest_side, dict(options)),
            batch_size=BATCH,
            compute=ray.data.ActorPoolStrategy(size=size),
            num_cpus=1,
        )
        # Writing asks for no processor: the workers hold them all, and it would wait until they are done.
        dataset.write_parquet(str(out), mode="append", ray_remote_args={"num_cpus": 0})
    finally:
        ray.shutdown()
    return len(missing)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m attn.batch", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="photographs, in folders of any depth")
    parser.add_argument("out", type=Path, help="folder for the Parquet files; run again to go on")
    parser.add_argument("--stem", choices=STEMS, default="bundled")
    parser.add_argument("--stage", choices=STAGES, default="layer3")
    parser.add_argument("--detail", choices=DETAILS, default="fine", help="how fine the grid of positions is")
    parser.add_argument("--longest-side", type=int, default=320, help="pixels each photograph is scaled to")
    parser.add_argument("--weights", choices=[source for source in SOURCES if source != "file"], default="trained")
    parser.add_argument("--seed", type=int, default=0, help="of random weights")
    parser.add_argument("--workers", type=int, help="processes on this machine (default: one a processor)")
    args = parser.parse_args(arguments)
    options = {name: getattr(args, name) for name in ("stem", "stage", "detail", "weights", "seed")}
    try:
        count = run(args.folder, args.out, args.longest_side, options, args.workers)
    except ImportError as error:
        print(f"{error.name} is missing: pip install -r requirements-batch.txt", file=sys.stderr)
        return 1
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{count} photographs measured; {len(done(args.out))} in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
