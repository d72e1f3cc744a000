"""Measure how well attention groups what people group.

    python -m attn.training.grouping_auc --images bsds500/val --csv layer3.csv

For a query position: the probability that another position of its own human segment is ranked above a position
of another segment, equal scores counting one half. 0.5 is chance, 1 perfect. The query itself is left out, and
queries are skipped whose segment covers every position or only their own. Averages are nested: over the queries of
one annotator, then over the annotators of one photograph, then over photographs. The interval is a bootstrap over
photographs.

A position belongs to the segment with most pixels in its cell. What ranks the positions, one row of the table each:

- random: logits of an untrained AttnBlock; attn, attn_position: of the trained ones. Logits, not the softmax: the
  order is the same, and small weights do not collapse to equal zeros.
- rgb, distance: minus the distance between the cells' mean colours, or between their centres in the image.
- features: cosine of the stem's features.
- se, eca, cbam, cam, xca: the same cosine of the mechanism's output.
- people: each annotator's segments scored by the share of the other annotators who put the two positions together.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from attn.bundled import load_bundled
from attn.checkpoints import build_attention, has_trained
from attn.images import open_image
from attn.measures.attention import positions_px
from attn.mechanisms import MECHANISMS
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock
from attn.stems import DETAILS, STAGES, STEMS, ResNetStem

TRAINED = (
    *(name for name, record in MECHANISMS.items() if name != "spatial" and record.of_block is None),
    "attn",
    "attn_position",
)
ROWS = ("random", "rgb", "distance", "features", *TRAINED, "people")
# Queries ranked at once: bounds the memory on the fine grids of early stages.
CHUNK = 512

T = TypeVar("T")
# Features (1, C, h, w) → scores (N, N), row = query.
Affinity = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """One line of the table. `low`, `high`: 95 % interval. Costs are None where nothing is computed from features."""

    mechanism: str
    auc: float
    low: float
    high: float
    photographs: int
    parameters: int | None = None
    multiply_adds: int | None = None


def build(mechanism: str, channels: int) -> nn.Module:
    """One of `TRAINED` with fresh weights: an AttnBlock, or a channel mechanism as the page uses it."""
    if mechanism == "attn":
        return AttnBlock(channels)
    if mechanism == "attn_position":
        return AttnBlock(channels, encoding=SinusoidalEncoding2d(channels))
    return MECHANISMS[mechanism].build(channels)


def load(mechanism: str, channels: int, weights: dict[str, Tensor]) -> nn.Module:
    """One of `TRAINED` with the tensors "{mechanism}.{parameter}" of `weights`, in eval mode."""
    module = build(mechanism, channels)
    prefix = f"{mechanism}."
    own = {name.removeprefix(prefix): t.float() for name, t in weights.items() if name.startswith(prefix)}
    module.load_state_dict(own)
    return module.eval().requires_grad_(False)


def affinity(module: nn.Module, features: Tensor) -> Tensor:
    """Scores (b, N, N) of a module on features (b, C, h, w): an AttnBlock's logits, else the cosine of the output."""
    if isinstance(module, AttnBlock):
        q, k = module.queries_keys(features)
        return q @ k.transpose(1, 2)
    return cosine(module(features))


def cosine(features: Tensor) -> Tensor:
    """Cosine (b, N, N) between the positions of features (b, C, h, w)."""
    tokens = F.normalize(features.flatten(2), dim=1)  # (b, C, N)
    return tokens.transpose(1, 2) @ tokens


def grid_segments(segmentation: NDArray[np.integer], grid: tuple[int, int]) -> Tensor:
    """Segment of each position, (N,) int64: the one with most pixels of its cell in `segmentation` (H, W)."""
    height, width = segmentation.shape
    rows, columns = np.arange(height) * grid[0] // height, np.arange(width) * grid[1] // width
    cells = rows[:, None] * grid[1] + columns  # (H, W), the cell of every pixel
    names, segments = np.unique(segmentation, return_inverse=True)
    cells_and_segments = cells.ravel() * len(names) + segments.ravel()
    pixels = np.bincount(cells_and_segments, minlength=grid[0] * grid[1] * len(names)).reshape(-1, len(names))
    return torch.from_numpy(names[pixels.argmax(axis=1)].astype(np.int64))


def load_segments(path: Path, grid: tuple[int, int]) -> Tensor:
    """Segment of each position for every annotator of a .npz file, (annotators, N) int64."""
    with np.load(path) as file:
        names = sorted(file.files, key=lambda name: int(name.removeprefix("arr_")))
        return torch.stack([grid_segments(file[name], grid) for name in names])


