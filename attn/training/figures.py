"""Measure the bundled weights on photographs nobody learnt from, and write assets/weights/figures.json.

    python -m attn.training.figures --validation bsds500/val

For each stage and detail: the judge's table (`grouping_auc`), the mean segment error of every mechanism's output, and
the *paired* difference between the AttnBlock with position and every other row on the same photographs, whose interval
is a bootstrap over photographs of the difference itself. Where a stage has tuned weights, the same for those, `tuned`,
compared with the trained block as well.

figures.json: stage → detail → grid, queries, rows, paired, segment_error, tuned (rows, paired, segment_error). The
stage's own rows are those of "fine".
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from attn.bundled import TUNED_FILES, WEIGHTS_DIR, load_bundled
from attn.checkpoints import build_attention, has_tuned
from attn.images import open_image
from attn.stems import DETAILS, ResNetStem, stride_px
from attn.training.grouping_auc import (
    ROWS,
    TRAINED,
    bootstrap_interval,
    load,
    load_segments,
    photograph_aucs,
    summary,
)
from attn.training.train_grouping import segment_error, write_figures

LONGEST_SIDE = 320
# Of a photograph, the same for every row: a fine grid's neighbours are much alike.
QUERIES = 300
# What every other row is compared with.
REFERENCE = "attn_position"
# Rows that depend on the grid alone, not on the features.
OF_THE_GRID = ("rgb", "distance", "people")

Values = dict[str, NDArray[np.floating]]


def paired(reference: NDArray[np.floating], values: Values) -> list[dict[str, Any]]:
    """For each row the mean of `reference` − row over the photographs that have both, with its 95 % interval."""
    differences = []
    for mechanism, each in values.items():
        difference = reference - each
        difference = difference[np.isfinite(difference)]
        low, high = bootstrap_interval(difference)
        mean = float(difference.mean())
        differences.append(
            {"mechanism": mechanism, "difference": mean, "low": low, "high": high, "photographs": len(difference)}
        )
    return differences


@torch.inference_mode()
def segment_errors(
    images: Path, stem: ResNetStem, modules: dict[str, nn.Module], longest_side: int
) -> dict[str, float]:
    """Mean segment error of each module's output over the photographs."""
    errors: dict[str, list[float]] = {name: [] for name in modules}
    for path in sorted(images.glob("*.jpg")):
        x = stem(stem.preprocess(open_image(path), longest_side))
        segments = load_segments(path.with_suffix(".npz"), (x.shape[2], x.shape[3]))
        for name, module in modules.items():
            errors[name].append(float(segment_error(x, module(x), segments)))
    return {name: round(float(np.mean(each)), 4) for name, each in errors.items()}


def measure_source(
    images: Path,
    stage: str,
    detail: str,
    source: str,
    *,
    known: Values | None = None,
    reference: NDArray[np.floating] | None = None,
) -> tuple[dict[str, Any], Values]:
    """Figures of one source's weights, "trained" or "tuned", and the AUC of every photograph for each row.

    Rows of the grid are taken from `known` where it has them, and left out for "tuned". Compared with `reference`, the
    AUC of another source's AttnBlock, or else with this source's own.
    """
    known = known or {}
    stem = ResNetStem("bundled", stage, detail=detail, tuned=source == "tuned")
    weights = load_bundled(TUNED_FILES[stage] if source == "tuned" else f"attention_{stage}.safetensors")
    modules: dict[str, nn.Module] = {name: load(name, stem.channels, weights) for name in TRAINED}
    rows: Sequence[str] = ("features", *TRAINED)
    if source == "trained":
        rows = ROWS
        modules["random"], _ = build_attention(stem.channels, "random", stem="bundled", stage=stage)
    missing = [row for row in rows if row not in known]
    measured, grid = photograph_aucs(images, stem, modules, missing, LONGEST_SIDE, QUERIES)
    values = {row: known[row] if row in known else measured[row] for row in rows}
    compared = {row: each for row, each in values.items() if reference is not None or row != REFERENCE}
    figures = {
        "grid": list(grid),
        "queries": min(QUERIES, grid[0] * grid[1]),
        "rows": [asdict(summary(row, values[row], modules.get(row), grid)) for row in rows],
        "paired": paired(values[REFERENCE] if reference is None else reference, compared),
        "segment_error": segment_errors(images, stem, modules, LONGEST_SIDE),
    }
    return figures, values


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--validation", type=Path, required=True, help="photographs ID.jpg with segments ID.npz")
    parser.add_argument("--stage", choices=("layer2", "layer3"), nargs="+", default=["layer3", "layer2"])
    parser.add_argument("--detail", choices=DETAILS, nargs="+", default=["fine", "coarse", "finest"])
    parser.add_argument("--threads", type=int, default=1, help="more than one pays on an idle machine only")
    parser.add_argument("--output", type=Path, default=WEIGHTS_DIR, help="folder of figures.json")
    args = parser.parse_args(arguments)

    torch.set_num_threads(args.threads)
    of_the_grid: dict[int, Values] = {}
    for stage in args.stage:
        measured: dict[str, Any] = {}
        for detail in args.detail:
            start = time.monotonic()
            stride = stride_px(stage, detail)
            if detail == "coarse" and "fine" in measured and stride == stride_px(stage, "fine"):
                write_figures(args.output, stage, {detail: measured["fine"]})  # the same pass
                continue
            known = of_the_grid.get(stride)
            measured[detail], values = measure_source(args.validation, stage, detail, "trained", known=known)
            of_the_grid[stride] = {row: values[row] for row in OF_THE_GRID}
            if has_tuned("bundled", stage):
                reference = values[REFERENCE]
                tuned, _ = measure_source(args.validation, stage, detail, "tuned", reference=reference)
                measured[detail]["tuned"] = tuned
            print(f"{stage} {detail}: {time.monotonic() - start:.0f} s", flush=True)
            for source, figures in (("trained", measured[detail]), ("tuned", measured[detail].get("tuned"))):
                for row in figures["rows"] if figures else ():
                    line = f"  {source:8}{row['mechanism']:14} {row['auc']:.4f} ({row['low']:.4f}–{row['high']:.4f})"
                    print(line, flush=True)
            common: dict[str, Any] = {"longest_side": LONGEST_SIDE, "stem": "bundled"}
            if detail == "fine":  # the default's stand for the stage
                common |= {name: measured[detail][name] for name in ("grid", "rows", "segment_error")}
            write_figures(args.output, stage, {**common, detail: measured[detail]})


if __name__ == "__main__":
    main()
