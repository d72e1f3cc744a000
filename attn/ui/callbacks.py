"""What the page's controls and its interface do: values in, views out. Nothing here lays anything out."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.media import get_image
from gradio.processing_utils import save_bytes_to_cache, save_file_to_cache
from gradio.utils import get_upload_folder
from matplotlib import get_data_path
from PIL import Image

from attn.bundled import WEIGHTS_DIR
from attn.checkpoints import SOURCES, WeightsInfo, has_trained
from attn.errors import PlainError
from attn.figures.export import MapView, npz_bytes, query_csv, snippet, view_figure
from attn.figures.render import figure_bytes, overlay
from attn.inspector import Encoding, Inspection, Inspector
from attn.measures.attention import query_metrics
from attn.measures.channels import median_defined
from attn.stems import BUNDLED_STAGES, STAGES, STEMS, GridTooLarge
from attn.texts import text
from attn.ui.channels import ChannelsView
from attn.ui.explorer import ExplorerView
from attn.ui.lab import LabView, lab_view
from attn.ui.tour import tour_facts

MAX_ROWS = 64
MAX_SEED = 2**31 - 1
MIN_SIDE, MAX_SIDE = 64, 1024
FIGURES = {"figure-png": "png", "figure-svg": "svg", "figure-pdf": "pdf"}
EXPORTS = (*FIGURES, "arrays", "metrics", "snippet")
# Pictures that installed packages carry: nothing to bundle, nothing to download. They are copied to Gradio's cache,
# the only place besides the working directory that Gradio serves files from.
EXAMPLES = {
    name: save_file_to_cache(path, get_upload_folder())
    for name, path in {
        "lion": get_image("lion.jpg"),
        "cheetah": get_image("cheetah.jpg"),
        "tower": get_image("tower.jpg"),
        "hopper": Path(get_data_path()) / "sample_data" / "grace_hopper.jpg",
    }.items()
}


@dataclass(frozen=True)
class View:
    """One state of the controls: everything an inspection depends on but the picture."""

    stem: str
    stage: str
    longest_side: int
    weights: str
    position: bool
    seed: int
    file: str | None


class UserError(ValueError):
    """A request that cannot be met, with a sentence for the person who made it."""


@contextmanager
def plain_errors(language: str) -> Iterator[None]:
    """Turn what a person can mend into a sentence on the page; what was shown before stays.

    Anything else is a bug: Gradio logs it with its traceback and shows no more than "Error".
    """
    try:
        yield
    except GridTooLarge as error:
        (rows, cols), side = error.grid, error.largest_side
        sentence = text(language, "page.error.grid", rows=rows, cols=cols, limit=MAX_ROWS, side=side)
    except UserError as error:
        sentence = str(error)
    except PlainError as error:
        sentence = error.sentence(language)
    else:
        return
    raise gr.Error(sentence, print_exception=False)


def read_view(
    language: str,
    stem: str,
    stage: str,
    longest_side: float,
    weights: str,
    position: bool,
    seed: float,
    file: str | None,
) -> View:
    """The controls, checked: an API client may send anything.

    "trained" becomes "similarity" where there are no trained weights; the caller says so.

    Raises:
        UserError: a value out of its range, in the words of ``language``.
    """
    choices: dict[str, tuple[object, tuple[object, ...]]] = {
        "stem": (stem, STEMS),
        "stage": (stage, STAGES),
        "weights": (weights, SOURCES),
        "position": (position, (True, False)),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            label, listed = text(language, f"page.{name}"), ", ".join(map(str, allowed))
            raise UserError(text(language, "page.error.choice", name=label, allowed=listed, value=in_short(value)))
    longest_side = whole_number(language, "longest_side", longest_side, MIN_SIDE, MAX_SIDE)
    seed = whole_number(language, "seed", seed, 0, MAX_SEED)
    if stem == "bundled" and stage not in BUNDLED_STAGES:
        raise UserError(text(language, "page.error.bundled_stage", stage=stage, last=BUNDLED_STAGES[-1]))
    if weights == "file" and not file:
        raise UserError(text(language, "page.error.file"))
    if weights == "trained" and not has_trained(stem, stage):
        weights = "similarity"
    position = bool(position) and weights == "trained"
    return View(stem, stage, longest_side, weights, position, seed, file if weights == "file" else None)


def whole_number(language: str, name: str, value: object, low: int, high: int) -> int:
    """``value`` as an int from ``low`` to ``high``; ``name`` is its key among the page's texts.

    Raises:
        UserError: anything else, NaN and booleans included.
    """
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not low <= value <= high or value % 1:  # type: ignore[operator]
        label = text(language, f"page.{name}")
        raise UserError(text(language, "page.error.number", name=label, low=low, high=high, value=in_short(value)))
    return int(value)  # type: ignore[call-overload]


def in_short(value: object) -> str:
    """What was sent, at a length that fits a sentence."""
    try:
        shown = value if isinstance(value, str) else repr(value)
    except ValueError:  # Python does not write down integers of more than 4300 digits
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


# All three are keyed by path: Gradio's cache names files by their content, so a path never changes its picture.
@lru_cache(maxsize=3)
def _inspector(stem: str, stage: str, weights: str, position: bool, seed: int, file: str | None) -> Inspector:
    return Inspector(stem, stage, weights=weights, position=position, seed=seed, file=file, max_rows=MAX_ROWS)


@lru_cache(maxsize=8)
def _encoding(path: str, view: View) -> Encoding:
    return inspector_of(view).encode(path, view.longest_side)


@lru_cache(maxsize=4)
def _inspection(path: str, view: View) -> Inspection:
    return inspector_of(view).inspect(_encoding(path, view))


def inspector_of(view: View) -> Inspector:
    """The inspector for these controls; the last few are kept."""
    return _inspector(view.stem, view.stage, view.weights, view.position, view.seed, view.file)


def weights_badge(info: WeightsInfo) -> dict[str, Any]:
    """What the explorer's badge says of the weights."""
    return {"source": info.source, "seed": info.seed, "file": info.file, **info.detail}


