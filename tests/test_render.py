import ast
import io
import re
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image

from attn.figures import render
from attn.figures.render import (
    COLORMAPS,
    SCALES,
    TEXTS,
    FigureMap,
    can_draw,
    difference_overlay,
    drawable,
    figure,
    figure_bytes,
    overlay,
    value_norm,
)

GRID = (2, 3)
ROW = np.array([0.0, 0.1, 0.1, 0.2, 0.5, 0.1])
FLAT = np.full(6, 1 / 6)


def picture(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def color(name: str, value: float) -> np.ndarray:
    return np.rint(255 * np.array(matplotlib.colormaps[name](float(value))[:3])).astype(np.uint8)


def svg_texts(svg: bytes) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


# Overlays


def test_overlay_puts_each_value_on_its_own_square():
    # × uniform: 6 · ROW = 0, .6, .6 / 1.2, 3, .6, up to the peak of 3: 0, .2, .2 / .4, 1, .2.
    shown = overlay(picture(), ROW, GRID, scale="linear", alpha=1)
    for row, col, value in [(0, 0, 0.0), (0, 1, 0.2), (0, 2, 0.2), (1, 0, 0.4), (1, 1, 1.0), (1, 2, 0.2)]:
        square = shown[20 * row : 20 * (row + 1), 20 * col : 20 * (col + 1)]
        assert (square == color("viridis", value)).all(), (row, col)


def test_overlay_mixes_by_alpha_and_leaves_the_picture_alone():
    image = picture()
    kept = image.copy()
    np.testing.assert_array_equal(overlay(image, ROW, GRID, alpha=0), image)
    half = overlay(image, ROW, GRID, alpha=0.5).astype(int)
    whole = overlay(image, ROW, GRID, alpha=1).astype(int)
    assert np.abs(half - (image.astype(int) + whole) / 2).max() <= 1
    np.testing.assert_array_equal(image, kept)


def test_overlay_of_a_size_the_grid_does_not_divide():
    shown = overlay(picture(41, 62), ROW, GRID, scale="linear", alpha=1)
    assert shown.shape == (41, 62, 3)
    assert shown.dtype == np.uint8
    assert (shown[0, 0] == color("viridis", 0)).all()
    assert (shown[40, 61] == color("viridis", 0.2)).all()


def test_light_leaves_the_photograph_and_dims_the_rest():
    image = np.zeros((4, 4, 3), np.uint8)
    image[...] = (200, 100, 50)
    attention = np.array([1.0, 0, 0, 0])  # 4 × uniform at the first of 2 × 2 positions, nothing elsewhere
    lit = overlay(image, attention, (2, 2), scale="linear", colormap="light")
    dim = round(0.45 * (0.299 * 200 + 0.587 * 100 + 0.114 * 50))
    assert (lit[2:, 2:] == dim).all()
    assert (lit[0, 0] >= image[0, 0]).all()
    shown = overlay(image, attention, (2, 2), scale="linear", colormap="light", mask=np.zeros(4, bool))
    assert (shown == dim).all()


def test_light_on_black_is_seen():
    black = np.zeros((12, 12, 3), np.uint8)
    lit = overlay(black, np.full(144, 5 / 144), (12, 12), colormap="light", smooth=True)
    assert lit.min() > 10


def test_smooth_overlay_moves_along_the_colormap():
    # Two positions, 0 and 2 × uniform: halfway between their centres lies 1, which is the colormap's middle, not the
    # mean of its two end colours.
    values = np.array([0.0, 1.0])
    shown = overlay(picture(10, 100), values, (1, 2), scale="linear", colormap="magma", alpha=1, smooth=True)
    assert (shown[:, 10] == color("magma", 0)).all()
    assert (shown[:, 90] == color("magma", 1)).all()
    assert np.abs(shown[5, 50].astype(int) - color("magma", 0.5)).max() < 12


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("smooth", [False, True])
def test_a_flat_map_renders_flat(scale, smooth):
    noisy = FLAT + 1e-9 * np.arange(6)  # rounding must not be stretched into a picture
    shown = overlay(np.full((8, 9, 3), 100, np.uint8), noisy, GRID, scale=scale, alpha=1, smooth=smooth)
    # 1 of 5; the peak itself; halfway between 0.01 and 100.
    expected = {"uniform": 0.2, "linear": 1.0, "log": 0.5}[scale]
    assert np.abs(shown.astype(int) - color("viridis", expected)).max() <= 2


def test_scales_by_hand():
    values = np.array([0.0, 0.1, 1.0, 4.0, 20.0])
    np.testing.assert_allclose(value_norm(values, "uniform")(values), [0, 0.02, 0.2, 0.8, 1])
    np.testing.assert_allclose(value_norm(values, "linear")(values), [0, 0.005, 0.05, 0.2, 1])
    # Four decades from 0.01 to 100; zero takes the lowest colour.
    expected = [0, 0.25, 0.5, 0.5 + np.log10(4) / 4, 0.5 + np.log10(20) / 4]
    np.testing.assert_allclose(value_norm(values, "log")(values), expected, atol=1e-12)
    np.testing.assert_allclose(value_norm(values, "linear", value_range=(1, 3))(np.array([0.5, 2, 4])), [0, 0.5, 1])
    assert value_norm(np.zeros(3), "linear")(0.0) == 0


@pytest.mark.parametrize("scale", SCALES)
def test_a_difference_has_zero_in_the_middle(scale):
    norm = value_norm(np.array([-1.0, 3.0]), scale, signed=True)
    assert norm(0.0) == 0.5
    # 3 of ±5, of ±3, and of ±5 again: negative numbers have no logarithm.
    assert norm(3.0) == {"uniform": 0.8, "linear": 1.0, "log": 0.8}[scale]


def test_difference_is_white_where_nothing_differs():
    image = picture()
    a = np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    b = np.array([0.2, 0.4, 0.1, 0.1, 0.1, 0.1])
    shown = difference_overlay(image, a, b, GRID, alpha=1)
    middle = color("RdBu_r", 0.5)
    assert (shown[:20, :20] == color("RdBu_r", 1)).all()  # +0.3 · 6, the largest
    assert (shown[:20, 20:40] == color("RdBu_r", 0)).all()  # −0.3 · 6, as far the other way
    assert (shown[20:] == middle).all()
    assert (difference_overlay(image, a, a, GRID, alpha=1) == middle).all()


def test_mask_leaves_the_picture_to_be_seen():
    image = picture()
    mask = np.array([True, False, False, False, True, False])
    shown = overlay(image, ROW, GRID, alpha=0.5, mask=mask)
    whole = overlay(image, ROW, GRID, alpha=0.5)
    np.testing.assert_array_equal(shown[:20, :20], whole[:20, :20])
    np.testing.assert_array_equal(shown[:20, 20:], image[:20, 20:])
    np.testing.assert_array_equal(shown[20:, 20:40], whole[20:, 20:40])


def test_input_errors():
    with pytest.raises(ValueError, match=r"expected 6 values for a 2 × 3 grid, got shape \(4,\)"):
        overlay(picture(), np.ones(4) / 4, GRID)
    with pytest.raises(ValueError, match=r"expected a scale of uniform, linear, log, got 'map'"):
        overlay(picture(), ROW, GRID, scale="map")
    with pytest.raises(ValueError, match=r"expected a colormap of light, viridis, magma, cividis, grey, got 'jet'"):
        overlay(picture(), ROW, GRID, colormap="jet")
    with pytest.raises(ValueError, match=r"expected an alpha of 0 to 1, got 2"):
        overlay(picture(), ROW, GRID, alpha=2)
    with pytest.raises(ValueError, match=r"expected an image \(H, W, 3\) of uint8, got \(4, 4, 3\) of float64"):
        overlay(np.zeros((4, 4, 3)), ROW, GRID)
    with pytest.raises(ValueError, match=r"expected low < high, both above 0, got \(0, 1\)"):
        overlay(picture(), ROW, GRID, scale="log", value_range=(0, 1))
    with pytest.raises(ValueError, match=r"expected at least one map, got none"):
        figure(picture(), GRID, [])
    with pytest.raises(ValueError, match=r"expected a format of png, svg, pdf, got 'gif'"):
        figure_bytes(figure(picture(), GRID, [FigureMap(ROW, (0, 0))]), "gif")


# Figures


def two_maps() -> list[FigureMap]:
    return [FigureMap(ROW, (0, 1), note="about 4 positions"), FigureMap(ROW[::-1], (1, 1))]


def test_figure_says_what_it_shows():
    fig = figure(picture(), GRID, two_maps(), difference=(0, 1), caption="A caption.", badge="weights: trained")
    texts = svg_texts(figure_bytes(fig, "svg", title="Attention"))
    for expected in [
        "Photograph",
        "1: row 0, column 1",
        "about 4 positions",
        "2: row 1, column 1",
        "1 − 2",
        "difference, × uniform",
        "A caption.",
        "weights: trained",
    ]:
        assert expected in texts
    assert texts.count("× uniform (line: 1)") == 2


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("colormap", COLORMAPS)
def test_every_scale_and_colormap_has_its_bar(scale, colormap):
    fig = figure(picture(), GRID, two_maps(), scale=scale, colormap=colormap)
    assert svg_texts(figure_bytes(fig, "svg")).count(TEXTS[scale]) == 2


def bar_ranges(fig) -> list[tuple[float, float]]:
    return [ax.get_xlim() for ax in fig.axes if ax.get_xlabel()]


def test_fixed_scales_are_fixed_and_peaks_are_each_maps_own():
    maps = [FigureMap(ROW, (0, 0)), FigureMap(FLAT, (1, 1))]
    assert bar_ranges(figure(picture(), GRID, maps)) == [(0, 5), (0, 5)]
    assert bar_ranges(figure(picture(), GRID, maps, scale="linear")) == [(0, 3), (0, 1)]
    assert bar_ranges(figure(picture(), GRID, maps, scale="linear", value_range=(0, 5))) == [(0, 5), (0, 5)]


def test_a_bar_points_to_what_lies_beyond_it():
    def triangles(peak: float) -> int:
        row = np.full(100, (1 - peak) / 99)
        row[3] = peak
        fig = figure(picture(), (10, 10), [FigureMap(row, (0, 3))])
        return sum(1 for ax in fig.axes[2:] for patch in ax.patches if len(patch.get_path().vertices) <= 4)

    assert triangles(0.04) == 0  # 4 × uniform
    assert triangles(0.06) == 1  # 6 × uniform, the bar ends at 5


def test_difference_bar_is_centred_on_zero():
    own, difference = bar_ranges(figure(picture(), GRID, two_maps(), scale="linear", difference=(0, 1)))[1:]
    assert own == (0, 3)
    assert difference == pytest.approx((-6 * 0.4, 6 * 0.4))  # at position 4: 0.5 − 0.1
    signed = FigureMap(ROW - FLAT, (0, 0), signed=True)
    assert bar_ranges(figure(picture(), GRID, [signed], scale="log", value_range=(1, 2))) == [(-5, 5)]


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "WWW 000 mmm "), (2, "注意力，"), (3, "1234567890"), (5, "words "), (6, "i.l "), (7, "…—× ")],
)
def test_panels_and_words_stay_inside_the_page_and_apart(count, words):
    maps = [FigureMap(ROW, (0, 0), note=words * 12)] * count
    fig = figure(picture(60, 40), GRID, maps, difference=(0, 0), caption=words * 60, badge="weights: trained")
    assert fig.get_size_inches()[0] <= 7.2 + 1e-9
    boxes = [ax.get_position() for ax in fig.axes]
    assert len(boxes) == 1 + 2 * (count + 1)
    for index, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0
        assert max(box.x1, box.y1) <= 1
        assert not any(box.overlaps(other) for other in boxes[:index])
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    renderer, (width, height) = canvas.get_renderer(), canvas.get_width_height()
    for text in fig.texts + [t for ax in fig.axes for t in [*ax.texts, ax.xaxis.label]]:
        if text.get_text():
            extent = text.get_window_extent(renderer)
            assert extent.x0 >= 0, text.get_text()
            assert extent.x1 <= width, text.get_text()
            assert extent.y0 >= 0, text.get_text()
            assert extent.y1 <= height, text.get_text()


