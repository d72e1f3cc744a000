"""The position lab: what position means to attention, tried on the reader's own picture."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import gradio as gr
import numpy as np
from gradio.components.base import Component
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from PIL import Image

from attn.inspector import Inspection, Inspector
from attn.measured import measured_rows, position_gain
from attn.measures import attention as metrics
from attn.measures.shuffle import (
    EncodedQueries,
    ShuffleResult,
    encoded_queries,
    evenly_spaced,
    shuffle_test,
    with_encoding,
)
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.texts import latex, load_texts, text
from attn.ui.component import cached_file, component_files, pack_arrays

STRENGTHS = tuple(step / 10 for step in range(21))  # × the encoding's own amplitude
QUERIES_FOR_MEANS = 512
STATEMENTS = tuple(f"S{number}" for number in range(1, 11))
_SEE, _STORY = "window.place.see", "statements.story"
_BENCH, _REFERENCE = "window.place.bench", "window.place.reference"
# Where each statement is shown: the texts that name the place and the section, and the section's id on the page.
SHOWN_AT = {
    "S1": [(_SEE, "explorer", "window.where"), (_REFERENCE, "attn-formulas", "page.section.formulas")],
    "S2": [(_REFERENCE, "attn-shapes", "page.section.shapes"), (_STORY, "story-shapes", "story.shapes.title")],
    "S3": [(_STORY, "story-gates", "story.gates.title"), (_BENCH, "channels", "channels.statistics")],
    "S4": [(_STORY, "story-affine", "story.affine.title"), (_BENCH, "channels", "channels.fit")],
    "S5": [(_STORY, "story-sentence", "story.sentence.title"), (_BENCH, "text-lane", "text_lane.title")],
    "S6": [(_SEE, "lane", "window.which"), (_BENCH, "channels", "bench.columns")],
    "S7": [(_STORY, "story-sentence", "story.sentence.title"), (_BENCH, "text-lane", "text_lane.title")],
    "S8": [
        (_STORY, "story-shuffle", "story.shuffle.title"),
        (_BENCH, "lab", "lab.strengths"),
        (_BENCH, "channels", "bench.buys"),
    ],
    "S9": [(_BENCH, "lab", "lab.who")],
    "S10": [(_SEE, "attn-transposition-title", "transposition.title"), (_STORY, "story-end", "story.end.title")],
}


@dataclass(frozen=True, eq=False)
class LabView:
    """The value of `Lab`: one photograph's shuffle test, and its attention at any strength of the encoding.

    image: (H, W, 3) uint8. parts: queries and keys as lines in the strength. key: see `Encoding.key`.
    shuffles: "spatial" (the block without encoding), "spatial_position" (with it), then the channel mechanisms.
    entropy, distance_px: means over the queries at each of `STRENGTHS`; queries_measured says over how many.
    uniform_distance_px: the yardstick of the distance.
    grouping: see `grouping_figures`; empty unless the block is one of those that were measured.
    """

    image: NDArray[np.uint8]
    grid: tuple[int, int]
    stride_px: int
    parts: EncodedQueries
    key: str
    seed: int
    shuffles: dict[str, ShuffleResult]
    entropy: list[float]
    distance_px: list[float]
    uniform_distance_px: float
    queries_measured: int
    grouping: dict[str, float]


def lab_view(inspection: Inspection, inspector: Inspector, seed: int = 0) -> LabView:
    """The lab for an inspected photograph; ``seed`` draws the permutation.

    A block without an encoding of its own is tried with the default one, so that there is something to compare.
    """
    block = inspector.block
    encoding = block.encoding if block.encoding is not None else SinusoidalEncoding2d(block.channels)
    blocks = {
        "spatial": with_encoding(block, None),
        "spatial_position": with_encoding(block, encoding),
        **{
            name: module
            for name, module in inspector.mechanisms.items()
            if name != "spatial" and inspection.mechanisms[name].error is None
        },
    }
    shuffles = {name: shuffle_test(inspection.features, module, seed) for name, module in blocks.items()}
    parts = encoded_queries(inspection.features, block, encoding)
    positions = len(parts.queries)
    queries = evenly_spaced(positions, QUERIES_FOR_MEANS)
    entropy, distance = [], []
    for strength in STRENGTHS:
        rows = parts.rows(strength, queries)
        entropy.append(float(metrics.entropy(rows).mean()))
        distance.append(
            float(metrics.mean_attention_distance(rows, inspection.grid, inspection.stride_px, queries.tolist()).mean())
        )
    uniform = metrics.uniform_attention_distance(inspection.grid, inspection.stride_px)[queries]
    source = inspection.mechanisms["spatial"].source.source
    return LabView(
        image=inspection.image,
        grid=inspection.grid,
        stride_px=inspection.stride_px,
        parts=parts,
        key=inspection.key,
        seed=seed,
        shuffles=shuffles,
        entropy=entropy,
        distance_px=distance,
        uniform_distance_px=float(uniform.mean()),
        queries_measured=len(queries),
        grouping=grouping_figures(inspection.stem, inspection.stage, inspection.detail) if source == "trained" else {},
    )


def grouping_figures(stem: str, stage: str, detail: str) -> dict[str, float]:
    """Measured grouping AUC of the trained blocks "without" and "with" the encoding, and over how many "photographs".

    Empty where none was measured for this network, stage and detail: what was measured is the bundled network.
    """
    rows = measured_rows(stage, detail)
    if stem != "bundled" or not {"attn", "attn_position"} <= rows.keys():
        return {}
    return {
        "without": rows["attn"]["auc"],
        "with": rows["attn_position"]["auc"],
        "photographs": rows["attn"]["photographs"],
    }


class LabData(GradioModel):
    """What the browser receives: the photograph, the packed queries and keys, and the numbers."""

    image: FileData
    arrays: FileData
    key: str
    facts: str  # as text: Gradio copies the values of its components, number by number, whenever anything happens


class Lab(gr.HTML):
    """Shuffle the photograph's positions, turn the encoding up and down, and see who notices.

    Pressing the button fires ``shuffle`` with ``{"seed": n}``; answer it with `lab_view` of that seed.
    """

    data_model = LabData

    def __init__(self, value: LabView | None = None, **arguments: Any) -> None:
        super().__init__(value, apply_default_css=False, **component_files("lab", ["shuffle"]), **arguments)

    def postprocess(self, value: LabView | None) -> LabData | None:
        """The view as files in Gradio's cache; None leaves the lab empty.

        A new permutation of the same photograph gives the same files, which the browser then need not fetch again.
        """
        if value is None:
            return None
        data = pack_arrays(lab_arrays(value), level=0)
        photograph = BytesIO()
        Image.fromarray(value.image).save(photograph, format="JPEG", quality=92)
        cache = self.GRADIO_CACHE
        return LabData(
            image=cached_file(photograph.getvalue(), "photograph.jpg", cache, "image/jpeg"),
            arrays=cached_file(data, "lab.safetensors.gz", cache, "application/gzip"),
            key=value.key,
            facts=json.dumps(lab_facts(value)),
        )

    def preprocess(self, payload: LabData | None) -> None:
        """Nothing: what the lab needs from the server it asks for with an event."""

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value, as `data_model` has it."""
        return Component.api_info(self)


