"""The numbers of a whole folder of photographs, as Parquet: ``python -m attn.batch FOLDER OUT``.

One row a photograph. Stopped at any moment it goes on where it was: what lies in OUT is not computed again, unless the
photograph has changed. The work is spread over the processors of this machine by Ray Data, or over a cluster where
RAY_ADDRESS names one and FOLDER, OUT and this repository have the same paths on all its machines; a machine that is
lost on the way costs time only. Needs ``pip install -r requirements-batch.txt``.

Two runs at once in one OUT are refused: the second ends with a sentence, and nothing is left of one that was killed.

In OUT only files named ``attn-….parquet`` that hold the settings they were made with are read, replaced or counted.
Column ``path`` is relative to FOLDER; in it a backslash stands as two, and a byte that is not UTF-8 as ``\\xe9``.
"""

import argparse
import contextlib
import errno
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attn import bundled
from attn.checkpoints import SOURCES
from attn.images import SUFFIXES
from attn.inspector import Inspection, Inspector
from attn.measures.channels import median_defined
from attn.stems import DETAILS, STAGES, STEMS

BATCH = 16
# A side of the grid: a map of 128² × 128² float32 is 1 GB, in every worker.
MAX_ROWS = 128
_SETTINGS = b"attn.batch"  # where a file of ours keeps its settings, as JSON
_ABANDONED_SECONDS = 3600.0
_LOCK = ".attn.lock"


def pictures(folder: Path) -> list[str]:
    """The pictures in ``folder`` and below it, by suffix: sorted paths relative to it.

    Raises:
        OSError: it, or a folder in it, cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    return sorted(
        (Path(parent) / name).relative_to(folder).as_posix()
        for parent, _, names in os.walk(folder, onerror=fail)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and (Path(parent) / name).is_file()
    )


def path_text(path: str) -> str:
    """A path as text that every program can read: a backslash doubled, a byte that is not UTF-8 as ``\\xe9``."""
    return os.fsencode(path).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def text_path(text: str) -> str:
    """The path that `path_text` wrote."""
    return os.fsdecode(
        re.sub(
            rb"\\(?:x([0-9a-f]{2})|\\)",
            lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\",
            text.encode(),
        )
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


def settings_of(folder: Path, longest_side: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """All that the numbers depend on but the photographs themselves."""
    manifest = (bundled.WEIGHTS_DIR / bundled.MANIFEST).read_bytes()
    return {
        "folder": path_text(str(folder)),
        "longest_side": longest_side,
        **options,
        "bundled_weights": hashlib.sha256(manifest).hexdigest()[:12],
    }


class Measure:
    """One inspector: batches of paths in, columns of numbers out. A file that is no picture is a sentence."""

    def __init__(self, folder: str, longest_side: int, options: Mapping[str, Any]) -> None:
        import torch

        torch.set_num_threads(1)  # one worker a processor
        self.folder = Path(text_path(folder))
        self.longest_side = longest_side
        self.inspector = Inspector(**options, max_rows=MAX_ROWS)
        self.columns = list(row_of(self.inspector.inspect(np.zeros((64, 64, 3), np.uint8), 64)))

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """{"path": (b,) as `path_text`} → one column of b values per number, of each photograph's `version`, and of
        two sentences: why it could not be used, and what had to be guessed; "" for none."""
        rows = [self.measure(str(path)) for path in batch["path"]]
        names = ("path", "bytes", "modified_ns", "error", "notice", *self.columns)
        return {name: np.array([row[name] for row in rows]) for name in names}

    def measure(self, name: str) -> dict[str, Any]:
        """One picture's row; nan throughout where it cannot be used."""
        path = self.folder / text_path(name)
        row: dict[str, Any] = {"path": name, "bytes": -1, "modified_ns": -1, "error": "", "notice": ""}
        try:
            row["bytes"], row["modified_ns"] = version(path)  # before it is read: a change meanwhile is seen later
            inspection = self.inspector.inspect(path, self.longest_side)
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            return row | {"error": str(error) or type(error).__name__} | dict.fromkeys(self.columns, np.nan)
        row["notice"] = " ".join(map(str, inspection.notices))
        return row | {key: float(value) for key, value in row_of(inspection).items()}