def explorer_view(path: str, view: View, shown: str = "") -> ExplorerView:
    """The photograph's map, ready to explore; ``shown`` is the explorer's part of a share link."""
    encoding = _encoding(path, view)
    return ExplorerView(
        image=encoding.image,
        grid=encoding.grid,
        stride_px=encoding.stride_px,
        queries=encoding.queries,
        keys=encoding.keys,
        weights=weights_badge(inspector_of(view).weights["spatial"]),
        view=shown,
    )


def address_of(view: View, example: str) -> dict[str, Any]:
    """What a share link holds of the controls. A photograph that is not an example is not in it."""
    return {
        "example": example,
        "stem": view.stem,
        "stage": view.stage,
        "side": view.longest_side,
        "weights": view.weights,
        "position": int(view.position),
        "seed": view.seed,
    }


def shapes_table(inspection: Inspection, language: str) -> str:
    """The trace of the AttnBlock as a Markdown table, like the prints of the note."""
    head = " | ".join(text(language, f"page.shapes.{column}") for column in ("step", "shape", "note"))
    rows = "\n".join(
        f"| `{step.name}` | {' × '.join(map(str, step.shape))} | {text(language, f'page.trace.{step.name}')} |"
        for step in inspection.trace
    )
    return f"{text(language, 'page.shapes.intro')}\n\n| {head} |\n| --- | --- | --- |\n{rows}"


def figures_table(language: str) -> str:
    """What each kind of attention buys on the same frozen features, as measured and kept beside the weights.

    A Markdown table per stage: grouping AUC with its 95 % interval, parameters and multiply-adds.
    """
    try:
        figures = json.loads((WEIGHTS_DIR / "figures.json").read_text("utf-8"))
    except OSError:
        return text(language, "page.figures.missing")
    head = " | ".join(text(language, f"page.figures.{column}") for column in ("what", "auc", "parameters", "madds"))
    tables = [text(language, "page.figures.intro")]
    for stage in sorted(figures, reverse=True):
        rows = figures[stage]["rows"]
        where = text(
            language, "page.figures.stage", stage=stage, side=figures[stage]["longest_side"], n=rows[0]["photographs"]
        )
        lines = []
        for row in rows:
            what = text(language, f"page.figures.row.{row['mechanism']}")
            score = f"**{row['auc']:.3f}** ({row['low']:.3f}–{row['high']:.3f})"
            lines.append(f"| {what} | {score} | {_count(row['parameters'])} | {_count(row['multiply_adds'])} |")
        tables.append("\n".join([where, "", f"| {head} |", "| --- | --- | ---: | ---: |", *lines]))
    return "\n\n".join(tables)


def _count(number: int | None) -> str:
    if number is None:
        return "–"
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


# --- the page: language, photograph, example, then the arguments of read_view ---


def look(language: str, photograph: str | None, example: str, *controls: Any) -> tuple[Any, Any, Any]:
    """The map, the address and a notice for the controls as they stand."""
    with plain_errors(language):
        view = read_view(language, *controls)
        path = _given(photograph, language)
        notice = ""
        if view.weights != controls[3]:
            notice = text(language, "page.fallback.trained", stem=view.stem, stage=view.stage)
        shown = explorer_view(path, view)
    # The encoding's switch as it stands, though weights without one do not use it.
    address = {**address_of(view, example), "position": int(bool(controls[4]))}
    return shown, address, gr.update(value=notice, visible=bool(notice))


def measure(language: str, photograph: str | None, example: str, *controls: Any) -> tuple[ChannelsView, str]:
    """What every mechanism made of the same features; follows `look`, so that the map does not wait for it."""
    with plain_errors(language):
        inspection = _inspection(_given(photograph, language), read_view(language, *controls))
    return ChannelsView.from_inspection(inspection), shapes_table(inspection, language)