def lab_arrays(view: LabView) -> dict[str, NDArray[Any]]:
    """Queries, keys and their steps (N, C) as int16 rows with a float32 ``NAME_scale`` (N,): value = code · scale."""
    arrays: dict[str, NDArray[Any]] = {}
    for name in ("queries", "query_steps", "keys", "key_steps"):
        rows = getattr(view.parts, name)
        scale = np.abs(rows).max(axis=1).clip(min=np.finfo(np.float32).tiny) / 32767
        arrays[name] = np.rint(rows / scale[:, None]).astype(np.int16)
        arrays[f"{name}_scale"] = scale.astype(np.float32)
    return arrays


def lab_facts(view: LabView) -> dict[str, Any]:
    """The plain numbers beside the arrays; None stands for undefined."""
    return {
        "grid": list(view.grid),
        "stride_px": view.stride_px,
        "image_size": list(view.image.shape[:2]),
        "seed": view.seed,
        "permutation": view.shuffles["spatial"].permutation.tolist(),
        "mechanisms": [
            {
                "name": name,
                "kind": result.kind,
                "output_error": _defined(result.output_error),
                "change_error": _defined(result.change_error),
                "weights_error": _defined(result.weights_error),
                "same": result.same,
            }
            for name, result in view.shuffles.items()
        ],
        "strengths": list(STRENGTHS),
        "entropy": view.entropy,
        "distance_px": view.distance_px,
        "uniform_distance_px": view.uniform_distance_px,
        "queries_measured": view.queries_measured,
        "grouping": view.grouping,
    }


def formulas(language: str) -> str:
    """Markdown with LaTeX: every mechanism's formula, its symbols tied to what is on screen, and its paper.

    Between ``$$`` for a line of its own and ``$`` within one.
    """
    sections = load_texts(language, "formulas").items()
    return "\n\n".join(
        section.replace("{formula}", "\n\n".join(f"$${line}$$" for line in latex(key.removeprefix("formulas."))))
        for key, section in sections
    )


def filled(statement: str) -> str:
    """A statement with the measured numbers that it names, “–” where one was not measured."""
    for stage in ("layer3", "layer2"):
        gain = position_gain(stage, "fine")
        statement = statement.replace(f"{{gain_{stage}}}", "–" if gain is None else f"{gain:.3f}")
    return statement


def statements(language: str) -> str:
    """A Markdown table of the note's ten statements: what it says, what is so, and links to where that is shown."""
    texts = {key: filled(sentence) for key, sentence in load_texts(language, "statements").items()}

    def cited(number: str) -> str:
        """Links to the sections, each named as it is there."""
        links = (
            text(language, "page.cite", place=text(language, place), title=text(language, title), anchor=anchor)
            for place, anchor, title in SHOWN_AT[number]
        )
        return "<br>".join(links)

    lines = [
        [texts[f"statements.{column}"] for column in ("number", "note", "found", "where")],
        ["---"] * 4,
        *(
            [number, texts[f"statements.{number}.note"], texts[f"statements.{number}.found"], cited(number)]
            for number in STATEMENTS
        ),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
