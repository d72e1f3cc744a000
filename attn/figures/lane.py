"""What a channel mechanism weighs, as the lane of the window shows it: arrays for the browser, and plain facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attn.figures.packing import pool_grid, quantise_rows

if TYPE_CHECKING:
    from attn.inspector import Inspection, MechanismResult

Array = NDArray[np.float32]

# Values of all channels' maps together, and of one mechanism's C × C map, as they travel: a byte each.
MAX_MAP_VALUES = 128 * 1024
MAX_WEIGHTS = 128 * 1024
LIGHTS = 64  # of a channel's answers, which are shown as light and nowhere as numbers


@dataclass(frozen=True, eq=False)
class LaneView:
    """What the lane shows.

    image: (H, W, 3) uint8, what the network saw. features: (C, h, w) float32.
    mechanisms: those that are no attention between positions, and show what they weigh.
    key: a name for what is shown, as the map's: see `Encoding.key`.
    """

    image: NDArray[np.uint8]
    features: Array
    mechanisms: tuple[MechanismResult, ...]
    key: str = ""

    @classmethod
    def from_inspection(cls, inspection: Inspection) -> LaneView:
        """The part of an inspection that the lane shows."""
        others = (result for result in inspection.mechanisms.values() if result.kind != "spatial")
        shown = tuple(result for result in others if result.weights is not None)
        return cls(inspection.image, inspection.features, shown, inspection.key)


def lane_arrays(view: LaneView) -> dict[str, NDArray[Any]]:
    """Every array the browser draws, by name.

    ``features`` (C, positions of `facts["maps_grid"]`) uint8 below LIGHTS with ``features_low`` and ``features_step`` a
    row. ``weights_NAME``: gates (C,) or position gates (N,), float32. ``map_NAME``: rows ``rows_NAME`` of a channel
    map, uint8 with low and step like the features.
    """
    maps = pool_grid(view.features.astype(np.float32, copy=False), _pool(view.features.shape))
    arrays: dict[str, NDArray[Any]] = {}
    _put_rows(arrays, "features", maps.reshape(len(maps), -1), LIGHTS)
    for result in view.mechanisms:
        weights = result.weights
        assert weights is not None  # `from_inspection` leaves out what cannot be seen
        if result.kind == "channel_map":
            rows = _rows_sent(len(weights))
            arrays[f"rows_{result.name}"] = rows.astype(np.int32)
            _put_rows(arrays, f"map_{result.name}", weights[rows])
        else:
            arrays[f"weights_{result.name}"] = weights.astype(np.float32).ravel()
    return arrays


def lane_facts(view: LaneView) -> dict[str, Any]:
    """The plain numbers and names beside the arrays."""
    channels, height, width = view.features.shape
    pool = _pool(view.features.shape)
    return {
        "key": view.key,
        "channels": channels,
        "grid": [height, width],
        "maps_grid": [-(-height // pool), -(-width // pool)],
        "mechanisms": [
            {
                "name": result.name,
                "title": result.title,
                "kind": result.kind,
                "source": result.source.source,
                "seed": result.source.seed,
            }
            for result in view.mechanisms
        ],
    }


def _pool(shape: tuple[int, ...]) -> int:
    """Side of the blocks of positions averaged so that all channels' maps stay within MAX_MAP_VALUES."""
    channels, height, width = shape
    pool = 1
    while channels * -(-height // pool) * -(-width // pool) > MAX_MAP_VALUES:
        pool += 1
    return pool


def _rows_sent(channels: int) -> NDArray[np.intp]:
    """The rows of a C × C map that travel: all of them, or evenly spaced ones of a large map."""
    count = min(channels, max(1, MAX_WEIGHTS // channels))
    return np.linspace(0, channels - 1, count).round().astype(np.intp)


def _put_rows(arrays: dict[str, NDArray[Any]], name: str, rows: Array, levels: int = 256) -> None:
    packed = quantise_rows(rows.astype(np.float32, copy=False), levels)
    arrays[name], arrays[f"{name}_low"], arrays[f"{name}_step"] = packed
