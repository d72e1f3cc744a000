"""Arrays in, pictures and figures out.

Attention maps come as (N,) rows over an h × w grid, positions row-major, and are drawn in units of uniform attention
(N · A, 1 = uniform). Nothing here touches pyplot's global state; figures are drawn under a lock, so any thread may ask.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray
from PIL import Image

Row = NDArray[np.floating]
Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Scale = Literal["uniform", "linear", "log"]
Range = tuple[float, float]

SCALES: tuple[Scale, ...] = ("uniform", "linear", "log")
# In × uniform. The same for every map, so that maps compare and a flat one looks flat.
UNIFORM_RANGE, LOG_RANGE = (0.0, 5.0), (0.01, 100.0)
# "light" is no colour map: the photograph itself, lit by the map. The others are matplotlib's.
LIGHT = "light"
COLORMAPS = (LIGHT, "viridis", "magma", "cividis", "grey")
# As in the explorer (light.js): brightness of the unlit photograph, the warmth of the light, the tone its bar shows.
_DIM, _WARM, _TONE = 0.45, 0.2 * np.array([255, 190, 90]) / 255, np.array([208, 164, 116], np.uint8)
DIVERGING = "RdBu_r"
FORMATS = ("png", "svg", "pdf")
# As in the explorer: after Okabe & Ito's palette for colour-blind readers, light enough for a black number.
PIN_COLORS = ("#e69f00", "#56b4e9", "#2bb58a", "#f0e442", "#ff8a65", "#d58fc0")
# A caller may pass these in another language, if `can_draw` says that a font for it is there.
TEXTS = {
    "photograph": "Photograph",
    "query": "{number}: row {row}, column {col}",
    "uniform": "× uniform (line: 1)",
    "linear": "× uniform, to the peak (line: 1)",
    "log": "× uniform, log (line: 1)",
    "signed": "difference, × uniform",
    "difference": "{a} − {b}",
}

_CJK_FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",  # a collection's first face, which has the Chinese glyphs too
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
)
# Whether values lie below and above a colour bar → the ends of the bar that point.
_POINTS = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
_SAVE_LOCK = threading.Lock()  # rcParams are shared by all threads

# Lengths of the figure in inches, type in points.
_WIDTH, _GAP, _MARGIN, _COLUMNS, _WIDEST_PANEL = 7.2, 0.26, 0.14, 4, 3.0
_TITLE, _BAR, _BAR_GAP, _BAR_TEXT = 0.2, 0.07, 0.06, 0.36
_LINE, _SMALL, _NORMAL = 0.125, 6.5, 7.5


@dataclass(frozen=True)
class FigureMap:
    """One map of a figure.

    attention: (N,), a row ("attends to") or a column ("is attended by") of the attention map, or a mean of such.
    query: the (row, column) it belongs to, marked on the photograph and the map; None where it belongs to no one query.
    title: above the map; "" writes the query's number, row and column.
    note: smaller, below the title, for its numbers; wrapped.
    color: of the mark; None takes the next of `PIN_COLORS`.
    signed: the values are differences, with diverging colours centred on zero.
    mask: (N,), True where the map is shown; elsewhere the photograph is. None shows all.
    """

    attention: Row
    query: tuple[int, int] | None
    title: str = ""
    note: str = ""
    color: str | None = None
    signed: bool = False
    mask: Mask | None = None


def overlay(
    image: Picture,
    attention_row: Row,
    grid: tuple[int, int],
    *,
    scale: Scale = "uniform",
    colormap: str = "viridis",
    alpha: float = 0.6,
    smooth: bool = False,
    value_range: Range | None = None,
    mask: Mask | None = None,
) -> Picture:
    """The picture with one attention map over it; (H, W, 3) uint8.

    Args:
        image: (H, W, 3) uint8.
        attention_row: (N,) over the (h, w) ``grid``.
        scale: "uniform" colours from 0 to 5 × uniform and "log" from 0.01 to 100, whatever the map; "linear" from 0 to
            the map's own peak. Values beyond take the last colour.
        colormap: one of `COLORMAPS`. "light" covers nothing: the photograph is grey and dim where the scale begins and
            in its own colours where it ends.
        alpha: of a colour map's; 0 shows the picture alone, 1 the map alone.
        smooth: between the centres of positions; otherwise one even square a position.
        value_range: (low, high) in × uniform, in place of the scale's own.
        mask: (N,), True where the map is shown; None shows all.
    """
    values = _times_uniform(attention_row, grid)
    norm = value_norm(values, scale, value_range=value_range)
    if colormap == LIGHT:
        return _lit(image, values, norm, smooth, mask)
    return _blend(image, values, norm, _colormap(colormap), alpha, smooth, mask)


def difference_overlay(
    image: Picture,
    attention_a: Row,
    attention_b: Row,
    grid: tuple[int, int],
    *,
    scale: Scale = "linear",
    alpha: float = 0.75,
    smooth: bool = False,
    value_range: Range | None = None,
) -> Picture:
    """The greyed picture with map a minus map b over it, red where a has more; (H, W, 3) uint8.

    Zero is white and both signs reach as far. Arguments as for `overlay`; logarithms have no negative, so "log" is
    "uniform" here: −5 to 5.
    """
    values = _times_uniform(attention_a, grid) - _times_uniform(attention_b, grid)
    norm = value_norm(values, scale, signed=True, value_range=value_range)
    return _blend(_grey(image), values, norm, matplotlib.colormaps[DIVERGING], alpha, smooth)


def value_norm(values: Row, scale: Scale, *, signed: bool = False, value_range: Range | None = None) -> Normalize:
    """× uniform → 0 … 1 under a scale (see `overlay`); differences (``signed``) have zero at exactly one half."""
    if scale not in SCALES:
        raise ValueError(f"expected a scale of {', '.join(SCALES)}, got {scale!r}")
    log = scale == "log" and not signed
    if value_range is not None:
        low, high = value_range
        if not (low < high and (low > 0 or not log)):
            raise ValueError(f"expected low < high{', both above 0' if log else ''}, got {value_range}")
    elif log:
        low, high = LOG_RANGE
    else:
        low, high = UNIFORM_RANGE if scale != "linear" else (0.0, max(float(np.abs(values).max()), 1e-6))
        low = -high if signed else low
    return LogNorm(low, high, clip=True) if log else Normalize(low, high, clip=True)


def figure(
    image: Picture,
    grid: tuple[int, int],
    maps: Sequence[FigureMap],
    *,
    scale: Scale = "uniform",
    colormap: str = "viridis",
    alpha: float = 0.75,
    smooth: bool = False,
    value_range: Range | None = None,
    difference: tuple[int, int] | None = None,
    caption: str = "",
    badge: str = "",
    texts: Mapping[str, str] = TEXTS,
) -> Figure:
    """A figure for print: the photograph with every query marked, then each map over the greyed photograph.

    Every map has its colour bar in × uniform with uniform attention (1) marked, pointed where values lie beyond.

    Args:
        image, grid, scale, colormap, alpha, smooth: as for `overlay`.
        value_range: as for `overlay`, for every map that is not signed.
        maps: at least one.
        difference: two indices into ``maps``; adds the first minus the second, colours centred on zero.
        caption: below the panels, wrapped.
        badge: where the weights come from, in a box after the caption.
        texts: the figure's own words, see `TEXTS`.

    Characters that no font here can draw are written as "?".
    """
    if not maps:
        raise ValueError("expected at least one map, got none")
    shown = [*maps]
    if difference is not None:
        a, b = difference
        title = texts["difference"].format(a=a + 1, b=b + 1)
        shown.append(FigureMap(maps[a].attention - maps[b].attention, None, title, signed=True))
    panels = 1 + len(shown)
    rows = -(-panels // _COLUMNS)
    columns = -(-panels // rows)
    width = min(_WIDEST_PANEL, (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) / columns)
    height = width * image.shape[0] / image.shape[1]
    notes = [_wrap(drawable(m.note), width, _SMALL) for m in shown]
    head = _TITLE + _LINE * max(map(len, notes))
    panel_height = head + height + _BAR_GAP + _BAR + _BAR_TEXT
    total_width = 2 * _MARGIN + columns * width + (columns - 1) * _GAP
    lines = _wrap(drawable(caption), total_width - 2 * _MARGIN, _NORMAL)
    foot = 1.15 * _LINE * len(lines) + 0.24 * bool(badge) + 0.06
    total_height = rows * panel_height + foot
    fig = Figure(figsize=(total_width, total_height), facecolor="white")

    def add_axes(panel: int, top: float, length: float) -> Axes:
        """Axes of a panel's width, ``top`` inches below the panel's top and ``length`` high."""
        left = _MARGIN + panel % columns * (width + _GAP)
        bottom = total_height - panel // columns * panel_height - top - length
        return fig.add_axes((left / total_width, bottom / total_height, width / total_width, length / total_height))

    def add_panel(panel: int, picture: Picture, title: str, note: Sequence[str] = ()) -> Axes:
        ax = add_axes(panel, head, height)
        # Coordinates in positions, so that a query is marked at (column, row).
        ax.imshow(picture, extent=(-0.5, grid[1] - 0.5, grid[0] - 0.5, -0.5), aspect="auto")
        ax.set_axis_off()
        _text(ax, 0, 1 + (head - _TITLE / 2) / height, title, size=_NORMAL, weight="bold", va="center_baseline")
        for index, line in enumerate(note):
            y = head - _TITLE - (index + 0.4) * _LINE
            _text(ax, 0, 1 + y / height, line, size=_SMALL, color="#444444", va="center_baseline")
        return ax

    def add_bar(panel: int, values: Row, norm: Normalize, cmap: Colormap, label: str, reference: float) -> None:
        ax = add_axes(panel, head + height + _BAR_GAP, _BAR)
        low, high = float(norm.vmin or 0), float(norm.vmax or 0)
        extend = _POINTS[bool(values.min() < low), bool(values.max() > high)]
        bar = fig.colorbar(ScalarMappable(norm, cmap), cax=ax, orientation="horizontal", extend=extend)
        if isinstance(norm, LogNorm):
            bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            bar.ax.xaxis.set_minor_formatter(NullFormatter())
        else:
            bar.ax.xaxis.set_major_locator(MaxNLocator(4))
        bar.outline.set_linewidth(0.4)
        bar.ax.tick_params(labelsize=_SMALL, width=0.4, length=2, pad=1)
        bar.ax.set_xlabel(drawable(label), fontsize=_SMALL, labelpad=1, fontfamily=_families(), parse_math=False)
        if low <= reference <= high:
            line = bar.ax.axvline(reference, color="black", linewidth=0.8, clip_on=False)
            line.set_path_effects([withStroke(linewidth=1.8, foreground="white")])

    main, backdrop = _colormap(colormap), _grey(image)
    photograph = add_panel(0, image, texts["photograph"])
    marks = [(m.query, m.color or PIN_COLORS[i % len(PIN_COLORS)]) for i, m in enumerate(maps)]
    for index, m in enumerate(shown):
        number = index + 1
        values = _times_uniform(m.attention, grid)
        norm = value_norm(values, scale, signed=m.signed, value_range=None if m.signed else value_range)
        cmap = matplotlib.colormaps[DIVERGING] if m.signed else main
        row, col = m.query or ("–", "–")
        title = m.title or texts["query"].format(number=number, row=row, col=col)
        if colormap == LIGHT and not m.signed:
            picture = _lit(image, values, norm, smooth, m.mask)
        else:
            picture = _blend(backdrop, values, norm, cmap, alpha, smooth, m.mask)
        ax = add_panel(number, picture, title, notes[index])
        add_bar(number, values, norm, cmap, texts["signed" if m.signed else scale], 0.0 if m.signed else 1.0)
        for query, color in marks[index:number] or [marks[i] for i in difference or ()]:
            if query is not None:
                _mark(ax, query, color)
    for number, (query, color) in enumerate(marks, start=1):
        if query is not None:
            _number(photograph, query, color, number)
    left = _MARGIN / total_width
    for index, line in enumerate(lines):
        y = (foot - 1.15 * _LINE * index) / total_height
        fig.text(left, y, line, fontsize=_NORMAL, va="top", fontfamily=_families(), parse_math=False)
    if badge:
        fig.text(
            (_MARGIN + 0.05) / total_width,
            0.14 / total_height,
            drawable(badge),
            fontsize=_SMALL,
            va="center",
            fontfamily=_families(),
            parse_math=False,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": "#f0f0f0", "edgecolor": "#888888", "linewidth": 0.5},
        )
    return fig


def figure_bytes(fig: Figure, fmt: str = "png", *, title: str = "", dpi: float = 300) -> bytes:
    """The figure as a PNG, SVG or PDF file; text stays text in the last two. The same figure gives the same bytes."""
    if fmt not in FORMATS:
        raise ValueError(f"expected a format of {', '.join(FORMATS)}, got {fmt!r}")
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    metadata = {"Title": title} | undated.get(fmt, {})
    out = io.BytesIO()
    with _SAVE_LOCK, matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "attn", "pdf.fonttype": 42}):
        for picture in fig.findobj(AxesImage):
            # A vector file takes the pixels as they are and leaves scaling to its reader: a quarter of the size.
            picture.set_interpolation("auto" if fmt == "png" else "none")
        fig.savefig(out, format=fmt, dpi=dpi, metadata=metadata)
    return out.getvalue()


def can_draw(text: str) -> bool:
    """Whether the fonts found here have every character of the text."""
    return drawable(text) == text


def drawable(text: str) -> str:
    """The text with "?" for each character that no font here has; line breaks stay."""
    known = _characters()
    return "".join(c if c == "\n" or ord(c) in known else "?" for c in text)


@cache
def _families() -> list[str]:
    """matplotlib's own font, then the first font with Chinese characters that this machine has."""
    installed = set(fontManager.get_font_names())
    return ["DejaVu Sans", *[name for name in _CJK_FAMILIES if name in installed][:1]]


