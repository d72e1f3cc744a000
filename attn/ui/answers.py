"""What the page shows for its controls: the map, the channels, the lab, the files. Everything is computed here."""

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr
import torch
from PIL import Image, UnidentifiedImageError
from torch import nn

from attn.checkpoints import BlockFound, WeightsError, WeightsInfo, list_blocks
from attn.checkpoints.fits import stage_widths
from attn.figures.document import document
from attn.images import open_image
from attn.inspector import Encoding, Inspection, Inspector
from attn.mechanisms.foreign import load_mechanism
from attn.stems import StemUnavailable
from attn.stems.own_gates import GATED_NETWORKS, GatedNetwork
from attn.texts import text
from attn.ui.controls import MAX_ROWS, ControlError, Controls, check_choice, stages_of
from attn.ui.examples import EXAMPLES, STARTS
from attn.ui.gate import MOST
from attn.ui.panels.blocks.panel import BlocksView, block_taken
from attn.ui.panels.channels.panel import ChannelsView
from attn.ui.panels.explorer.panel import ExplorerRest, ExplorerView
from attn.ui.panels.lab.panel import LabView, lab_view
from attn.ui.panels.lane.panel import LaneView
from attn.ui.panels.own_gates.panel import OwnGatesView
from attn.ui.panels.pair.panel import PairView
from attn.ui.panels.story.panel import StoryView, story_view
from attn.ui.panels.transposition.panel import TranspositionView, transposition_view
from attn.ui.storage import store
from attn.ui.wording import in_short, shapes_table

FIGURES = {"figure-png": "png", "figure-svg": "svg", "figure-pdf": "pdf"}
EXPORTS = (*FIGURES, "html", "arrays", "metrics", "snippet")
BROWSERS_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "AVIF", "ICO")
PREVIEW_SIDE = 2048


# Further mechanisms of every inspection: name → what makes a module for a number of channels.
_brought: dict[str, Callable[[int], nn.Module]] = {}


def bring_mechanisms(specs: Sequence[str]) -> None:
    """Show these mechanisms, "package.module:Class", beside the built-in ones from now on, and no others.

    Raises:
        MechanismError: one that cannot be imported.
    """
    _brought.clear()
    _brought.update(load_mechanism(spec) for spec in specs)
    _inspector.cache_clear()
    for kept in _inspection.values():
        kept.cache_clear()


# Keyed by settled controls. Paths may be keys: Gradio's cache names files by their content, so a path never changes
# its picture.
@lru_cache(maxsize=3)
def _inspector(
    stem: str, stage: str, detail: str, weights: str, position: bool, seed: int, file: str | None, file_block: str
) -> Inspector:
    return Inspector(
        stem,
        stage,
        detail=detail,
        weights=weights,
        position=position,
        seed=seed,
        file=file,
        file_block=file_block or None,
        max_rows=MAX_ROWS,
        mechanisms=_brought,
    )


def _encode(settled: Controls) -> Encoding:
    encoding = inspector_of(settled).encode(settled.photograph, settled.longest_side)  # type: ignore[arg-type]
    _kept[encoding.key] = encoding
    return encoding


# Those that are still kept, by their keys.
_kept: WeakValueDictionary[str, Encoding] = WeakValueDictionary()


def kept_encoding(key: str) -> Encoding | None:
    """The encoding with this key, while it is kept."""
    return _kept.get(key)


def _inspect(settled: Controls) -> Inspection:
    return inspector_of(settled).inspect(encoding_of(settled))


# By whether they are large: of those, which take up to 60 MB each, only the last is kept.
_encoding = {False: lru_cache(maxsize=8)(_encode), True: lru_cache(maxsize=1)(_encode)}
_inspection = {False: lru_cache(maxsize=4)(_inspect), True: lru_cache(maxsize=1)(_inspect)}


def inspector_of(controls: Controls) -> Inspector:
    """The inspector for these controls; the last few are kept."""
    asked = controls.settled()
    return _inspector(
        asked.stem,
        asked.stage,
        asked.detail,
        asked.weights,
        asked.position,
        asked.seed,
        asked.file,
        asked.file_block,
    )


def encoding_of(controls: Controls) -> Encoding:
    """The photograph's encoding; the last few are kept.

    Raises:
        ControlError: no photograph; and what `Inspector` and its `encode` raise.
    """
    settled = _with_photograph(controls)
    return _encoding[settled.large](settled)


def inspection_of(controls: Controls) -> Inspection:
    """The photograph's inspection; the last few are kept. Errors as of `encoding_of`."""
    settled = _with_photograph(controls)
    return _inspection[settled.large](settled)


def weights_badge(info: WeightsInfo) -> dict[str, Any]:
    """What the explorer's badge says of the weights."""
    badge = {"source": info.source, "seed": info.seed, "file": info.file, **info.detail}
    return {name: in_short(value) if isinstance(value, str) else value for name, value in badge.items()}


