import ast
import csv
import io
import string
import zipfile
from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from attn.checkpoints import WeightsInfo
from attn.figures import export, render
from attn.figures.export import MapView, channel_csv, npz_bytes, query_csv, snippet, view_figure
from attn.inspector import Cost, Inspection, Inspector, MechanismResult, kept
from attn.measures.attention import query_metrics, query_specificity
from attn.mechanisms import MECHANISMS

GRID, CHANNELS = (3, 4), 5
POSITIONS = GRID[0] * GRID[1]


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(CHANNELS, *GRID)).astype(np.float32)
    features[4] = 0  # a dead channel: nothing to fit
    queries, keys = generator.normal(size=(2, POSITIONS, CHANNELS)).astype(np.float32)
    gates = np.linspace(0.1, 0.9, CHANNELS, dtype=np.float32)
    own = WeightsInfo("trained", file="a.safetensors", detail={"position": True, "temperature": 1.0})
    made = [
        ("spatial", features + 1, None, own),
        ("se", features * gates[:, None, None], gates, WeightsInfo("trained")),
        ("cam", features, np.full((CHANNELS, CHANNELS), 0.2, np.float32), WeightsInfo("trained")),
    ]
    results = {
        name: MechanismResult.measure(
            features,
            output,
            name=name,
            title=name,
            kind=MECHANISMS[name].kind,
            paper="",
            specificity=(0.0, 0.0),
            cost=Cost(1, 1, 1.0),
            source=source,
            weigh=None if weights is None else partial(kept, weights),
        )
        for name, output, weights, source in made
    }
    logits = queries @ keys.T
    attention = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Inspection(
        image=generator.integers(0, 256, (48, 64, 3), dtype=np.uint8),
        grid=GRID,
        stride_px=16,
        features=features,
        queries=queries,
        keys=keys,
        stem_ms=1.0,
        mechanisms=results,
        query_metrics=query_metrics(attention, GRID, 16),
        specificity=query_specificity(attention),
        trace=[],
        stem="bundled",
        stage="layer3",
    )


def from_weights(inspection: Inspection, info: WeightsInfo) -> Inspection:
    """The inspection, its AttnBlock's weights being from there, and nothing but the AttnBlock."""
    return replace(inspection, mechanisms={"spatial": replace(inspection.mechanisms["spatial"], source=info)})


def words_of(inspection: Inspection, view: MapView | None = None, language: str = "en") -> str:
    """All words of the figure."""
    tree = ElementTree.fromstring(render.figure_bytes(view_figure(inspection, view, language=language), "svg"))
    return " ".join("".join(e.itertext()) for e in tree.iter("{http://www.w3.org/2000/svg}text"))


def shown_maps(monkeypatch, inspection: Inspection, view: MapView) -> list[render.FigureMap]:
    """What `view_figure` hands to `render.figure`."""
    handed = []
    monkeypatch.setattr(render, "figure", lambda image, grid, maps, **rest: handed.extend(maps))
    view_figure(inspection, view)
    return handed


# Arrays


def test_npz_holds_every_array(inspection):
    with np.load(io.BytesIO(npz_bytes(inspection))) as arrays:
        np.testing.assert_array_equal(arrays["image"], inspection.image)
        np.testing.assert_array_equal(arrays["features"], inspection.features)
        np.testing.assert_allclose(arrays["attention"], inspection.attention, rtol=1e-6)
        assert arrays["attention"].shape == (POSITIONS, POSITIONS)
        np.testing.assert_array_equal(arrays["output_se"], inspection.mechanisms["se"].output)
        np.testing.assert_array_equal(arrays["output_spatial"], inspection.mechanisms["spatial"].output)
        np.testing.assert_array_equal(arrays["gates_se"], inspection.mechanisms["se"].weights)
        np.testing.assert_array_equal(arrays["channel_map_cam"], inspection.mechanisms["cam"].weights)
        logits = arrays["queries"] @ arrays["keys"].T
        weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(arrays["attention"], weights, rtol=1e-5)


def test_npz_readme_names_every_array_with_its_shape(inspection):
    with zipfile.ZipFile(io.BytesIO(npz_bytes(inspection))) as archive:
        readme = archive.read("README.txt").decode()
        names = {entry.removesuffix(".npy") for entry in archive.namelist()} - {"README.txt"}
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) for entry in archive.infolist())
        for name in names:
            shape = np.load(io.BytesIO(archive.read(f"{name}.npy"))).shape
            line = next(line for line in readme.splitlines() if line.split()[:1] == [name])
            assert str(shape) in line
    assert "bundled, layer3" in readme
    assert "3 x 4 positions of 16 px" in readme
    assert "trained, position True, temperature 1.0, file a.safetensors" in readme


