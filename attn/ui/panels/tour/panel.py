"""The guided tour: eight questions, answered by the reader first and then by the page, in the reader's own picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gradio as gr
import numpy as np

from attn.inspector import Inspection
from attn.measures.channels import median_defined
from attn.measures.shuffle import ShuffleResult
from attn.ui.component import component_files


class Tour(gr.HTML):
    """A panel beside the page that drives it through ``attn.page.set`` and the page's events.

    Its value is `tour_facts`: the numbers it quotes.
    """

    def __init__(self, value: dict[str, Any] | None = None, **arguments: Any) -> None:
        super().__init__(value, apply_default_css=False, **component_files("tour"), **arguments)

    def postprocess(self, value: Any) -> Any:
        """The value as it is: gr.HTML expects a string."""
        return value

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value (gr.HTML says "string")."""
        return {"type": "object"}


def tour_facts(inspection: Inspection, shuffles: Mapping[str, ShuffleResult]) -> dict[str, Any]:
    """The numbers the tour quotes about the picture on the page; None where undefined.

    ``shuffles`` are those of the lab. queries: two positions [row, col] that attend to different places;
    shared: what their maps have in common, 0 … 1; perplexity: of the first. r2, delta_r2: median affine R² over the
    channels, of the output and of what is added. shuffle_error: relative error of what is added, put back in order.
    """
    stats = {name: result.statistics for name, result in inspection.mechanisms.items()}
    queries, shared = contrasting_queries(inspection)
    first = queries[0][0] * inspection.grid[1] + queries[0][1]
    return {
        "source": inspection.mechanisms["spatial"].source.source,
        "grid": list(inspection.grid),
        "positions": inspection.grid[0] * inspection.grid[1],
        "channels": len(inspection.features),
        "queries": queries,
        "shared": shared,
        "perplexity": float(inspection.query_metrics.perplexity[first]),
        "specificity": float(inspection.specificity[0]),
        "entropy": float(inspection.query_metrics.entropy.mean()),
        "r2": {name: _defined(median_defined(each.affine_r2)) for name, each in stats.items()},
        "delta_r2": {name: _defined(median_defined(each.delta_r2)) for name, each in stats.items()},
        "shuffle_error": {name: _defined(result.change_error) for name, result in shuffles.items()},
    }


def contrasting_queries(inspection: Inspection) -> tuple[list[list[int]], float]:
    """Two positions whose maps have little in common, and how much that is (0 … 1).

    They are the furthest apart of 25 spread over the picture, the half left out that attends to fewest positions.
    """
    height, width = inspection.grid
    rows, cols = (np.unique((np.linspace(0.15, 0.85, 5) * size).astype(int)) for size in (height, width))
    index = (rows[:, None] * width + cols).ravel()
    perplexity = inspection.query_metrics.perplexity[index]
    index = index[perplexity >= np.median(perplexity)]
    maps = inspection.attention_rows(index.tolist())  # (places, N)
    shared = np.minimum(maps[:, None], maps[None]).sum(axis=-1)
    pair = index[sorted(np.unravel_index(shared.argmin(), shared.shape))]
    return [[int(place) // width, int(place) % width] for place in pair], float(min(shared.min(), 1.0))


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