@cache
def _characters() -> frozenset[int]:
    return frozenset(code for family in _families() for code in get_font(findfont(family)).get_charmap())


def _colormap(name: str) -> Colormap:
    if name not in COLORMAPS:
        raise ValueError(f"expected a colormap of {', '.join(COLORMAPS)}, got {name!r}")
    if name == LIGHT:
        ends = (_light(_TONE[None, None], np.full((1, 1), level))[0, 0] / 255 for level in (0.0, 1.0))
        return LinearSegmentedColormap.from_list(LIGHT, list(ends))
    return matplotlib.colormaps[name]


def _times_uniform(row: Row, grid: tuple[int, int]) -> Row:
    """(N,) attention → (h, w) in × uniform."""
    height, width = grid
    row = np.asarray(row)
    if row.shape != (height * width,):
        raise ValueError(f"expected {height * width} values for a {height} × {width} grid, got shape {row.shape}")
    return (row.astype(np.float64) * row.size).reshape(height, width)


def _blend(
    image: Picture,
    values: Row,
    norm: Normalize,
    cmap: Colormap,
    alpha: float,
    smooth: bool,
    mask: Mask | None = None,
) -> Picture:
    """The colours of (h, w) ``values`` over the image, where ``mask`` (N,) lets them be seen."""
    _check_image(image)
    if not 0 <= alpha <= 1:
        raise ValueError(f"expected an alpha of 0 to 1, got {alpha}")
    seen = np.ones(values.shape) if mask is None else np.asarray(mask, dtype=np.float64).reshape(values.shape)
    # Enlarged before it takes its colours: the mean of two colours need not be on the colour bar.
    shades = _enlarge(np.asarray(norm(values)), image.shape[:2], smooth)
    weight = alpha * _enlarge(seen, image.shape[:2], smooth)[..., None]
    return np.rint((1 - weight) * image + weight * 255 * cmap(shades)[..., :3]).astype(np.uint8)


