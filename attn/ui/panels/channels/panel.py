"""The bench's columns: what every mechanism made of one photograph's features, in one value.

The value travels once, as a gzip file of quantised arrays beside the photograph; pointing, sorting, choosing a channel
or another mechanism for a column is then answered in the browser, with no request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from io import BytesIO
from typing import Any

import gradio as gr
import numpy as np
import torch
from gradio.components.base import Component
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from PIL import Image

from attn.figures.packing import pool_axis, pool_grid, quantise_rows
from attn.inspector import Inspection, MechanismResult
from attn.measured import measured_records
from attn.measures.channels import channel_correlation, feature_effective_rank, median_defined
from attn.measures.components import Components, principal_components
from attn.mechanisms import MECHANISMS
from attn.texts import LANGUAGES, latex
from attn.ui.component import cached_file, component_files, pack_arrays
from attn.ui.panels.explorer.panel import logits_file

Array = NDArray[np.float32]

# What a browser holds without strain: values in one tensor of feature maps, and the side of a C × C map.
MAX_MAP_VALUES = 512 * 1024
MAX_MATRIX_SIDE = 512
CORRELATION_SIDE = 256
SOURCES_KEPT = 8
# The whole map of a module that somebody brought: its logits are not known, so its rows travel, a byte a weight.
MAX_OWN_POSITIONS = 2048

# Where the cost curves are sampled; each is 4 octaves around what a ResNet gives.
CURVE_POSITIONS = (16, 64, 256, 1024, 4096)
CURVE_CHANNELS = (64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True, eq=False)
class ChannelsView:
    """The value of `Channels`: one photograph's features and what every mechanism made of them.

    image: (H, W, 3) uint8. features: (C, h, w). attention: (N, N), rows sum to 1; queries, keys: (N, C) as in
    `ExplorerView`. mechanisms: "spatial" first, without those that failed. remarks: what must be said of somebody's
    modules, language → sentence. key: see `Encoding.key`. stage, detail: of the stem.
    """

    image: NDArray[np.uint8]
    grid: tuple[int, int]
    stride_px: int
    features: Array
    attention: Array
    queries: Array
    keys: Array
    mechanisms: tuple[MechanismResult, ...]
    remarks: tuple[dict[str, str], ...] = ()
    key: str = ""
    stage: str = ""
    detail: str = ""

    @classmethod
    def from_inspection(cls, inspection: Inspection) -> ChannelsView:
        """The part of an inspection that this panel shows."""
        return cls(
            image=inspection.image,
            grid=inspection.grid,
            stride_px=inspection.stride_px,
            features=inspection.features,
            attention=inspection.attention,
            queries=inspection.queries,
            keys=inspection.keys,
            mechanisms=tuple(result for result in inspection.mechanisms.values() if result.error is None),
            remarks=tuple(
                {language: said.sentence(language) for language in LANGUAGES}
                for result in inspection.mechanisms.values()
                for said in (result.note, result.error)
                if said is not None
            ),
            key=inspection.key,
            stage=inspection.stage,
            detail=inspection.detail,
        )

    @cached_property
    def components(self) -> Components:
        """The basis in which the features are drawn as colours, before and after."""
        return principal_components(self.features)


class ChannelsData(GradioModel):
    """What the browser receives: the photograph, the packed arrays, the explorer's logits and the plain numbers."""

    image: FileData
    arrays: FileData
    logits: FileData
    key: str  # see `Encoding.key`
    facts: str  # as text: Gradio copies the values of its components, number by number, whenever anything happens


