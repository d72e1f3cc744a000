"""What a view leaves the page as: a figure for print, arrays (NPZ), tables (CSV), and Python that makes it again."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attn.figures import render
from attn.figures.render import FigureMap
from attn.measures.attention import QueryMetrics, mass_area, perplexity, query_metrics
from attn.measures.channels import ChannelStats

if TYPE_CHECKING:
    from attn.checkpoints import WeightsInfo
    from attn.inspector import Encoding, Inspection, MechanismResult

DIRECTIONS = ("row", "column", "average", "own")
MAX_PINS = 6
TEMPERATURES = (0.25, 4.0)
FEWEST_SMOOTHED = 12  # positions a side, as in the explorer

# The words of a figure. A figure is made in a language only where a font for it is found.
TEXTS: dict[str, dict[str, str]] = {
    "en": {
        **render.TEXTS,
        "average": "All queries",
        "note.row": "about {positions} of {n} positions; mean distance {distance} px (uniform: {uniform} px)",
        "note.column": "receives {received} × an even share",
        "note.average": "about {positions} of {n} positions",
        "note.own": "{own} % of its attention is its own",
        "caption.row": "Where the marked positions attend.",
        "caption.column": "From where the marked positions are attended.",
        "caption.average": "Where positions attend, averaged over all queries.",
        "caption.own": "Attention of the marked positions minus the average over all queries.",
        "caption.setting": "Network {stem}, stage {stage}: {rows} × {cols} positions of {stride} px.",
        "caption.unit": "1 × uniform is what each position gets if none matters.",
        "caption.temperature": "Temperature × {temperature}.",
        "caption.share": "Coloured: the positions that hold {share} % of the attention.",
        "badge.trained": "Weights: trained",
        "badge.tuned": "Weights: tuned, the network's last two stages as well",
        "badge.similarity": "Weights: feature similarity, nothing trained",
        "badge.random": "Weights: random (seed {seed}), the map is noise",
        "badge.file": "Weights: {file}",
        "badge.own": "Weights: the module's own",
    },
    "zh": {
        "photograph": "照片",
        "query": "{number}：第 {row} 行，第 {col} 列",
        "uniform": "× 均匀（竖线：1）",
        "linear": "× 均匀，到峰值为止（竖线：1）",
        "log": "× 均匀，对数（竖线：1）",
        "signed": "差值，× 均匀",
        "difference": "{a} − {b}",
        "average": "全部查询",
        "note.row": "约 {positions} 个位置（共 {n} 个）；平均距离 {distance} px（均匀：{uniform} px）",
        "note.column": "受到的关注是平均份额的 {received} 倍",
        "note.average": "约 {positions} 个位置（共 {n} 个）",
        "note.own": "它的注意力有 {own} % 是自己的",
        "caption.row": "标出的位置关注哪里。",
        "caption.column": "哪里关注标出的位置。",
        "caption.average": "全部查询平均起来关注哪里。",
        "caption.own": "标出位置的注意力减去全部查询的平均。",
        "caption.setting": "网络 {stem}，阶段 {stage}：{rows} × {cols} 个位置，每个 {stride} px。",
        "caption.unit": "“1 × 均匀”指各处同等重要时每个位置得到的份额。",
        "caption.temperature": "温度 × {temperature}。",
        "caption.share": "着色的是占注意力 {share} % 的位置。",
        "badge.trained": "权重：训练所得",
        "badge.tuned": "权重：微调，网络最后两个阶段一同改变",
        "badge.similarity": "权重：特征相似度，未经训练",
        "badge.random": "权重：随机（种子 {seed}），图只是噪声",
        "badge.file": "权重：{file}",
        "badge.own": "权重：模块自带",
    },
}

_BLOCK_VALUES = 1 << 22  # values of a block of attention rows: 16 MB
# Of a mechanism's kind: the name of its weights' array, and what they are.
_WEIGHTS = {
    "gate": ("gates", "one factor per channel of {name}, 0 to 1"),
    "channel_map": ("channel_map", "(channel, channel) weights of {name}, rows sum to 1"),
    "spatial_gate": ("spatial_gate", "one factor per position of {name}, 0 to 1"),
    "spatial": ("attention", "(query, key) weights of {name}, rows sum to 1"),
}
_README = """\
One photograph, inspected: the arrays behind the page.
Read with numpy.load; positions are row-major: position i is row i // {cols}, column i % {cols}.