def _lit(image: Picture, values: Row, norm: Normalize, smooth: bool, mask: Mask | None = None) -> Picture:
    """The image under the light of (h, w) ``values``, where ``mask`` (N,) lets them be seen."""
    _check_image(image)
    levels = np.nan_to_num(np.asarray(norm(values), dtype=np.float64)).clip(0, 1)
    if mask is not None:
        levels = levels * np.asarray(mask).reshape(values.shape)
    if smooth:
        enlarged = Image.fromarray(levels.astype(np.float32)).resize(image.shape[1::-1], Image.Resampling.BICUBIC)
        levels = np.asarray(enlarged).clip(0, 1)
    else:
        levels = _enlarge(levels, image.shape[:2], smooth=False)
    return np.rint(_light(image, levels)).astype(np.uint8)


def _light(image: Picture, levels: Row) -> NDArray[np.float64]:
    """Pixels (H, W, 3) under levels (H, W) of light, 0 … 1: grey and dim without, their own colours and warm with."""
    own = image.astype(np.float64)
    dim = _DIM * (own @ [0.299, 0.587, 0.114])[..., None]
    bright = own + _WARM * (255 - own)
    result: NDArray[np.float64] = dim + levels[..., None] * (bright - dim)
    return result


def _check_image(image: Picture) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"expected an image (H, W, 3) of uint8, got {image.shape} of {image.dtype}")