def query_aucs(scores: Tensor, segments: Tensor, queries: Tensor | None = None) -> Tensor:
    """AUC of every query, (annotators, N), from scores (N, N) and segments (annotators, N); nan = skipped.

    `queries` (Q,) asks for these alone, (annotators, Q).

    Each row of scores is sorted once for all annotators: the AUC is the Mann-Whitney statistic, the sum of the
    positives' ranks less the least it can be. Raises ValueError for other shapes and scores that are not finite.
    """
    n = segments.shape[-1]
    if segments.ndim != 2 or scores.shape != (n, n):
        raise ValueError(
            f"expected scores (N, N), segments (annotators, N), got {(*scores.shape,)}, {(*segments.shape,)}"
        )
    if not scores.isfinite().all():
        raise ValueError("expected finite scores")
    chosen = torch.arange(n) if queries is None else queries
    aucs: list[Tensor] = []
    members = [F.one_hot(segment.unique(return_inverse=True)[1]).double() for segment in segments]  # (N, segments)
    for some in chosen.split(CHUNK):
        itself = torch.arange(n) == some[:, None]  # (q, N)
        # The query is ranked last of all, at 0, and so drops out of every sum.
        ranks = _ranks(scores[some].masked_fill(itself, -torch.inf)) - 1
        found = []
        for member in members:
            own = member[some]  # (q, segments), one 1 a row
            positives = own @ member.sum(0) - 1
            negatives = n - 1 - positives
            smallest = positives * (positives + 1) / 2
            total = (ranks @ member * own).sum(1)  # of the ranks in the own segment
            found.append(((total - smallest) / (positives * negatives)).float())
        aucs.append(torch.stack(found))
    joined = torch.cat(aucs, dim=1)
    # A query without positives or without negatives was divided by zero.
    return joined.where(joined.isfinite(), torch.nan)


def grouping_auc(scores: Tensor, segments: Tensor, queries: Tensor | None = None) -> float:
    """AUC of scores (N, N) against segments (annotators, N): mean over queries, then annotators; nan = all skipped.

    `queries` (Q,) are those that count; None counts all.
    """
    return float(query_aucs(scores, segments, queries).nanmean(1).nanmean())


def drawn_queries(positions: int, most: int) -> Tensor:
    """`most` of so many positions, or all if there are no more; always the same for the same number."""
    return torch.from_numpy(np.random.default_rng(positions).permutation(positions)[:most])


def people_auc(segments: Tensor, queries: Tensor | None = None) -> float:
    """AUC of each annotator of segments (annotators, N) scored by the others, averaged; nan for a single annotator."""
    if len(segments) < 2:
        return float("nan")
    together = (segments[:, :, None] == segments[:, None, :]).float()  # (annotators, N, N)
    total = together.sum(0)
    scores = [
        grouping_auc(total - own, segment[None], queries) for own, segment in zip(together, segments, strict=True)
    ]
    return float(np.nanmean(scores))


def held_out(folder: Path, count: int = 40, seed: int = 123) -> list[Path]:
    """The photographs of a training folder that choices between recipes are made on: `count` drawn from `seed`."""
    paths = sorted(folder.glob("*.jpg"))
    return sorted(paths[i] for i in np.random.default_rng(seed).permutation(len(paths))[:count])


def bootstrap_interval(
    values: NDArray[np.floating], level: float = 0.95, resamples: int = 10000
) -> tuple[float, float]:
    """Percentile interval of the mean of `values` (n,), drawn with replacement from a fixed seed."""
    draws = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def measure(images: Path, stem: ResNetStem, modules: dict[str, nn.Module], rows: Sequence[str], side: int) -> list[Row]:
    """The table for the photographs `ID.jpg` + `ID.npz` in `images`, brought to a longest side of `side` px.

    `modules` ranks the rows that have one. Raises ValueError where the folder holds no such pair.
    """
    values, grid = photograph_aucs(images, stem, modules, rows, side)
    return [summary(row, values[row], modules.get(row), grid) for row in rows]


def photograph_aucs(
    images: Path,
    stem: ResNetStem,
    modules: dict[str, nn.Module],
    rows: Sequence[str],
    side: int,
    most_queries: int | None = None,
) -> tuple[dict[str, NDArray[np.floating]], tuple[int, int]]:
    """For each row the AUC of every photograph, nan where it has none, and the last photograph's grid.

    `most_queries` a photograph count, see `drawn_queries`; None counts all. Other arguments and errors as `measure`.
    """
    photographs = [path for path in sorted(images.glob("*.jpg")) if path.with_suffix(".npz").is_file()]
    if not photographs:
        raise ValueError(f"expected photographs ID.jpg with segments ID.npz in {images}, found none")
    values: dict[str, list[float]] = {row: [] for row in rows}
    grid = (0, 0)
    for path in _progress(photographs):
        with torch.inference_mode():
            pixels = stem.preprocess(open_image(path), side)
            features = stem(pixels)
            grid = (features.shape[2], features.shape[3])
            segments = load_segments(path.with_suffix(".npz"), grid)
            queries = None if most_queries is None else drawn_queries(segments.shape[1], most_queries)
            for row in rows:
                if row == "people":
                    values[row].append(people_auc(segments, queries))
                else:
                    scores = _scores(row, pixels, features, stem, modules)
                    values[row].append(grouping_auc(scores, segments, queries))
    return {row: np.array(each) for row, each in values.items()}, grid