def explorer_view(
    controls: Controls, shown: str = "", *, whole: bool = False, query: Mapping[str, Any] | None = None
) -> ExplorerView:
    """The photograph's map; ``shown`` is the explorer's part of a share link, ``whole`` see `ExplorerView`.

    ``query`` is where the page points, {"row", "col", "rows", "cols"}, on whatever grid; where neither says, an example
    is asked from its own start.
    """
    if query is None and not shown:
        query = STARTS.get(controls.example)
    encoding = encoding_of(controls)
    return ExplorerView(
        image=encoding.image,
        grid=encoding.grid,
        stride_px=encoding.stride_px,
        queries=encoding.queries,
        keys=encoding.keys,
        weights=weights_badge(inspector_of(controls).sources["spatial"]),
        view=shown,
        key=encoding.key,
        whole=whole,
        query=_same_spot(query, encoding.grid),
        overlap=encoding.overlap if whole else None,
    )


def _same_spot(query: Mapping[str, Any] | None, grid: tuple[int, int]) -> tuple[int, int] | None:
    """The position at the place of ``query``, as the page's script finds it (web/cell.js); None for what says none."""
    try:
        places = ((query[name], query[side]) for name, side in (("row", "rows"), ("col", "cols")))  # type: ignore[index]
        row, col = (int((place + 0.5) / side * here) for (place, side), here in zip(places, grid, strict=True))
    except (TypeError, KeyError, ValueError, ArithmeticError):
        return None
    return (row, col) if 0 <= row < grid[0] and 0 <= col < grid[1] else None


def show_map(controls: Controls, query: Mapping[str, Any] | None = None) -> tuple[ExplorerView, str]:
    """The map, and a notice where it is not of the weights asked for, or the picture's numbers were guessed at."""
    shown = explorer_view(controls, query=query)
    notices = [notice.sentence(controls.language) for notice in encoding_of(controls).notices]
    if (weights := controls.settled().weights) != controls.weights:
        key = "page.fallback.tuned" if weights == "trained" else "page.fallback.trained"
        stem = text(controls.language, "bench.file.bundled") if controls.stem == "bundled" else controls.stem
        notices.insert(0, text(controls.language, key, stem=stem, stage=controls.stage))
    return shown, "\n\n".join(notices)


def show_rest(asked: Mapping[str, Any], controls: Controls) -> ExplorerRest:
    """All that pointing at a map needs; follows `show_map`, so that the first map does not wait for it.

    Of the map with the ``key`` asked for, whatever the controls say by now; where it is not kept, of theirs.
    """
    encoding = kept_encoding(str(asked.get("key"))) or encoding_of(controls)
    return ExplorerRest(encoding.queries, encoding.keys, encoding.key, encoding.overlap)


def browsers_picture(path: str) -> str | None:
    """A PNG of a picture that browsers do not show, as the server read it; None for one that they do."""
    with suppress(UnidentifiedImageError), Image.open(path) as picture:
        if picture.format in BROWSERS_FORMATS:
            return None
    upright = open_image(path)
    upright.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    png = io.BytesIO()
    upright.save(png, "PNG")
    return store(png.getvalue(), f"{Path(path).stem}.png")


def show_lane(controls: Controls) -> LaneView:
    """What the channel mechanisms weigh; follows `show_map`, so that the map does not wait for it."""
    return LaneView.from_inspection(inspection_of(controls))


def show_shapes(controls: Controls) -> str:
    """The shapes that the shown photograph gives, in the page's language; nothing is inspected for it."""
    features = torch.from_numpy(encoding_of(controls).features)[None]
    return shapes_table(inspector_of(controls).block.trace(features), controls.language)


def show_channels(controls: Controls) -> ChannelsView:
    """What every mechanism made of the same features."""
    return ChannelsView.from_inspection(inspection_of(controls))


def show_lab(controls: Controls, seed: int = 0) -> LabView:
    """The lab for the same photograph; ``seed`` draws the shuffle test's permutation."""
    return lab_view(inspection_of(controls), inspector_of(controls), seed)


def show_story(controls: Controls) -> tuple[TranspositionView | None, StoryView]:
    """The transposition and the story of the same photograph."""
    inspection, inspector = inspection_of(controls), inspector_of(controls)
    return transposition_view(inspection, inspector), story_view(inspection, inspector, inspection.key)


def show_pair(asked: Mapping[str, Any], controls: Controls) -> PairView:
    """Two photographs for one block: examples by name, else the page's own and the one brought as the second."""
    first, second = (str(asked.get(name) or "") for name in ("first", "second"))
    for name in (first, second):
        check_choice("example", name, ("", *EXAMPLES))
    has_position = controls.settled().weights in ("trained", "tuned")
    # Without its encoding unless that is asked for: see `attn.pairs.encode_pair`.
    controls = replace(controls, position=has_position and asked.get("position") is True)
    paths = EXAMPLES.get(first, controls.photograph), EXAMPLES.get(second, controls.second)
    here, there = (encoding_of(replace(controls, photograph=path)) for path in paths)
    return PairView(
        here, there, first, second, str(asked.get("key") or ""), controls.position if has_position else None
    )