def practise(
    language: str, photograph: str | None, example: str, *controls: Any, seed: int = 0
) -> tuple[LabView, dict[str, Any]]:
    """The lab for the same photograph, with what the tour quotes; ``seed`` draws the shuffle test's permutation."""
    with plain_errors(language):
        view = read_view(language, *controls)
        inspection = _inspection(_given(photograph, language), view)
    lab = lab_view(inspection, inspector_of(view), seed)
    return lab, tour_facts(inspection, lab.shuffles)


def export(asked: Mapping[str, Any], language: str, photograph: str | None, example: str, *controls: Any) -> str:
    """The file behind one of the explorer's buttons, as the explorer shows the map: a path in Gradio's cache."""
    with plain_errors(language):
        view = read_view(language, *controls)
        inspection = _inspection(_given(photograph, language), view)
        kind = asked.get("kind")
        try:
            shown = MapView.read(asked, inspection.grid)
        except ValueError as error:
            raise UserError(str(error)) from error
        if kind in FIGURES:
            extension = FIGURES[kind]
            return download(
                f"attention.{extension}", figure_bytes(view_figure(inspection, shown, language=language), extension)
            )
        if kind == "arrays":
            return download("attention.npz", npz_bytes(inspection, temperature=shown.temperature))
        if kind == "metrics":
            return download("queries.csv", query_csv(inspection, temperature=shown.temperature).encode())
        if kind == "snippet":
            name = Path(photograph or "").name
            return download(
                "attention.py", snippet(inspection, shown, path=name, longest_side=view.longest_side).encode()
            )
        raise UserError(text(language, "page.error.choice", name="kind", allowed=", ".join(EXPORTS), value=kind))


def _given(photograph: str | None, language: str) -> str:
    if not photograph:
        raise UserError(text(language, "page.error.no_image"))
    return photograph


# --- the interface for programs ---


def inspect(
    image: str,
    stem: str,
    stage: str,
    longest_side: float,
    weights: str,
    position: bool,
    seed: float,
    file: str | None = None,
) -> tuple[dict[str, Any], str]:
    """Inspect a photograph: the numbers of every query and mechanism, and all arrays as an NPZ file.

    Args:
        image: the photograph.
        stem: the pretrained network.
        stage: where the network is cut; deeper stages have fewer, larger positions.
        longest_side: pixels the photograph is scaled to before the network sees it.
        weights: of the attention block: trained, feature similarity, random as in the note, or the given file.
        position: give the trained block its 2-D positional encoding.
        seed: of random weights.
        file: safetensors with norm, q, k, v and proj_out, for weights = file.

    Returns:
        numbers per query and per mechanism
        all arrays as NPZ, with a README of their shapes inside
    """
    with plain_errors("en"):
        view = read_view("en", stem, stage, longest_side, weights, position, seed, file)
        inspection = _inspection(_given(image, "en"), view)
    return report(inspection), download("inspection.npz", npz_bytes(inspection))


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

    Returns:
        the map and its numbers
        the map over the photograph
    """
    with plain_errors("en"):
        view = read_view("en", stem, stage, longest_side, weights, position, seed, file)
        encoding = _encoding(_given(image, "en"), view)
        height, width = encoding.grid
        row = whole_number("en", "row", row, 0, height - 1)
        column = whole_number("en", "column", column, 0, width - 1)
    index = row * width + column
    attention = encoding.attention_rows([index])
    answer = {
        "row": row,
        "column": column,
        "grid": [height, width],
        "stride_px": encoding.stride_px,
        "weights": weights_badge(inspector_of(view).weights["spatial"]),
        "attention": attention.reshape(height, width).tolist(),
        "metrics": {
            name: float(values[0])
            for name, values in vars(
                query_metrics(attention, encoding.grid, encoding.stride_px, queries=[index])
            ).items()
        },
    }
    picture = io.BytesIO()
    Image.fromarray(overlay(encoding.image, attention[0], encoding.grid)).save(picture, "PNG")
    return answer, download("query.png", picture.getvalue())


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
                "weights": weights_badge(inspection.weights[name]),
                "relative_change": inspection.relative_change[name],
                "affine_r2_median": _defined(median_defined(inspection.channel_stats[name].affine_r2)),
                "delta_r2_median": _defined(median_defined(inspection.channel_stats[name].delta_r2)),
                "parameters": cost.parameters,
                "multiply_adds": cost.multiply_adds,
                "milliseconds": cost.milliseconds,
            }
            for name, cost in inspection.costs.items()
        },
        "trace": [{"step": step.name, "shape": list(step.shape), "note": step.note} for step in inspection.trace],
    }


def download(name: str, data: bytes) -> str:
    """``data`` as a file in Gradio's cache; the same bytes give the same path."""
    return str(save_bytes_to_cache(data, name, get_upload_folder()))


def _defined(value: float) -> float | None:
    """JSON has no NaN: undefined is null."""
    return float(value) if np.isfinite(value) else None
