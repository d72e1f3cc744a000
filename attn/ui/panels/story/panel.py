"""The story: the note's ten statements met one by one, each beside a picture of the reader's own photograph."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import torch
from gradio.components.base import Component
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from torch import nn

from attn.checkpoints import build_attention
from attn.inspector import Inspection, Inspector
from attn.measured import measured_rows, position_gain
from attn.measures.attention import mean_overlap, perplexity
from attn.measures.channels import median_defined
from attn.measures.shuffle import ShuffleResult, shuffle_test, with_encoding
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock
from attn.sentence import shuffle_sentence, tokenize
from attn.texts import LANGUAGES, text
from attn.ui.component import cached_file, component_files, pack_arrays
from attn.ui.panels.channels.panel import quantise_rows

Array = NDArray[np.float32]

SHOWN = ("se", "spatial", "xca")  # whose change of one channel the story draws
STEPS = 256  # codes of one × uniform
PATH = 10  # places the pointer that moves by itself visits
STAGES = ("input", "query", "gathered", "added", "output", "gated")  # vectors of `_pixel_vectors`, in this order
SENTENCE_SEED = 1


@dataclass(frozen=True, eq=False)
class StoryView:
    """The value of `Story`: plain numbers that its sentences name, and the arrays that its pictures draw."""

    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def story_view(inspection: Inspection, inspector: Inspector, key: str = "") -> StoryView:
    """What the story tells of an inspected photograph; ``key`` is that of the map it stands beside.

    Everything about positions is drawn from the window's own logits; here comes what the window does not have.
    """
    queries, shared = contrasting_queries(inspection)
    places = [row * inspection.grid[1] + col for row, col in queries]
    block = inspector.block
    shuffles = _shuffles(inspection, inspector, places)
    random_rows, random_facts = _random(inspection, inspector, places)
    channel = _told_channel(inspection)
    figures_of, figures = story_figures(inspection)
    shown = [name for name in SHOWN if name in inspection.mechanisms]
    se = inspection.mechanisms["se"]
    gates = se.weights if se.weights is not None else np.ones(len(inspection.features), np.float32)
    before = inspection.features[channel].ravel()
    added = np.stack([inspection.mechanisms[name].output[channel].ravel() - before for name in shown])
    vectors, logits = _pixel_vectors(inspection, block, places, gates)
    arrays: dict[str, NDArray[Any]] = {"gates_se": gates.astype(np.float32), "random": _times_uniform(random_rows)}
    arrays["permutation"] = shuffles["spatial"].permutation.astype(np.int32)
    for time in ("before", "after", "restored"):
        rows = np.stack([getattr(shuffles[name], time)[0] for name in ("spatial", "spatial_position")])
        _put_rows(arrays, f"shuffle_{time}", rows)
    _put_rows(arrays, "channel_before", before[None])
    _put_rows(arrays, "channel_added", added)
    _put_rows(arrays, "pixel", vectors)
    _put_rows(arrays, "pixel_logits", logits)
    facts = {
        "key": key,
        "source": inspection.mechanisms["spatial"].source.source,
        "grid": list(inspection.grid),
        "channels": len(inspection.features),
        "queries": queries,
        "path": _path(inspection.grid, queries),
        "shared": shared,
        "overlap": inspection.overlap,
        "random": random_facts,
        "steps": STEPS,
        "shown": shown,
        "channel": channel,
        "channel_gate": float(gates[channel]),
        "channel_fit": {name: _line(before, row) for name, row in zip(shown, added, strict=True)},
        "pixel": list(STAGES),
        "r2": _medians(inspection, "affine_r2"),
        "delta_r2": _medians(inspection, "delta_r2"),
        "shuffle_error": {name: _defined(result.change_error) for name, result in shuffles.items()},
        "sentence": {language: _sentence(text(language, "story.sentence.text")) for language in LANGUAGES},
        "figures": [{key: row[key] for key in ("mechanism", "auc", "low", "high", "photographs")} for row in figures],
        "figures_of": figures_of,
        "auc_random": measured_rows(inspection.stage, inspection.detail).get("random", {}).get("auc"),
        "gains": {stage: position_gain(stage, inspection.detail) for stage in ("layer2", "layer3")},
    }
    return StoryView(facts, arrays)


class StoryData(GradioModel):
    """What the browser receives."""

    arrays: FileData
    facts: dict[str, Any]


class Story(gr.HTML):
    """Steps that scroll past a picture that stays; each asks first and shows then."""

    data_model = StoryData

    def __init__(self, value: StoryView | None = None, **arguments: Any) -> None:
        super().__init__(value, apply_default_css=False, **component_files("story"), **arguments)

    def postprocess(self, value: StoryView | None) -> StoryData | None:
        """The view as a file in Gradio's cache and its facts; None leaves what is shown."""
        if value is None:
            return None
        packed = pack_arrays(value.arrays)
        file = cached_file(packed, "story.safetensors.gz", self.GRADIO_CACHE, "application/gzip")
        # As text: Gradio copies the values of its components, number by number, whenever anything happens.
        return StoryData(arrays=file, facts={**value.facts, "sentence": json.dumps(value.facts["sentence"])})

    def preprocess(self, payload: StoryData | None) -> None:
        """Nothing: the story only shows."""

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value, as `data_model` has it."""
        return Component.api_info(self)


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


def story_figures(inspection: Inspection) -> tuple[str, list[dict[str, Any]]]:
    """Whose figures the story quotes, and their rows: those of the weights that are shown, where they were measured.

    "tuned" or "trained", else "other": of the trained weights, which are not those shown.
    """
    source = inspection.mechanisms["spatial"].source.source
    rows = measured_rows(inspection.stage, inspection.detail, "tuned" if source == "tuned" else "trained")
    shown = inspection.stem == "bundled" and source in ("tuned", "trained") and rows
    return (source if shown else "other"), list(rows.values())


def _shuffles(inspection: Inspection, inspector: Inspector, places: Sequence[int]) -> dict[str, ShuffleResult]:
    block = inspector.block
    encoding = block.encoding if block.encoding is not None else SinusoidalEncoding2d(block.channels)
    modules: dict[str, nn.Module] = {
        "spatial": with_encoding(block, None),
        "spatial_position": with_encoding(block, encoding),
    }
    if "se" in inspector.mechanisms:
        modules["se"] = inspector.mechanisms["se"]
    return {name: shuffle_test(inspection.features, module, 0, queries=places) for name, module in modules.items()}


def _random(inspection: Inspection, inspector: Inspector, places: Sequence[int]) -> tuple[Array, dict[str, float]]:
    """Rows (2, N) of a block as it comes out of the note, on the same features, and its perplexity and overlap."""
    block, _ = build_attention(len(inspection.features), "random", stem=inspection.stem, stage=inspection.stage)
    with torch.inference_mode():
        x = torch.from_numpy(inspection.features)[None]
        rows = block.attention_rows(x, range(len(inspection.queries)))[0].numpy()
    return rows[list(places)], {"perplexity": float(perplexity(rows).mean()), "overlap": mean_overlap(rows)}


def _pixel_vectors(
    inspection: Inspection, block: AttnBlock, places: Sequence[int], gates: Array
) -> tuple[Array, Array]:
    """One query after the other, the vectors of `STAGES`, (2 · stages, C), and the logits (2, N)."""
    x = torch.from_numpy(inspection.features)[None]
    with torch.inference_mode():
        values = block.v(block.norm(x))[0].flatten(1).T  # (N, C)
        rows = torch.from_numpy(inspection.attention_rows(places))  # (2, N)
        gathered = rows @ values
        added = block.proj_out(gathered.T[None, :, :, None])[0, :, :, 0].T  # (2, C)
    tokens = inspection.features.reshape(len(inspection.features), -1).T  # (N, C)
    vectors = []
    for n, place in enumerate(places):
        given = tokens[place]
        of_block = (given, inspection.queries[place], gathered[n].numpy(), added[n].numpy(), given + added[n].numpy())
        vectors += [*of_block, given * gates]
    return np.stack(vectors).astype(np.float32), inspection.queries[list(places)] @ inspection.keys.T


def _told_channel(inspection: Inspection) -> int:
    """The channel that the AttnBlock changes most among those whose affine fit is typical: neither dead nor a line."""
    statistics = inspection.mechanisms["spatial"].statistics
    fit, change = statistics.delta_r2, np.nan_to_num(statistics.change_norm)
    typical = np.abs(fit - np.nanmedian(fit))
    near = np.argsort(np.where(np.isnan(typical), np.inf, typical), kind="stable")[: max(1, len(fit) // 4)]
    return int(near[np.argmax(change[near])])


def _line(x: Array, y: Array) -> dict[str, float | None]:
    """Least squares y ≈ a x + b with its R², None where y does not vary."""
    a, b = np.polyfit(x, y, 1) if np.ptp(x) > 0 else (0.0, float(y.mean()))
    total = float(np.square(y - y.mean()).sum())
    rest = float(np.square(y - (a * x + b)).sum())
    return {"a": float(a), "b": float(b), "r2": 1 - rest / total if total > 1e-12 else None}


def _medians(inspection: Inspection, field: str) -> dict[str, float | None]:
    return {
        name: _defined(median_defined(getattr(result.statistics, field)))
        for name, result in inspection.mechanisms.items()
    }


def _path(grid: tuple[int, int], queries: Sequence[Sequence[int]]) -> list[list[int]]:
    """Places from the first query to the second and back by another way."""
    (r0, c0), (r1, c1) = queries
    turn = np.linspace(0, 2 * np.pi, PATH, endpoint=False)
    along, aside = (1 - np.cos(turn)) / 2, np.sin(turn) * 0.25
    rows = r0 + (r1 - r0) * along + (c1 - c0) * aside
    cols = c0 + (c1 - c0) * along - (r1 - r0) * aside
    inside = (np.clip(np.rint(rows), 0, grid[0] - 1), np.clip(np.rint(cols), 0, grid[1] - 1))
    return [[int(row), int(col)] for row, col in zip(*inside, strict=True)]


def _sentence(sentence: str) -> dict[str, Any]:
    """Its tokens, and their attention as written and shuffled, without and with an encoding of the order."""
    tokens = tokenize(sentence)
    answer: dict[str, Any] = {"tokens": tokens}
    for name, strength in (("without", 0.0), ("with", 1.0)):
        result = shuffle_sentence(tokens, SENTENCE_SEED, strength)
        answer["order"] = result.order.tolist()
        answer[name] = {
            "attention": result.attention.round(4).tolist(),
            "shuffled": result.shuffled.round(4).tolist(),
            "error": result.output_error,
        }
    return answer


def _times_uniform(rows: Array) -> NDArray[np.uint16]:
    return np.rint(np.clip(rows * rows.shape[1] * STEPS, 0, 65535)).astype(np.uint16)


def _put_rows(arrays: dict[str, NDArray[Any]], name: str, rows: Array) -> None:
    arrays[name], arrays[f"{name}_low"], arrays[f"{name}_step"] = quantise_rows(rows.astype(np.float32, copy=False))


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