def _scores(row: str, pixels: Tensor, features: Tensor, stem: ResNetStem, modules: dict[str, nn.Module]) -> Tensor:
    if row == "rgb":
        colours = F.avg_pool2d(pixels * torch.tensor(stem.std).view(1, 3, 1, 1), stem.stride_px)
        colours = colours.flatten(2)[0].T.contiguous()  # (N, 3)
        return -torch.cdist(colours, colours)
    if row == "distance":
        centres = torch.from_numpy(positions_px((features.shape[2], features.shape[3]), stem.stride_px)).float()
        return -torch.cdist(centres, centres, compute_mode="donot_use_mm_for_euclid_dist")
    if row == "features":
        return cosine(features)[0]
    return affinity(modules[row], features)[0]


def summary(row: str, values: NDArray[np.floating], module: nn.Module | None, grid: tuple[int, int]) -> Row:
    """The line of the table for a row's AUC on every photograph, with the costs of `module` on `grid`."""
    values = values[np.isfinite(values)]
    low, high = bootstrap_interval(values) if len(values) else (float("nan"), float("nan"))
    auc = float(values.mean()) if len(values) else float("nan")
    if module is None:
        return Row(row, auc, low, high, len(values))
    parameters = sum(p.numel() for p in module.parameters())
    return Row(row, auc, low, high, len(values), parameters, module.multiply_adds(*grid))  # type: ignore[operator]


def _ranks(rows: Tensor) -> Tensor:
    """Rank of every score in its row, from 1, float64; equal scores share the mean of their ranks."""
    ordered, order = rows.sort(dim=1)
    n = rows.shape[1]
    if not (ordered[:, 1:] == ordered[:, :-1]).any():
        return torch.empty(rows.shape, dtype=torch.float64).scatter_(
            1, order, torch.arange(1, n + 1, dtype=torch.float64).expand(len(rows), -1)
        )
    starts = F.pad(ordered[:, 1:] != ordered[:, :-1], (1, 0), value=True)
    ends = F.pad(starts[:, 1:], (0, 1), value=True)
    places = torch.arange(1, n + 1, dtype=torch.float64)
    first = places.where(starts, 0).cummax(1).values
    last = places.where(ends, n).flip(1).cummin(1).values.flip(1)
    return torch.empty_like(first).scatter_(1, order, (first + last) / 2)


def _progress(items: Sequence[T]) -> Iterator[T]:
    """The items, with a bar on the error stream."""
    start = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        bar = "█" * (30 * done // len(items))
        print(
            f"\r{bar:░<30} {done}/{len(items)}, {time.monotonic() - start:.0f} s", end="", file=sys.stderr, flush=True
        )
    print(file=sys.stderr)


def format_table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| mechanism | grouping AUC | 95 % interval | parameters | multiply-adds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        costs = ["–" if cost is None else f"{cost:,}" for cost in (row.parameters, row.multiply_adds)]
        lines.append(f"| {row.mechanism} | {row.auc:.4f} | {row.low:.4f}–{row.high:.4f} | {costs[0]} | {costs[1]} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs ID.jpg with segments ID.npz")
    parser.add_argument("--stem", choices=STEMS, default="bundled")
    parser.add_argument("--stage", choices=STAGES, default="layer3")
    parser.add_argument("--detail", choices=DETAILS, default="fine")
    parser.add_argument("--mechanism", choices=ROWS, nargs="+", help="rows of the table; by default all there are")
    parser.add_argument("--weights", type=Path, help="trained attention to measure in place of the bundled file")
    parser.add_argument("--longest-side", type=int, default=320, help="px")
    parser.add_argument("--seed", type=int, default=0, help="of the random block")
    parser.add_argument("--threads", type=int, default=1, help="more than one pays on an idle machine only")
    parser.add_argument("--csv", type=Path, help="write the table here too")
    args = parser.parse_args(arguments)

    torch.set_num_threads(args.threads)
    stem = ResNetStem(args.stem, args.stage, detail=args.detail)
    trained = args.weights is not None or has_trained(args.stem, args.stage)
    wanted = args.mechanism or [row for row in ROWS if trained or row not in TRAINED]
    modules: dict[str, nn.Module] = {}
    if "random" in wanted:
        modules["random"], _ = build_attention(
            stem.channels, "random", stem=args.stem, stage=args.stage, seed=args.seed
        )
    if names := [row for row in wanted if row in TRAINED]:
        if not trained:
            parser.error(f"no trained {', '.join(names)} for {args.stem} at {args.stage}: give --weights")
        weights = load_file(args.weights) if args.weights else load_bundled(f"attention_{args.stage}.safetensors")
        modules |= {name: load(name, stem.channels, weights) for name in names}
    try:
        table = measure(args.images, stem, modules, wanted, args.longest_side)
    except ValueError as error:
        parser.error(str(error))
    setting = f"{args.stem} {args.stage} {args.detail}, {args.longest_side} px"
    print(f"{setting}, {table[0].photographs} photographs of {args.images}\n")
    print(format_table(table))
    if args.csv:
        with args.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Row)])
            writer.writeheader()
            writer.writerows(asdict(row) for row in table)


if __name__ == "__main__":
    main()