def test_the_query_is_marked_in_its_colour():
    fig = figure(np.zeros((200, 300, 3), np.uint8), GRID, [FigureMap(ROW, (1, 2), color="#ff00ff")])
    pixels = np.asarray(Image.open(io.BytesIO(figure_bytes(fig, dpi=100))).convert("RGB")) / 255
    box = fig.axes[0].get_position()  # of the photograph
    rows, cols = np.nonzero((np.abs(pixels - to_rgb("#ff00ff")) < 0.02).all(axis=2))
    on_photograph = cols < box.x1 * pixels.shape[1]
    # The middle of row 1 of 2 and of column 2 of 3.
    col = (cols[on_photograph].mean() / pixels.shape[1] - box.x0) / box.width
    row = (1 - rows[on_photograph].mean() / pixels.shape[0] - box.y0) / box.height
    assert col == pytest.approx(5 / 6, abs=0.02)
    assert 1 - row == pytest.approx(3 / 4, abs=0.02)
    assert (~on_photograph).any()  # and on the map


def test_a_mean_over_queries_has_no_mark():
    fig = figure(picture(), GRID, [FigureMap(ROW, None, title="All queries")])
    assert "All queries" in svg_texts(figure_bytes(fig, "svg"))
    assert not any(ax.patches or ax.lines for ax in fig.axes[:2])