def test_npz_is_the_same_each_time_and_takes_a_temperature(inspection):
    assert npz_bytes(inspection) == npz_bytes(inspection)
    with np.load(io.BytesIO(npz_bytes(inspection, temperature=2.0))) as arrays:
        halved = replace(inspection, queries=inspection.queries / 2).attention
        np.testing.assert_allclose(arrays["attention"], halved, rtol=1e-5)
        np.testing.assert_allclose(arrays["queries"], inspection.queries / 2)
        assert b"temperature     2 times" in arrays["README.txt"]


def test_npz_in_blocks_of_rows(inspection, monkeypatch):
    whole = npz_bytes(inspection)
    monkeypatch.setattr(export, "_BLOCK_VALUES", 5 * POSITIONS)  # 12 rows as 5 + 5 + 2
    with np.load(io.BytesIO(npz_bytes(inspection))) as blocks, np.load(io.BytesIO(whole)) as arrays:
        np.testing.assert_allclose(blocks["attention"], arrays["attention"], rtol=1e-6)


# Tables


def test_query_csv_has_the_numbers_of_every_query(inspection):
    lines = list(csv.DictReader(io.StringIO(query_csv(inspection))))
    assert len(lines) == POSITIONS
    assert [(int(line["row"]), int(line["column"])) for line in lines[3:6]] == [(0, 3), (1, 0), (1, 1)]
    columns = {
        "entropy": "entropy",
        "perplexity_positions": "perplexity",
        "distance_px": "distance",
        "uniform_distance_px": "uniform_distance",
        "mass_area_60": "mass_area",
    }
    for column, name in columns.items():
        values = [float(line[column]) for line in lines]
        np.testing.assert_allclose(values, getattr(inspection.query_metrics, name), rtol=1e-8)


def test_query_csv_at_another_temperature(inspection, monkeypatch):
    monkeypatch.setattr(export, "_BLOCK_VALUES", 5 * POSITIONS)
    lines = list(csv.DictReader(io.StringIO(query_csv(inspection, temperature=4.0))))
    expected = query_metrics(replace(inspection, queries=inspection.queries / 4).attention, GRID, 16)
    np.testing.assert_allclose([float(line["entropy"]) for line in lines], expected.entropy, rtol=1e-6)
    np.testing.assert_allclose([float(line["distance_px"]) for line in lines], expected.distance, rtol=1e-6)
    np.testing.assert_allclose([float(line["uniform_distance_px"]) for line in lines], expected.uniform_distance)


def test_channel_csv_has_every_mechanism_and_leaves_the_undefined_empty(inspection):
    lines = list(csv.DictReader(io.StringIO(channel_csv(inspection))))
    assert [(line["mechanism"], int(line["channel"])) for line in lines] == [
        (mechanism, channel) for mechanism in ("spatial", "se", "cam") for channel in range(CHANNELS)
    ]
    assert [line["gate"] for line in lines[:CHANNELS]] == [""] * CHANNELS  # spatial attention has none
    se, cam = lines[CHANNELS : 2 * CHANNELS], lines[2 * CHANNELS :]
    np.testing.assert_allclose([float(line["gate"]) for line in se], inspection.mechanisms["se"].weights)
    assert [line["gate"] for line in cam] == [""] * CHANNELS
    np.testing.assert_allclose(
        [float(line["affine_a"]) for line in se[:4]], inspection.mechanisms["se"].weights[:4], rtol=1e-5
    )
    assert se[4]["affine_r2"] == ""
    assert float(se[4]["sparsity_before"]) == 1
    assert float(lines[0]["mean_after"]) == pytest.approx(float(lines[0]["mean_before"]) + 1, abs=1e-6)


# Figures


def test_figure_shows_the_pins(inspection):
    text = words_of(inspection, MapView(pins=((0, 1), (2, 3)), compare=(0, 1)))
    metrics = inspection.query_metrics
    for words in [
        "1: row 0, column 1",
        "2: row 2, column 3",
        "1 − 2",
        f"of 12 positions; mean distance {metrics.distance[1]:.0f} px",
        "Where the marked positions attend. Network bundled, stage layer3: 3 × 4 positions of 16 px.",
        "Weights: trained",
    ]:
        assert words in text


def test_figure_without_pins_shows_the_cell_or_the_middle(inspection):
    assert "1: row 2, column 0" in words_of(inspection, MapView(cell=(2, 0)))
    assert "1: row 1, column 2" in words_of(inspection)