def _enlarge(values: Row, size: tuple[int, int], smooth: bool) -> Row:
    """(h, w) → (H, W), bilinear between the centres of positions or one even rectangle each."""
    height, width = size
    if smooth:
        picture = Image.fromarray(values.astype(np.float32))
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    rows = np.arange(height) * values.shape[0] // height
    cols = np.arange(width) * values.shape[1] // width
    return values[np.ix_(rows, cols)]


def _grey(image: Picture) -> Picture:
    """The photograph without its colours, so that hue in a panel is the map's alone."""
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


def _text(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    # No mathtext: a "$" in a file name is a dollar sign.
    ax.text(x, y, drawable(text), transform=ax.transAxes, fontfamily=_families(), parse_math=False, **style)


def _mark(ax: Axes, query: tuple[int, int], color: str) -> None:
    row, col = query
    box = Rectangle((col - 0.6, row - 0.6), 1.2, 1.2, fill=False, edgecolor=color, linewidth=1, clip_on=False)
    box.set_path_effects([withStroke(linewidth=2, foreground="black")])
    ax.add_patch(box)


def _number(ax: Axes, query: tuple[int, int], color: str, number: int) -> None:
    row, col = query
    ax.plot(col, row, "o", markersize=8.5, color=color, markeredgecolor="black", markeredgewidth=0.7, clip_on=False)
    ax.text(col, row, str(number), fontsize=_SMALL, weight="bold", ha="center", va="center_baseline")


def _wrap(text: str, width: float, size: float) -> list[str]:
    """Lines of at most ``width`` inches at ``size`` points, broken at spaces and between Chinese characters."""
    lines = []
    for part in text.splitlines():
        rest = part.strip()
        while rest:
            ends = np.cumsum([_advance(c) for c in rest]) * size / 72  # inches
            fits = max(1, int((ends <= width).sum()))
            breaks = [i for i in range(1, fits + 1) if i == len(rest) or _may_break(rest[i - 1], rest[i])]
            end = breaks[-1] if breaks else fits
            lines.append(rest[:end].rstrip())
            rest = rest[end:].lstrip()
    return lines


def _may_break(before: str, after: str) -> bool:
    if after in "，。、；：！？）》」』”’":
        return False  # no line begins with these
    return " " in (before, after) or max(before, after) >= "\u2e80"  # where the Chinese characters begin


@cache
def _advance(character: str) -> float:
    """Width of a character at one point's size, in points, from whichever font has it."""
    prop = FontProperties(family=_families(), size=1)
    with_it, without = (text_to_path.get_text_width_height_descent(t, prop, False)[0] for t in (f"x{character}x", "xx"))
    return float(with_it - without)
