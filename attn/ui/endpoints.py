"""The interface for programs: `inspect` and `query`, over HTTP and as MCP tools."""

import io
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np
from PIL import Image

from attn.errors import PlainError
from attn.inspector import Inspection
from attn.measures.attention import query_metrics
from attn.measures.channels import median_defined
from attn.ui.answers import encoding_of, inspection_of, inspector_of, weights_badge
from attn.ui.controls import CONTROLS, ControlError, Controls, whole_number
from attn.ui.storage import store
from attn.ui.turns import Turns, current_caller
from attn.ui.wording import plain_errors


def inspect(
    image: str,
    stem: str,
    stage: str,
    longest_side: float,
    weights: str,
    position: bool,
    seed: float,
    file: str | None = None,
    detail: str = "fine",
    file_block: str = "",
) -> tuple[dict[str, Any], str]:
    """Inspect a photograph: the numbers of every query and mechanism, and the arrays behind them as an NPZ file.

    The map is the softmax of queries @ keys.T over the keys.

    Args:
        image: the photograph.
        stem: the pretrained network.
        stage: where the network is cut; deeper stages have fewer, larger positions.
        longest_side: pixels the photograph is scaled to before the network sees it.
        weights: of the attention block: trained, feature similarity, random as in the note, or the given file.
        position: give the trained block its 2-D positional encoding.
        seed: of random weights.
        file: safetensors with norm, q, k, v and proj_out, for weights = file.
        detail: coarse, fine or finest grid of positions; finest averages over sizes and mirror images, for figures.
        file_block: which attention block of the file, as in decoder.mid.attn_1; empty takes the only one that fits.

    Returns:
        numbers per query and per mechanism
        the arrays as NPZ, with a README of their shapes inside
    """
    with plain_errors("en"):
        inspection = inspection_of(
            _controls(image, stem, stage, longest_side, weights, position, seed, file, detail, file_block)
        )
    from attn.figures.export import npz_bytes  # with matplotlib, which the page starts without

    return report(inspection), store(npz_bytes(inspection, attention=False), "inspection.npz")


def query(
    row: float,
    column: float,
    image: str,
    stem: str,
    stage: str,
    longest_side: float,
    weights: str,
    position: bool,
    seed: float,
    file: str | None = None,
    detail: str = "fine",
    file_block: str = "",
) -> tuple[dict[str, Any], str]:
    """Where one position of a photograph attends: its map, its numbers, and the map over the photograph as PNG.

    Args:
        row: of the position, from 0 at the top.
        column: of the position, from 0 at the left.
        image: the photograph.
        stem: the pretrained network.
        stage: where the network is cut; deeper stages have fewer, larger positions.
        longest_side: pixels the photograph is scaled to before the network sees it.
        weights: of the attention block: trained, feature similarity, random as in the note, or the given file.
        position: give the trained block its 2-D positional encoding.
        seed: of random weights.
        file: safetensors with norm, q, k, v and proj_out, for weights = file.
        detail: coarse, fine or finest grid of positions; finest averages over sizes and mirror images, for figures.
        file_block: which attention block of the file, as in decoder.mid.attn_1; empty takes the only one that fits.

    Returns:
        the map and its numbers
        the map over the photograph
    """
    with plain_errors("en"):
        controls = _controls(image, stem, stage, longest_side, weights, position, seed, file, detail, file_block)
        encoding = encoding_of(controls)
        height, width = encoding.grid
        row = whole_number("row", row, 0, height - 1)
        column = whole_number("column", column, 0, width - 1)
    index = row * width + column
    attention = encoding.attention_rows([index])
    metrics = query_metrics(attention, encoding.grid, encoding.stride_px, queries=[index])
    answer = {
        "row": row,
        "column": column,
        "grid": [height, width],
        "stride_px": encoding.stride_px,
        "weights": weights_badge(inspector_of(controls).sources["spatial"]),
        "attention": attention.reshape(height, width).tolist(),
        "metrics": {name: float(values[0]) for name, values in vars(metrics).items()},
    }
    from attn.figures.render import overlay

    picture = io.BytesIO()
    Image.fromarray(overlay(encoding.image, attention[0], encoding.grid)).save(picture, "PNG")
    return answer, store(picture.getvalue(), "query.png")


def in_turn(function: Callable[..., Any], turns: Turns) -> Callable[..., Any]:
    """The endpoint as it is served: in its turn among everything else that is computed."""
    names = signature(function)

    @wraps(function)
    async def answer(*arguments: Any) -> Any:
        given = names.bind(*arguments).arguments
        asked = Controls(**{name: value for name, value in given.items() if name in CONTROLS})
        large = False
        with suppress(PlainError):  # what is wrong is said by the endpoint itself
            large = asked.checked().large
        with plain_errors("en"):
            return await turns.run(function, *arguments, caller=current_caller.get(), large=large)

    return answer


def report(inspection: Inspection) -> dict[str, Any]:
    """The numbers of an inspection as JSON-able values; the arrays travel in the NPZ file."""
    jensen_shannon, cosine = inspection.specificity
    return {
        "stem": inspection.stem,
        "stage": inspection.stage,
        "image_size": [inspection.image.shape[1], inspection.image.shape[0]],
        "grid": list(inspection.grid),
        "stride_px": inspection.stride_px,
        "channels": len(inspection.features),
        "specificity": {"jensen_shannon": jensen_shannon, "cosine": cosine},
        "query_metrics": {name: np.asarray(v).tolist() for name, v in vars(inspection.query_metrics).items()},
        "mechanisms": {
            name: {
                "title": result.title,
                "kind": result.kind,
                "weights": weights_badge(result.source),
                "relative_change": _defined(result.change),
                "affine_r2_median": _defined(median_defined(result.statistics.affine_r2)),
                "delta_r2_median": _defined(median_defined(result.statistics.delta_r2)),
                "parameters": result.cost.parameters,
                "multiply_adds": result.cost.multiply_adds,
                "milliseconds": _defined(result.cost.milliseconds),
                "note": result.note and result.note.sentence(),
                "error": result.error and str(result.error),
            }
            for name, result in inspection.mechanisms.items()
        },
        "trace": [{"step": step.name, "shape": list(step.shape), "note": step.note} for step in inspection.trace],
    }


def _controls(
    image: str,
    stem: str,
    stage: str,
    longest_side: float,
    weights: str,
    position: bool,
    seed: float,
    file: str | None,
    detail: str,
    file_block: str,
) -> Controls:
    if not image:
        raise ControlError("page.error.no_image")
    # Numbers as they came: `checked` makes ints of them or says what is wrong.
    return Controls(
        photograph=image,
        stem=stem,
        stage=stage,
        longest_side=longest_side,  # type: ignore[arg-type]
        weights=weights,
        position=position,
        seed=seed,  # type: ignore[arg-type]
        file=file,
        detail=detail,
        file_block=file_block,
    ).checked()


def _defined(value: float) -> float | None:
    """JSON has no NaN: undefined is null."""
    return float(value) if np.isfinite(value) else None