def test_each_direction_shows_its_own_values(inspection, monkeypatch):
    monkeypatch.setattr(export, "_BLOCK_VALUES", 5 * POSITIONS)  # 12 rows as 5 + 5 + 2
    attention = inspection.attention.astype(np.float64)
    query, i = (1, 2), 6
    row, column, own = (
        shown_maps(monkeypatch, inspection, MapView(pins=(query,), direction=direction))[0]
        for direction in ("row", "column", "own")
    )
    (average,) = shown_maps(monkeypatch, inspection, MapView(pins=(query, (0, 0)), direction="average"))
    np.testing.assert_allclose(row.attention, attention[i], rtol=1e-5)
    np.testing.assert_allclose(column.attention, attention[:, i], rtol=1e-5)
    np.testing.assert_allclose(average.attention, attention.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(own.attention, attention[i] - attention.mean(axis=0), atol=1e-6)
    assert (row.signed, own.signed) == (False, True)
    assert average.query is None
    received = attention[:, i].sum()
    assert column.note == f"receives {received:.1f} × an even share"
    moved = np.abs(own.attention).sum() / 2
    assert own.note == f"{100 * moved:.0f} % of its attention is its own"


def test_temperature_and_share_are_shown_and_said(inspection, monkeypatch):
    view = MapView(cell=(0, 0), temperature=2.0, share=0.6)
    words = words_of(inspection, view)
    assert "Temperature × 2. Coloured: the positions that hold 60 % of the attention." in words
    (shown,) = shown_maps(monkeypatch, inspection, view)
    halved = replace(inspection, queries=inspection.queries / 2).attention[0]
    np.testing.assert_allclose(shown.attention, halved, rtol=1e-5)
    # The fewest positions, largest first, that reach 60 %.
    order = np.argsort(-halved)
    count = int(np.searchsorted(np.cumsum(halved[order]), 0.6)) + 1
    assert set(np.flatnonzero(shown.mask)) == set(order[:count])


def test_one_range_for_all_pins(inspection):
    pins = ((0, 0), (1, 1), (2, 2))
    together = view_figure(inspection, MapView(pins=pins, scale="linear", fixed=True))
    apart = view_figure(inspection, MapView(pins=pins, scale="linear"))
    ends = [{ax.get_xlim() for ax in fig.axes if ax.get_xlabel()} for fig in (together, apart)]
    peak = 12 * float(inspection.attention[[0, 5, 10]].max())
    assert len(ends[0]) == 1
    assert ends[0].pop() == pytest.approx((0, peak), rel=1e-5)
    assert len(ends[1]) == 3


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (WeightsInfo("similarity"), "Weights: feature similarity, nothing trained"),
        (WeightsInfo("random", seed=7), "Weights: random (seed 7), the map is noise"),
        (WeightsInfo("file", file="mine.safetensors"), "Weights: mine.safetensors"),
    ],
)
def test_badge_says_where_weights_come_from(inspection, info, words):
    assert words in words_of(from_weights(inspection, info))


def test_languages_have_the_same_words_to_fill_in():
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english, chinese = export.TEXTS["en"], export.TEXTS["zh"]
    assert english.keys() == chinese.keys()
    for key in english:
        assert places(english[key]) == places(chinese[key]), key


@pytest.mark.parametrize("direction", export.DIRECTIONS)
def test_chinese_where_a_font_is_found_and_english_where_not(inspection, direction, monkeypatch):
    view = MapView(pins=((0, 0),), direction=direction, temperature=2.0, share=0.5)
    found = render.can_draw("注意力")
    assert (export.TEXTS["zh"][f"caption.{direction}"] in words_of(inspection, view, "zh")) == found
    monkeypatch.setattr(render, "can_draw", lambda text: False)
    assert export.TEXTS["en"][f"caption.{direction}"] in words_of(inspection, view, "zh")


# The view that a browser sends