class MeasureToFiles:
    """`Measure` whose every batch becomes a Parquet file in ``out``; what it returns says only how many they were."""

    def __init__(self, folder: str, out: str, longest_side: int, options: Mapping[str, Any]) -> None:
        self.out = Path(text_path(out))
        self.settings = settings_of(Path(text_path(folder)), longest_side, options)
        self.measure = Measure(folder, longest_side, options)

    def __call__(self, rows: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, Any]:
        """{"paths": (1,) lists of paths} → how many of them could not be used."""
        failed = 0
        for paths in rows["paths"]:
            columns = self.measure({"path": paths})
            write(self.out, columns, self.settings)
            failed += int(np.count_nonzero(columns["error"] != ""))
        return {"failed": np.array([failed])}


def version(path: Path) -> tuple[int, int]:
    """What tells a photograph from another one of the same name: its bytes and when it was modified."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def write(out: Path, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """A Parquet file of these columns, whole or not at all. The same photographs again have the same file."""
    import pyarrow
    import pyarrow.parquet

    content = io.BytesIO()
    table = pyarrow.table(dict(columns)).replace_schema_metadata({_SETTINGS: json.dumps(settings)})
    pyarrow.parquet.write_table(table, content)
    name = hashlib.sha256("\n".join(columns["path"]).encode()).hexdigest()[:16]
    with tempfile.NamedTemporaryFile(dir=out, prefix=".attn-", suffix=".part", delete=False) as part:
        part.write(content.getbuffer())
        part.flush()
        os.fsync(part.fileno())
    Path(part.name).chmod(0o644)
    Path(part.name).replace(out / f"attn-{name}.parquet")


def results(out: Path) -> dict[Path, tuple[dict[str, Any], dict[str, tuple[int, int]]]]:
    """Our files in ``out`` → their settings, and the `version` of each path they hold. Others are passed over."""
    import pyarrow.parquet
    from pyarrow import ArrowException

    found = {}
    for file in sorted(out.glob("attn-*.parquet")):
        try:
            settings = json.loads((pyarrow.parquet.read_schema(file).metadata or {})[_SETTINGS])
            columns = pyarrow.parquet.read_table(file, columns=["path", "bytes", "modified_ns"]).to_pydict()
        except (ArrowException, KeyError, ValueError, OSError):
            continue
        versions = zip(columns["bytes"], columns["modified_ns"], strict=True)
        found[file] = settings, dict(zip(columns["path"], versions, strict=True))
    return found


def done(out: Path) -> set[str]:
    """The paths, as `path_text`, that our files in ``out`` hold."""
    return {name for _, versions in results(out).values() for name in versions}


def check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Raises ValueError where ``out`` holds numbers that were made with others."""
    for old, _ in results(out).values():
        differing = [
            f"{name} {old.get(name)}, not {settings.get(name)}"
            for name in sorted({*settings, *old})
            if old.get(name) != settings.get(name)
        ]
        if differing:
            raise ValueError(f"{out} holds numbers of other settings ({'; '.join(differing)}): choose another folder.")