network         {stem}, {stage}
grid            {rows} x {cols} positions of {stride} px
temperature     {temperature} times the weights' own

{arrays}

Where the weights come from:
{weights}
"""


@dataclass(frozen=True)
class MapView:
    """How the explorer shows a map; the names are those of its view in the page.

    cell: the (row, column) under the pointer, the query of the figure if nothing is pinned; None is the middle.
    pins: up to six queries. compare: two indices into them, or empty.
    direction: "row" attends to, "column" is attended by, "average" over all queries, "own" the row minus that average.
    fixed: with the "linear" scale, one range for all pins.
    smooth: between positions; None where the grid is fine enough for it, see `smooth_on`.
    share: colour only the positions that hold this share of the attention; 0 colours all.
    """

    cell: tuple[int, int] | None = None
    pins: tuple[tuple[int, int], ...] = ()
    compare: tuple[int, ...] = ()
    direction: str = "row"
    scale: render.Scale = "uniform"
    fixed: bool = False
    temperature: float = 1.0
    smooth: bool | None = None
    colormap: str = render.LIGHT
    share: float = 0.0
    opacity: float = 0.65

    @classmethod
    def read(cls, values: Mapping[str, Any], grid: tuple[int, int]) -> MapView:
        """The view a browser sent, for a photograph of this (h, w) grid; unknown names are ignored.

        Raises:
            ValueError: a value that no explorer sends.
        """
        known = {field.name for field in fields(cls)}
        given = {name: value for name, value in values.items() if name in known}
        try:
            if given.get("cell") is not None:
                given["cell"] = _cell(given["cell"])
            given["pins"] = tuple(_cell(pin) for pin in given.get("pins", ()))
            given["compare"] = tuple(int(index) for index in given.get("compare", ()))
            for name in ("temperature", "share", "opacity"):
                given[name] = float(given.get(name, getattr(cls, name)))
            view = cls(**given)
        except TypeError as error:
            raise ValueError(f"expected a view of the explorer, got {dict(values)}") from error
        view.check(grid)
        return view

    def smooth_on(self, grid: tuple[int, int]) -> bool:
        """Whether a map of this grid is smoothed: between the far positions of a coarse one nothing is known."""
        return min(grid) >= FEWEST_SMOOTHED if self.smooth is None else self.smooth

    def check(self, grid: tuple[int, int]) -> None:
        """ValueError where the view does not fit the grid or a value is out of its range."""
        for row, col in [*self.pins, *([self.cell] if self.cell else [])]:
            if not (0 <= row < grid[0] and 0 <= col < grid[1]):
                raise ValueError(f"expected positions inside {grid[0]} × {grid[1]}, got row {row}, column {col}")
        if len(self.pins) > MAX_PINS:
            raise ValueError(f"expected up to {MAX_PINS} pins, got {len(self.pins)}")
        if self.compare and not (len(self.compare) == 2 and all(0 <= i < len(self.pins) for i in self.compare)):
            raise ValueError(f"expected two of {len(self.pins)} pins to compare, got {self.compare}")
        choices = {"direction": DIRECTIONS, "scale": render.SCALES, "colormap": render.COLORMAPS}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"expected a {name} of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if not TEMPERATURES[0] <= self.temperature <= TEMPERATURES[1]:
            low, high = TEMPERATURES
            raise ValueError(f"expected a temperature of {low:g} to {high:g}, got {self.temperature}")
        if not 0 <= self.share < 1:
            raise ValueError(f"expected a share from 0 to below 1, got {self.share}")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"expected an opacity of 0 to 1, got {self.opacity}")


def view_figure(inspection: Inspection, view: MapView | None = None, *, language: str = "en") -> Figure:
    """The map as shown, for print: see `attn.figures.render.figure`; `figure_bytes` there makes a file of it.

    Shows the pins, or the current position where there are none. Words are English where the fonts found here cannot
    write the language asked for.
    """
    view = view or MapView()
    view.check(inspection.grid)
    texts = TEXTS.get(language, TEXTS["en"])
    texts = texts if render.can_draw("".join(texts.values())) else TEXTS["en"]
    height, width = inspection.grid
    queries = list(view.pins) or [view.cell or (height // 2, width // 2)]
    maps = _maps(inspection, view, [] if view.direction == "average" else queries, texts)
    peak = max(float(np.abs(m.attention).max()) for m in maps) * height * width
    compare = view.compare if view.direction != "average" and len(view.compare) == 2 else None
    return render.figure(
        inspection.image,
        inspection.grid,
        maps,
        scale=view.scale,
        colormap=view.colormap,
        alpha=view.opacity,
        smooth=view.smooth_on(inspection.grid),
        value_range=(0, peak) if view.fixed and view.scale == "linear" else None,
        difference=(compare[0], compare[1]) if compare else None,
        caption=_caption(inspection, view, texts),
        badge=weights_line(inspection.mechanisms["spatial"].source, texts),
        texts=texts,
    )


def npz_bytes(inspection: Inspection, *, temperature: float = 1.0, attention: bool = True) -> bytes:
    """Image, features, queries, keys, attention and every mechanism's output as an NPZ file with a README.txt inside.

    The same inspection gives the same bytes. The map goes in by blocks of rows; it is never held whole. With
    ``attention`` false it is left out, and the README says how queries and keys give it: at 64 × 64 positions it is 64
    of 80 MB.
    """
    encoding = _at(inspection, temperature)
    positions = len(inspection.queries)
    arrays: dict[str, tuple[NDArray[Any], str]] = {
        "image": (inspection.image, "the photograph as the network saw it, RGB, 0 to 255"),
        "features": (inspection.features, "(channel, row, column), before any attention"),
        "queries": (encoding.queries, "(position, channel), every scale included: logits = queries @ keys.T"),
        "keys": (encoding.keys, "(position, channel)"),
    }
    results = inspection.mechanisms.items()
    for name, result in results:
        arrays[f"output_{name}"] = (result.output, f"features after {name}, (channel, row, column)")
    for name, result in results:
        weights = None if name == "spatial" else result.weights  # the AttnBlock's map is "attention"
        if weights is not None:
            prefix, what = _WEIGHTS[result.kind]
            arrays[f"{prefix}_{name}"] = (weights, what.format(name=name))
    lines = [f"{name:<16}{array.dtype!s:<9}{_shape(array.shape):<16}{what}" for name, (array, what) in arrays.items()]
    if attention:
        lines.append(f"{'attention':<16}{'float32':<9}{_shape((positions, positions)):<16}(query, key), rows sum to 1")
    else:
        lines.append("attention = softmax of queries @ keys.T over the keys: (query, key), rows sum to 1")
    readme = _README.format(
        stem=inspection.stem,
        stage=inspection.stage,
        rows=inspection.grid[0],
        cols=inspection.grid[1],
        stride=inspection.stride_px,
        temperature=f"{temperature:g}",
        arrays="\n".join(lines),
        weights="\n".join(f"{name:<16}{_plain(result.source)}" for name, result in results),
    )
    out = io.BytesIO()
    # Floats hardly shrink beyond level 1. Opened by name, entries carry no date: equal arrays make equal files.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("README.txt", "w") as file:
            file.write(readme.encode())
        for name, (array, _) in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array))
        if attention:
            with archive.open("attention.npy", "w", force_zip64=True) as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": (positions, positions)}
                np.lib.format.write_array_header_1_0(file, header)
                for rows in _row_blocks(encoding):
                    file.write(rows.astype("<f4").tobytes())
    return out.getvalue()


def query_csv(inspection: Inspection, *, temperature: float = 1.0) -> str:
    """One line per query with its numbers, distances in input pixels; uniform attention's distance beside it."""
    metrics = inspection.query_metrics
    if temperature != 1:
        parts, start = [], 0
        for rows in _row_blocks(_at(inspection, temperature)):
            block = range(start, start + len(rows))
            parts.append(query_metrics(rows, inspection.grid, inspection.stride_px, queries=block))
            start += len(rows)
        joined = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(QueryMetrics)}
        metrics = QueryMetrics(**joined)
    columns = {
        "entropy": metrics.entropy,
        "perplexity_positions": metrics.perplexity,
        "distance_px": metrics.distance,
        "uniform_distance_px": metrics.uniform_distance,
        "mass_area_60": metrics.mass_area,
    }
    width = inspection.grid[1]
    lines = ([i // width, i % width, *values] for i, values in enumerate(zip(*columns.values(), strict=True)))
    return _csv(["row", "column", *columns], lines)


def channel_csv(inspection: Inspection) -> str:
    """One line per mechanism and channel: its gate where it has one, then `ChannelStats`; empty where undefined."""
    names = [field.name for field in fields(ChannelStats)]
    lines = (
        [mechanism, channel, gate, *values]
        for mechanism, result in inspection.mechanisms.items()
        for channel, (gate, *values) in enumerate(
            zip(_gates(result), *(getattr(result.statistics, name) for name in names), strict=True)
        )
    )
    return _csv(["mechanism", "channel", "gate", *names], lines)


def snippet(
    inspection: Inspection, view: MapView | None = None, *, path: str = "photograph.jpg", longest_side: int = 320
) -> str:
    """Python that inspects the photograph at ``path`` the same way and prints the view's queries with their numbers."""
    view = view or MapView()
    info = inspection.mechanisms["spatial"].source
    seeds = (result.source.seed for result in inspection.mechanisms.values())
    seed = next((each for each in seeds if each is not None), 0)
    arguments = {"stem": inspection.stem, "stage": inspection.stage, "weights": info.source}
    options: dict[str, Any] = {"detail": inspection.detail} if inspection.detail != "fine" else {}
    if info.source in ("trained", "tuned") and not info.detail.get("position", True):
        options["position"] = False
    if info.source == "file":
        options["file"] = info.file
    if seed:
        options["seed"] = seed
    if view.temperature != 1:
        options["temperature"] = info.detail.get("temperature", 1.0) * view.temperature
    written = ", ".join(f"{name}={value!r}" for name, value in {**arguments, **options}.items())
    height, width = inspection.grid
    queries = list(view.pins) or [view.cell or (height // 2, width // 2)]
    return f"""\
# Runs wherever the library is installed: `pip install .` in a checkout of Attention window.
from PIL import Image

from attn import Inspector

inspector = Inspector({written})
inspection = inspector.inspect(Image.open({path!r}), longest_side={longest_side})

rows, cols = inspection.grid
metrics = inspection.query_metrics
for row, col in {queries!r}:
    i = row * cols + col
    attention = inspection.attention[i].reshape(rows, cols)  # sums to 1; inspection.attention[:, i]: who attends to i
    print(
        f"row {{row}}, column {{col}}: about {{metrics.perplexity[i]:.1f}} of {{rows * cols}} positions, "
        f"entropy {{metrics.entropy[i]:.3f}} (uniform: 1), "
        f"mean distance {{metrics.distance[i]:.1f}} px (uniform: {{metrics.uniform_distance[i]:.1f}} px)"
    )
"""


def weights_line(info: WeightsInfo, texts: Mapping[str, str] = TEXTS["en"]) -> str:
    """Where an AttnBlock's weights come from, as the badge says it."""
    return texts[f"badge.{info.source}"].format(seed=info.seed, file=info.file)


def _gates(result: MechanismResult) -> NDArray[np.floating[Any]]:
    """One gate a channel, nan where the mechanism has none."""
    weights = result.weights if result.kind == "gate" else None
    return np.full(len(result.output), np.nan) if weights is None else weights


def _maps(
    inspection: Inspection, view: MapView, queries: Sequence[tuple[int, int]], texts: Mapping[str, str]
) -> list[FigureMap]:
    """The maps of these queries under the view; the average over all queries where there are none."""
    encoding = _at(inspection, view.temperature)
    positions = len(encoding.queries)
    indices = [row * inspection.grid[1] + col for row, col in queries]
    mean: NDArray[np.float64] = np.zeros(positions)
    columns = np.zeros((positions, len(indices)))
    if view.direction != "row":
        start = 0
        for block in _row_blocks(encoding):
            mean += block.sum(axis=0, dtype=np.float64) / positions
            columns[start : start + len(block)] = block[:, indices]
            start += len(block)
    if not queries:
        note = texts["note.average"].format(positions=_number(float(perplexity(mean[None])[0])), n=positions)
        return [FigureMap(mean, None, texts["average"], note, mask=_largest(mean, view.share))]
    if view.direction == "column":
        return [
            FigureMap(
                column,
                query,
                note=texts["note.column"].format(received=_number(positions * float(mean[index]))),
                mask=_largest(column / column.sum(), view.share),
            )
            for query, index, column in zip(queries, indices, columns.T, strict=True)
        ]
    rows = encoding.attention_rows(indices).astype(np.float64)
    if view.direction == "own":
        return [
            FigureMap(
                row - mean,
                query,
                # Half the absolute difference: the mass that would have to move to make the one the other.
                note=texts["note.own"].format(own=round(50 * float(np.abs(row - mean).sum()))),
                signed=True,
                mask=_largest(row, view.share),
            )
            for query, row in zip(queries, rows, strict=True)
        ]
    numbers = query_metrics(rows, inspection.grid, inspection.stride_px, queries=indices)
    return [
        FigureMap(
            row,
            query,
            note=texts["note.row"].format(
                positions=_number(numbers.perplexity[i]),
                n=positions,
                distance=f"{numbers.distance[i]:.0f}",
                uniform=f"{numbers.uniform_distance[i]:.0f}",
            ),
            mask=_largest(row, view.share),
        )
        for i, (query, row) in enumerate(zip(queries, rows, strict=True))
    ]


def _caption(inspection: Inspection, view: MapView, texts: Mapping[str, str]) -> str:
    rows, cols = inspection.grid
    parts = [
        texts[f"caption.{view.direction}"],
        texts["caption.setting"].format(
            stem=inspection.stem, stage=inspection.stage, rows=rows, cols=cols, stride=inspection.stride_px
        ),
        texts["caption.unit"],
    ]
    if view.temperature != 1:
        parts.append(texts["caption.temperature"].format(temperature=f"{view.temperature:g}"))
    if view.share:
        parts.append(texts["caption.share"].format(share=round(100 * view.share)))
    return " ".join(parts).replace("。 ", "。")  # Chinese sentences stand without a space


def _at(inspection: Inspection, temperature: float) -> Encoding:
    """The inspection with its logits divided by a further temperature."""
    return inspection if temperature == 1 else replace(inspection, queries=inspection.queries / np.float32(temperature))


def _row_blocks(encoding: Encoding) -> Iterable[NDArray[np.float32]]:
    positions = len(encoding.queries)
    step = max(1, _BLOCK_VALUES // positions)
    return (encoding.attention_rows(range(i, min(i + step, positions))) for i in range(0, positions, step))


def _largest(distribution: NDArray[np.float64], share: float) -> NDArray[np.bool_] | None:
    """The fewest positions that hold this share; None for all."""
    if not share:
        return None
    count = round(float(mass_area(distribution[None], share)[0]) * distribution.size)
    return distribution >= np.sort(distribution)[-count]


def _cell(value: Any) -> tuple[int, int]:
    row, col = value
    return int(row), int(col)


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _shape(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _plain(info: WeightsInfo) -> str:
    parts = [info.source, *(f"{name} {value}" for name, value in info.detail.items())]
    parts += [f"seed {info.seed}"] if info.seed is not None else []
    return ", ".join(parts + ([f"file {info.file}"] if info.file else []))


def _csv(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow([_field(value) for value in line])
    return out.getvalue()


def _field(value: Any) -> Any:
    if not isinstance(value, float | np.floating):
        return value
    return "" if np.isnan(value) else f"{value:.9g}"