class Channels(gr.HTML):
    """The columns, the table of channels and the chosen channel, as one component without a build step."""

    data_model = ChannelsData

    def __init__(self, value: ChannelsView | None = None, **arguments: Any) -> None:
        super().__init__(value, apply_default_css=False, **component_files("channels"), **arguments)

    def postprocess(self, value: ChannelsView | None) -> ChannelsData | None:
        """The view as files in Gradio's cache; None leaves the panel empty."""
        if value is None:
            return None
        data = pack_arrays(panel_arrays(value))
        photograph = BytesIO()
        Image.fromarray(value.image).save(photograph, format="JPEG", quality=92)
        cache = self.GRADIO_CACHE
        return ChannelsData(
            image=cached_file(photograph.getvalue(), "photograph.jpg", cache, "image/jpeg"),
            arrays=cached_file(data, "channels.safetensors.gz", cache, "application/gzip"),
            logits=logits_file(value.queries, value.keys, value.key, cache)[0],
            key=value.key,
            facts=json.dumps(panel_facts(value)),
        )

    def preprocess(self, payload: ChannelsData | None) -> None:
        """Nothing: the panel only shows."""

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value, as `data_model` has it."""
        return Component.api_info(self)


def panel_arrays(view: ChannelsView) -> dict[str, NDArray[Any]]:
    """Every array the browser draws, by name.

    Maps are uint8 with two float32 companions per row, ``NAME_low`` and ``NAME_step``: value = low + step · code.
    ``attention`` is the map as a picture of at most MAX_MATRIX_SIDE a side (a query's own row is made from the logits).
    ``features`` and ``change_NAME`` (y − x of a mechanism without gates) are (C, positions of `maps_grid`);
    ``map_NAME`` is a channel map, ``sources_NAME``/``shares_NAME`` its largest entries per row; ``correlation_NAME``
    holds Pearson correlations with the channels in ``correlation_order``; ``stats_NAME_FIELD`` are `ChannelStats`;
    ``position_change_NAME`` is ‖Δ‖ at each of the N positions, ``query_difference`` the total variation distance of
    each query's attention from the mean query's, 0 (the same) … 1 (nothing in common). ``colours_features`` and
    ``colours_NAME`` (N, 3) are the principal components as red, green and blue. Of another module that attends over
    positions there are ``attention_NAME``, ``query_difference_NAME`` and, on grids that are not too large, its map's
    own rows as ``rows_NAME``; of one that weighs positions alone, ``position_gates_NAME`` (N,).
    """
    arrays: dict[str, NDArray[Any]] = {}
    features = view.features.astype(np.float32, copy=False)
    pool = map_pooling(features.shape)
    _put_rows(arrays, "features", pool_grid(features, pool).reshape(len(features), -1))
    _put_rows(arrays, "attention", pool_matrix(view.attention, MAX_MATRIX_SIDE))
    arrays["query_difference"] = _query_difference(view.attention)
    arrays["colours_features"] = _colour_codes(view.components, features)
    order = similarity_order(channel_correlation(features))
    arrays["correlation_order"] = order.astype(np.int16)
    arrays["correlation_features"] = _correlation_codes(features, order)
    for mechanism in view.mechanisms:
        name = mechanism.name
        change = mechanism.output - features
        arrays[f"position_change_{name}"] = np.linalg.norm(change, axis=0).astype(np.float32).ravel()
        arrays[f"colours_{name}"] = _colour_codes(view.components, mechanism.output)
        for field in fields(mechanism.statistics):
            before = field.name.endswith("_before")
            key = f"stats_{field.name}" if before else f"stats_{name}_{field.name}"
            arrays[key] = getattr(mechanism.statistics, field.name).astype(np.float32)
        weights = None if name == "spatial" else mechanism.weights
        if mechanism.kind == "gate" and weights is not None:
            arrays[f"gates_{name}"] = weights.astype(np.float32)
            if np.allclose(mechanism.output, features * weights[:, None, None], rtol=1e-4, atol=1e-5):
                continue  # somebody's module may do more than scale
        _put_rows(arrays, f"change_{name}", pool_grid(change, pool).reshape(len(features), -1))
        arrays[f"correlation_{name}"] = _correlation_codes(mechanism.output, order)
        if mechanism.kind == "channel_map" and weights is not None:
            sources = np.argsort(-weights, axis=1, kind="stable")[:, :SOURCES_KEPT]
            arrays[f"sources_{name}"] = sources.astype(np.int16)
            arrays[f"shares_{name}"] = np.take_along_axis(weights, sources, axis=1).astype(np.float32)
            _put_rows(arrays, f"map_{name}", pool_matrix(weights, MAX_MATRIX_SIDE))
        elif mechanism.kind == "spatial_gate" and weights is not None:
            arrays[f"position_gates_{name}"] = weights.astype(np.float32).ravel()
        elif mechanism.kind == "spatial" and weights is not None:
            _put_rows(arrays, f"attention_{name}", pool_matrix(weights, MAX_MATRIX_SIDE))
            arrays[f"query_difference_{name}"] = _query_difference(weights)
            if len(weights) <= MAX_OWN_POSITIONS:
                _put_rows(arrays, f"rows_{name}", weights)
    return arrays


def panel_facts(view: ChannelsView) -> dict[str, Any]:
    """The plain numbers and names beside the arrays; nan stands for undefined and becomes null on the way."""
    channels, height, width = view.features.shape
    pool = map_pooling(view.features.shape)
    return {
        "channels": channels,
        "grid": [height, width],
        "maps_grid": [-(-height // pool), -(-width // pool)],
        "stride_px": view.stride_px,
        "image_size": [view.image.shape[0], view.image.shape[1]],
        "effective_rank": feature_effective_rank(view.features),
        "explained": view.components.explained.tolist(),
        "curves": cost_curves(channels, height * width),
        "measured": measured_records(),
        "stage": view.stage,
        "detail": view.detail,
        "remarks": list(view.remarks),
        "mechanisms": [
            {
                "name": mechanism.name,
                "kind": mechanism.kind,
                "title": mechanism.title,
                "paper": mechanism.paper,
                "formula": latex(mechanism.name),
                "relative_change": mechanism.change,
                "specificity": list(mechanism.specificity),
                "median_r2": median_defined(mechanism.statistics.affine_r2),
                "median_delta_r2": median_defined(mechanism.statistics.delta_r2),
                "effective_rank": feature_effective_rank(mechanism.output),
                "clipped": view.components.clipped(mechanism.output),
                "parameters": mechanism.cost.parameters,
                "multiply_adds": mechanism.cost.multiply_adds,
                "milliseconds": mechanism.cost.milliseconds,
                "source": mechanism.source.source,
                "seed": mechanism.source.seed,
            }
            for mechanism in view.mechanisms
        ],
    }


def map_pooling(shape: tuple[int, ...]) -> int:
    """The side of the blocks of positions that must be averaged for (C, h, w) maps to stay within MAX_MAP_VALUES."""
    channels, height, width = shape
    pool = 1
    while channels * -(-height // pool) * -(-width // pool) > MAX_MAP_VALUES:
        pool += 1
    return pool


def pool_matrix(matrix: NDArray[Any], side: int) -> Array:
    """(N, N) averaged over blocks until no side is longer than ``side``."""
    block = -(-len(matrix) // side)
    pooled = matrix if block == 1 else pool_axis(pool_axis(matrix, block, 0), block, 1)
    return pooled.astype(np.float32, copy=False)


def similarity_order(correlation: NDArray[np.float64]) -> NDArray[np.int64]:
    """Channels in an order that puts correlated ones side by side, so that groups show as blocks; (C,).

    The order is that of the angle between the two leading eigenvectors (Friendly 2002, "Corrgrams"), which are found by
    orthogonal iteration: all eigenvectors of 2048 channels would take seconds.
    """
    matrix = np.nan_to_num(correlation)
    if len(matrix) < 2:
        return np.arange(len(matrix))
    basis = np.random.default_rng(0).normal(size=(len(matrix), 2))
    for _ in range(40):
        basis, _ = np.linalg.qr(matrix @ basis)
    _, turn = np.linalg.eigh(basis.T @ matrix @ basis)
    second, first = (basis @ turn).T
    first = first * (1 if first.sum() >= 0 else -1)  # eigenvectors have no sign of their own
    angle = np.arctan2(second, first)
    order = np.argsort(angle, kind="stable")
    gap = np.argmax(np.diff(angle[order], append=angle[order[0]] + 2 * np.pi))  # start after the widest gap
    return np.roll(order, -(int(gap) + 1))


def cost_curves(channels: int, positions: int) -> dict[str, Any]:
    """Multiply-adds of every mechanism as the positions grow at these channels, and as the channels grow at this size.

    ``positions`` of a real grid need not be a square, so the second curve is taken on a strip of 1 × positions.
    """
    return {
        "positions": list(CURVE_POSITIONS),
        "channels": list(CURVE_CHANNELS),
        "by_positions": {
            name: [_module(name, channels).multiply_adds(1, n) for n in CURVE_POSITIONS] for name in MECHANISMS
        },
        "by_channels": {
            name: [_module(name, c).multiply_adds(1, positions) for c in CURVE_CHANNELS] for name in MECHANISMS
        },
    }


@lru_cache(maxsize=256)
def _module(name: str, channels: int) -> Any:
    """A mechanism without memory of its own, only to be asked what it would cost."""
    with torch.device("meta"):
        return MECHANISMS[name].build(channels)


def _put_rows(arrays: dict[str, NDArray[Any]], name: str, rows: Array) -> None:
    arrays[name], arrays[f"{name}_low"], arrays[f"{name}_step"] = quantise_rows(rows.astype(np.float32, copy=False))


def _query_difference(attention: Array) -> Array:
    """(N,) total variation distance of each row of (N, N) attention from their mean."""
    return (0.5 * np.abs(attention - attention.mean(axis=0)).sum(axis=1)).astype(np.float32)


def _colour_codes(components: Components, features: Array) -> NDArray[np.uint8]:
    """(N, 3) red, green and blue of each position."""
    return np.rint(255 * components.colours(features)).astype(np.uint8).reshape(-1, 3)


def _correlation_codes(features: Array, order: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Correlations in this order as 0 … 254, 127 = none; 255 = undefined (a channel that does not vary)."""
    correlation = channel_correlation(features)[np.ix_(order, order)]
    undefined = np.isnan(correlation)
    pooled = pool_matrix(np.nan_to_num(correlation), CORRELATION_SIDE)
    share_undefined = pool_matrix(undefined.astype(np.float32), CORRELATION_SIDE)
    codes = np.rint(pooled * 127 + 127).astype(np.uint8)
    codes[share_undefined == 1] = 255
    return codes