def forget(out: Path, names: set[str]) -> None:
    """Takes the rows of these photographs out of our files, and what a run that was killed left half written."""
    import pyarrow
    import pyarrow.parquet

    for file, (settings, versions) in results(out).items():
        if names.isdisjoint(versions):
            continue
        table = pyarrow.parquet.read_table(file)
        kept = table.filter(pyarrow.array([name not in names for name in table["path"].to_pylist()]))
        if kept.num_rows:
            write(out, kept.to_pydict(), settings)
        file.unlink()
    for part in out.glob(".attn-*.part"):
        if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:  # a younger one may be another run's
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """``out``, made if need be, for one run at a time; the system ends the lock with the process, however that ends.

    Raises:
        ValueError: another run is at work there; OSError: it cannot be made or written.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    path = out / _LOCK
    handle = -1
    try:
        while handle < 0:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever held it may have deleted the file between the two lines above.
                here = path.exists() and os.path.samestat(os.fstat(handle), path.stat())
            except BlockingIOError:
                raise ValueError(f"another run is writing to {out}: wait for it, or choose another folder.") from None
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                    raise
                here = True  # a file system without locks
            if not here:
                os.close(handle)
                handle = -1
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if made:
                with contextlib.suppress(OSError):  # not empty
                    out.rmdir()
    finally:
        if handle >= 0:
            os.close(handle)


def check(folder: Path, out: Path, longest_side: int, options: Mapping[str, Any]) -> list[str]:
    """What ``out`` lacks of ``folder``, as `path_text`; everything is tried before the first photograph is.

    Raises:
        ValueError: no pictures, settings that do not go together, or others in ``out``; OSError: a folder cannot be
        read or written; RuntimeError: weights that cannot be had; ImportError: pyarrow is not installed.
    """
    if not folder.is_dir():
        raise ValueError(f"expected a folder of photographs, there is none at {folder}.")
    every = pictures(folder)
    if not every:
        raise ValueError(f"expected pictures ({', '.join(SUFFIXES)}) in {folder}, found none.")
    check_settings(out, settings_of(folder, longest_side, options))
    inspector = Inspector(**options)
    inspector.stem.check_grid((64, 64), longest_side, MAX_ROWS, MAX_ROWS)
    inspector.inspect(np.zeros((64, 64, 3), np.uint8), 64)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
        pass
    finished: dict[str, tuple[int, int]] = {}
    for _, versions in results(out).values():
        finished |= versions
    names = {path_text(path): path for path in every}
    changed = {name for name in names.keys() & finished.keys() if finished[name] != version(folder / names[name])}
    forget(out, changed)
    return [name for name in names if name not in finished or name in changed]


def run(
    folder: Path, out: Path, longest_side: int, options: Mapping[str, Any], workers: int | None = None
) -> tuple[int, int]:
    """Measure what ``out`` lacks of ``folder``; returns how many pictures that were, and how many could not be used.

    Raises:
        as `check` and `alone`, and ImportError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # a busy machine is not a broken one
    import ray.data  # noqa: F401 - said before anything is touched, where it is missing

    folder, out = folder.resolve(), out.resolve()
    with alone(out):
        missing = check(folder, out, longest_side, options)
        return len(missing), _measure(missing, folder, out, longest_side, options, workers) if missing else 0


def _measure(
    missing: list[str], folder: Path, out: Path, longest_side: int, options: Mapping[str, Any], workers: int | None
) -> int:
    """Measure these photographs with Ray; how many could not be used. Raises RuntimeError."""
    import ray
    import ray.data

    try:
        # A cluster is the one that is named. Left to itself Ray takes the last one started here, which may be dead.
        named = "RAY_ADDRESS" in os.environ
        ray.init(None if named else "local", num_cpus=None if named else workers, include_dashboard=False)
    except Exception as error:  # Ray raises plain ones
        raise RuntimeError(f"Ray could not start: {str(error).splitlines()[0]}") from error
    try:
        # A row is a batch, and a batch a file: Ray may cut and join rows as it likes, and do one twice.
        batches = [{"paths": missing[start : start + BATCH]} for start in range(0, len(missing), BATCH)]
        size = max(1, min(len(batches), int(ray.cluster_resources()["CPU"])))
        counts = ray.data.from_items(batches, override_num_blocks=len(batches)).map_batches(
            MeasureToFiles,
            fn_constructor_args=(path_text(str(folder)), path_text(str(out)), longest_side, dict(options)),
            batch_size=1,
            # Where a machine is lost there is room for fewer: the rest go on without the others.
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=size, initial_size=size),
            num_cpus=1,
        )
        failed = sum(int(row["failed"]) for row in counts.iter_rows())
    finally:
        ray.shutdown()
    if lost := set(missing) - done(out):
        raise RuntimeError(f"{len(lost)} photographs were not measured: run the same command again.")
    return failed


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
    if args.workers is not None and args.workers < 1:
        parser.error(f"argument --workers: expected at least 1, got {args.workers}")
    options = {name: getattr(args, name) for name in ("stem", "stage", "detail", "weights", "seed")}
    try:
        count, failed = run(args.folder, args.out, args.longest_side, options, args.workers)
    except ImportError as error:
        print(f"{error.name} is missing: pip install -r requirements-batch.txt", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or args.out}: {error.strerror or error}", file=sys.stderr)
        return 1
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    if failed:
        print(f"{failed} could not be used: the column error says why")
    print(f"{count} photographs measured; {len(done(args.out))} in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