# Files


@pytest.mark.parametrize("fmt", ["png", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes(fmt):
    once, twice = (figure_bytes(figure(picture(), GRID, two_maps(), badge="b"), fmt, title="t") for _ in range(2))
    assert once == twice
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert once.startswith(starts[fmt])
    assert not re.search(rb"20\d\d-\d\d-\d\d|/CreationDate", once)


def test_png_is_dense_enough_for_print():
    with Image.open(io.BytesIO(figure_bytes(figure(picture(), GRID, two_maps())))) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.width == pytest.approx(7.2 * 300, abs=2)


def test_pdf_keeps_its_text_as_truetype():
    pdf = figure_bytes(figure(picture(), GRID, two_maps()), "pdf")
    streams = [m for m in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL) if m[:1] == b"\x78"]
    content = b"".join(zlib.decompressobj().decompress(s) for s in streams)
    assert b"/FontFile2" in pdf  # TrueType embedded
    assert b"/Type3" not in pdf
    assert re.search(rb"T[jJ]\s", content)  # text is shown as text


def test_threads_do_not_mix():
    def draw(seed: int) -> bytes:
        return figure_bytes(figure(picture(seed=seed), GRID, two_maps(), caption=str(seed)), "svg")

    alone = [draw(seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(draw, range(3))) == alone
    assert len(set(alone)) == 3


def test_settings_of_the_process_stay():
    before = dict(matplotlib.rcParams)
    figure_bytes(figure(picture(), GRID, two_maps()), "svg")
    assert dict(matplotlib.rcParams) == before


# Words


@pytest.fixture(params=["installed fonts", "no Chinese font"])
def fonts(request, monkeypatch):
    def forget():
        render._families.cache_clear()
        render._characters.cache_clear()

    forget()
    if request.param == "no Chinese font":
        monkeypatch.setattr(render, "_CJK_FAMILIES", ())
    yield request.param
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("fmt", ["png", "svg", "pdf"])
def test_no_word_breaks_a_figure_or_warns(fonts, fmt):
    awkward = "照片 100% $x_1$ \\frac <b>&amp; \x00\x1b\ud800 🐈 − ×"
    fig = figure(
        picture(),
        GRID,
        [FigureMap(ROW, (0, 0), title=awkward, note=awkward)],
        caption=awkward + "注意力" * 200,
        badge=awkward,
        texts=dict.fromkeys(TEXTS, awkward),
    )
    written = figure_bytes(fig, fmt)
    if fmt == "svg":
        text = next(t for t in svg_texts(written) if "frac" in t)
        assert "$x_1$ \\frac <b>&amp; ??? " in text
        assert text.startswith("??" if fonts == "no Chinese font" else drawable("照片"))


def test_what_cannot_be_drawn_is_known(fonts):
    assert can_draw("× uniform − 1, é, Ā")
    assert not can_draw("\ue123")
    assert drawable("a\nb\ue123") == "a\nb?"
    if fonts == "no Chinese font":
        assert not can_draw("注意力")


def test_lines_break_where_a_reader_would_break_them():
    width = render._advance("n") * 10.5 * 10 / 72  # inches: ten and a half letters of 10 points
    assert render._wrap("nnnn nnnn nnnn\n\nn", width, 10) == ["nnnn nnnn", "nnnn", "n"]
    assert render._wrap("n" * 25, width, 10) == ["n" * 10, "n" * 10, "n" * 5]
    assert render._wrap("", width, 10) == []
    if can_draw("注意力，"):
        width = render._advance("注") * 4.5 * 10 / 72
        # Between any two characters, but a comma begins no line.
        assert render._wrap("注意力注意力注", width, 10) == ["注意力注", "意力注"]
        assert render._wrap("注意力注，意力", width, 10) == ["注意力", "注，意力"]


def test_words_in_another_language():
    texts = TEXTS | {"photograph": "Fotografie", "query": "Zeile {row}, Spalte {col} ({number})"}
    written = svg_texts(figure_bytes(figure(picture(), GRID, two_maps(), texts=texts), "svg"))
    assert "Fotografie" in written
    assert "Zeile 0, Spalte 1 (1)" in written


def test_render_needs_neither_torch_nor_gradio_nor_pyplot():
    tree = ast.parse(Path(render.__file__).read_text(encoding="utf-8"))
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    rooms = {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert rooms == {"matplotlib", "numpy", "PIL"}
    assert "matplotlib.pyplot" not in imported