def show_second(controls: Controls) -> PairView:
    """The page's photograph asked, and a brought one looked into."""
    return show_pair({}, controls)


def show_own_gates(asked: Mapping[str, Any], controls: Controls) -> OwnGatesView:
    """The gates of a network that was trained with them and, beside them, this project's own; or why there are none."""
    network = str(asked.get("network") or "")
    check_choice("stem", network, GATED_NETWORKS)
    inspection = inspection_of(controls)
    try:
        blocks = _gated(network).gates(controls.photograph, controls.longest_side)  # type: ignore[arg-type]
    except StemUnavailable as error:
        return OwnGatesView(network, error=error, key=inspection.key)
    gates = {name: each.weights for name, each in inspection.mechanisms.items() if each.kind == "gate"}
    ours = {name: each for name, each in gates.items() if each is not None}
    return OwnGatesView(network, tuple(blocks), ours, key=inspection.key)


@lru_cache(maxsize=len(GATED_NETWORKS))
def _gated(network: str) -> GatedNetwork:
    return GatedNetwork(network)


def show_blocks(controls: Controls) -> BlocksView | None:
    """The attention blocks of the reader's file, and which of them is used; None without a file."""
    if not controls.file:
        return None
    network = "resnet18" if controls.stem == "bundled" else controls.stem  # whose widths the bundled one has
    channels = stage_widths()[network, controls.stage]
    name = Path(controls.file).name
    try:
        blocks = _blocks(controls.file)
    except WeightsError as error:
        return BlocksView(name, channels, controls.stem, controls.stage, error=error)
    used = block_taken(blocks, channels, controls.file_block) if controls.weights == "file" else ""
    return BlocksView(name, channels, controls.stem, controls.stage, blocks, used)


@lru_cache(maxsize=4)
def _blocks(file: str) -> list[BlockFound]:
    return list_blocks(file)


def choose_block(asked: Mapping[str, Any], controls: Controls) -> list[Any]:
    """Network, stage, weights and block for the one that a reader chose; what does not fit together is said."""
    wanted = replace(
        controls,
        weights="file",
        file_block=str(asked.get("block") or ""),
        stem=str(asked.get("stem") or controls.stem),
        stage=str(asked.get("stage") or controls.stage),
    ).checked()
    return [wanted.stem, gr.update(choices=stages_of(wanted.stem), value=wanted.stage), "file", wanted.file_block]


def take_file(controls: Controls) -> list[Any]:
    """Weights, block and the list of blocks for a file that has just been given: the first that fits is used."""
    found = show_blocks(replace(controls, weights="file", file_block=""))
    return ["file", found.used if found else "", found]


def export_file(asked: Mapping[str, Any], controls: Controls) -> str:
    """The file behind one of the explorer's buttons, as the explorer shows the map: a path in Gradio's cache."""
    # With matplotlib, which takes its time and which the page does without until then.
    from attn.figures.export import MapView, npz_bytes, query_csv, snippet, view_figure
    from attn.figures.render import figure_bytes

    kind = asked.get("kind")
    check_choice("kind", kind, EXPORTS)
    inspection = inspection_of(controls)
    try:
        shown = MapView.read(asked, inspection.grid)
    except ValueError as error:
        raise ControlError("page.error.view", reason=str(error)) from error
    if kind in FIGURES:
        extension = FIGURES[kind]
        figure = view_figure(inspection, shown, language=controls.language)
        return store(figure_bytes(figure, extension), f"attention.{extension}")
    if kind == "html":
        name, view, lane = Path(controls.photograph or "").stem, asked.get("view"), asked.get("lane")
        opening = lane if isinstance(lane, dict) else {}
        page = document(
            inspection,
            title=name,
            language=controls.language,
            view=view if isinstance(view, str) else "",
            lane={part: value for part, value in opening.items() if isinstance(value, str)},
        )
        return store(page.encode(), "attention.html")
    if kind == "arrays":
        return store(npz_bytes(inspection, temperature=shown.temperature), "attention.npz")
    if kind == "metrics":
        return store(query_csv(inspection, temperature=shown.temperature).encode(), "queries.csv")
    name = Path(controls.photograph or "").name
    code = snippet(inspection, shown, path=name, longest_side=controls.longest_side)
    return store(code.encode(), "attention.py")


def _with_photograph(controls: Controls) -> Controls:
    if not controls.photograph:
        raise ControlError("page.notice.no_image")
    check_picture(controls.photograph)
    return controls.settled()


def check_picture(path: str) -> None:
    """ControlError where the file is larger than a picture may be: a request that brings weights may be larger."""
    with suppress(OSError):  # `open_image` has a sentence for it
        if (size := Path(path).stat().st_size) > MOST:
            raise ControlError("page.error.picture", size=-(-size // 2**20), limit=MOST // 2**20)
