"""The transposition: the same features and the same product, taken over positions and over channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
from gradio.components.base import Component
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray

from attn.inspector import Inspection, Inspector
from attn.measures.shuffle import shuffle_test
from attn.ui.component import cached_file, component_files, pack_arrays
from attn.ui.panels.channels.panel import pool_matrix

Array = NDArray[np.float32]

SLICES = 8  # of the cube's picture
# Most rows and columns that the pictures show of a map and of q or k; beyond, blocks are averaged.
MAP_SIDE = 120
FACTOR_SHAPE = (160, 48)
STEPS = 256  # codes of one × uniform


@dataclass(frozen=True, eq=False)
class TranspositionView:
    """The value of `Transposition`.

    features: (C, h, w). queries, keys: (N, C), as the AttnBlock compares them. positions: (N, N) and channels: (C, C),
    the two maps, rows sum to 1. error: relative change of the (C, C) map when the positions are shuffled.
    """

    features: Array
    queries: Array
    keys: Array
    positions: Array
    channels: Array
    error: float


def transposition_view(inspection: Inspection, inspector: Inspector, seed: int = 0) -> TranspositionView | None:
    """The part of an inspection that this panel shows, or None where the block in use cannot be turned."""
    turned = inspection.mechanisms.get("transposed")
    if turned is None or turned.weights is None:
        return None
    return TranspositionView(
        features=inspection.features,
        queries=inspection.queries,
        keys=inspection.keys,
        positions=inspection.attention,
        channels=turned.weights,
        error=shuffle_test(inspection.features, inspector.mechanisms["transposed"], seed).weights_error,
    )


class TranspositionData(GradioModel):
    """What the browser receives."""

    arrays: FileData
    grid: list[int]
    positions: int
    channels: int
    slices: list[int]  # channels whose maps are the cube's slices, the front one last
    factor: list[int]  # rows, columns of q's and k's pictures
    sides: dict[str, int]  # of the maps' pictures
    steps: int
    shuffle: dict[str, float]


class Transposition(gr.HTML):
    """The cube of features, and its product with itself, turned by a switch."""

    data_model = TranspositionData

    def __init__(self, value: TranspositionView | None = None, **arguments: Any) -> None:
        super().__init__(value, apply_default_css=False, **component_files("transposition"), **arguments)

    def postprocess(self, value: TranspositionView | None) -> TranspositionData | None:
        """The view as files in Gradio's cache; None leaves what is shown."""
        if value is None:
            return None
        arrays, slices = transposition_arrays(value)
        packed = pack_arrays(arrays)
        channels, rows, cols = value.features.shape
        return TranspositionData(
            arrays=cached_file(packed, "transposition.safetensors.gz", self.GRADIO_CACHE, "application/gzip"),
            grid=[rows, cols],
            positions=rows * cols,
            channels=channels,
            slices=slices,
            factor=list(arrays["queries"].shape),
            sides={"positions": len(arrays["positions"]), "channels": len(arrays["channels"])},
            steps=STEPS,
            shuffle={"channels": value.error},
        )

    def preprocess(self, payload: TranspositionData | None) -> None:
        """Nothing: the panel only shows."""

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value, as `data_model` has it."""
        return Component.api_info(self)


def transposition_arrays(view: TranspositionView) -> tuple[dict[str, NDArray[Any]], list[int]]:
    """The pictures by name, and the channels that are the cube's slices.

    slices: (S, h, w) uint8, each channel's map over its own range. queries, keys: int8 over their common range, the
    positions and channels of `FACTOR_SHAPE` or fewer. positions, channels: square uint16 in × uniform, `STEPS` to one.
    """
    varied = np.argsort(-view.features.std(axis=(1, 2)), kind="stable")[:SLICES][::-1]
    maps = view.features[varied]
    low = maps.min(axis=(1, 2), keepdims=True)
    span = np.maximum(maps.max(axis=(1, 2), keepdims=True) - low, 1e-12)
    most = max(float(np.abs(view.queries).max()), 1e-12), max(float(np.abs(view.keys).max()), 1e-12)
    return {
        "slices": np.rint((maps - low) / span * 255).astype(np.uint8),
        "queries": _codes(view.queries, most[0]),
        "keys": _codes(view.keys, most[1]),
        "positions": _times_uniform(view.positions),
        "channels": _times_uniform(view.channels),
    }, [int(channel) for channel in varied]


def _codes(factor: Array, greatest: float) -> NDArray[np.int8]:
    """Every so many-th row and column: an average over positions would wash out what sets them apart."""
    sides = zip(factor.shape, FACTOR_SHAPE, strict=True)
    rows, columns = (np.linspace(0, n - 1, min(n, most)).astype(int) for n, most in sides)
    shown = factor[np.ix_(rows, columns)]
    limit = max(float(np.percentile(np.abs(shown), 92)), 1e-6 * greatest)
    return np.rint(np.clip(shown / limit, -1, 1) * 127).astype(np.int8)


def _times_uniform(attention: Array) -> NDArray[np.uint16]:
    return np.rint(np.clip(pool_matrix(attention, MAP_SIDE) * len(attention) * STEPS, 0, 65535)).astype(np.uint16)