def test_read_takes_the_explorers_view():
    sent = {
        "kind": "figure-pdf",
        "view": "q1.2~p0.0_2.3",
        "lang": "zh",
        "direction": "own",
        "scale": "log",
        "fixed": False,
        "temperature": 1,
        "smooth": True,
        "colormap": "magma",
        "share": 0.5,
        "opacity": 0.65,
        "cell": [1, 2],
        "pins": [[0, 0], [2, 3]],
        "compare": [0, 1],
    }
    assert MapView.read(sent, GRID) == MapView(
        (1, 2), ((0, 0), (2, 3)), (0, 1), "own", "log", False, 1.0, True, "magma", 0.5, 0.65
    )
    assert MapView.read({}, GRID) == MapView()


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"pins": [[3, 0]]}, r"expected positions inside 3 × 4, got row 3, column 0"),
        ({"cell": [0, -1]}, r"expected positions inside 3 × 4, got row 0, column -1"),
        ({"pins": [[0, 0]] * 7}, r"expected up to 6 pins, got 7"),
        ({"pins": [[0, 0]], "compare": [0, 1]}, r"expected two of 1 pins to compare, got \(0, 1\)"),
        ({"direction": "both"}, r"expected a direction of row, column, average, own, got 'both'"),
        ({"temperature": 9}, r"expected a temperature of 0.25 to 4, got 9"),
        ({"temperature": float("nan")}, r"expected a temperature of 0.25 to 4, got nan"),
        ({"share": 1}, r"expected a share from 0 to below 1, got 1"),
        ({"scale": "map"}, r"expected a scale of uniform, linear, log, got 'map'"),
        ({"colormap": ["jet"]}, r"expected a colormap of light, viridis, magma, cividis, grey, got \['jet'\]"),
        ({"opacity": float("nan")}, r"expected an opacity of 0 to 1, got nan"),
        ({"pins": 3}, r"expected a view of the explorer"),
        ({"cell": [1, 2, 3]}, r"too many values to unpack"),
    ],
)
def test_read_refuses_what_no_explorer_sends(sent, message):
    with pytest.raises(ValueError, match=message):
        MapView.read(sent, GRID)


# Python


def arguments(code: str, function: str) -> dict[str, object]:
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    (call,) = [c for c in calls if getattr(c.func, "id", getattr(c.func, "attr", "")) == function]
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords}


@pytest.mark.parametrize(
    ("info", "view", "expected"),
    [
        (WeightsInfo("trained", detail={"position": True, "temperature": 1.0}), MapView(), {"weights": "trained"}),
        (WeightsInfo("trained", detail={"position": False}), MapView(), {"weights": "trained", "position": False}),
        (WeightsInfo("random", seed=7), MapView(), {"weights": "random", "seed": 7}),
        (WeightsInfo("file", file="a'b.safetensors"), MapView(), {"weights": "file", "file": "a'b.safetensors"}),
        # The explorer's temperature comes on top of the weights' own.
        (
            WeightsInfo("similarity", detail={"temperature": 0.5}),
            MapView(temperature=3.0),
            {"weights": "similarity", "temperature": 1.5},
        ),
    ],
)
def test_snippet_builds_the_same_inspector(inspection, info, view, expected):
    code = snippet(from_weights(inspection, info), view, longest_side=448)
    assert arguments(code, "Inspector") == {"stem": "bundled", "stage": "layer3", **expected}
    assert arguments(code, "inspect") == {"longest_side": 448}
    coarse = snippet(replace(from_weights(inspection, info), detail="coarse"), view)
    assert arguments(coarse, "Inspector")["detail"] == "coarse"


def test_snippet_says_how_to_install_the_library(inspection):
    assert "pip install ." in snippet(inspection).splitlines()[0]


def test_snippet_quotes_any_file_name(inspection):
    path = "a'\"\n__import__('os')#{x}照片.jpg"
    tree = ast.parse(snippet(inspection, path=path))
    (opened,) = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == "open"]
    assert ast.literal_eval(opened.args[0]) == path


def test_snippet_runs_and_prints_the_numbers_of_the_view(tmp_path, capsys):
    path = tmp_path / "photograph.png"
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    inspection = Inspector("bundled", "layer2", weights="similarity").inspect(path, longest_side=128)
    view = MapView(pins=((0, 1), (5, 3)))
    exec(snippet(inspection, view, path=str(path), longest_side=128), {})
    printed = capsys.readouterr().out.splitlines()
    for line, (row, col) in zip(printed, view.pins, strict=True):
        i = row * inspection.grid[1] + col
        assert line.startswith(f"row {row}, column {col}: about {inspection.query_metrics.perplexity[i]:.1f} of ")
        assert f"mean distance {inspection.query_metrics.distance[i]:.1f} px" in line
    # And everything else leaves a real inspection whole.
    with np.load(io.BytesIO(npz_bytes(inspection))) as arrays:
        np.testing.assert_allclose(arrays["attention"], inspection.attention, rtol=1e-5, atol=1e-9)
        assert {f"output_{name}" for name in inspection.mechanisms} <= set(arrays.files)
    assert len(query_csv(inspection).splitlines()) == 1 + len(inspection.queries)
    assert len(channel_csv(inspection).splitlines()) == 1 + len(inspection.mechanisms) * len(inspection.features)
    assert "Weights: feature similarity" in words_of(inspection, view)
