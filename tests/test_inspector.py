"""The inspector against its parts, on a real photograph; threads; what it refuses."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from gradio.media import get_image
from PIL import Image

from attn import Inspector
from attn.images import ImageError
from attn.inspector import Encoding, Inspection
from attn.mechanisms import MECHANISMS
from attn.stems import GridTooLarge

LION, CHEETAH = get_image("lion.jpg"), get_image("cheetah.jpg")


@pytest.fixture(scope="module")
def inspector() -> Inspector:
    return Inspector("bundled", "layer3", weights="similarity")


@pytest.fixture(scope="module")
def inspection(inspector: Inspector) -> Inspection:
    return inspector.inspect(CHEETAH)


def test_shapes_follow_the_photograph(inspection: Inspection) -> None:
    height, width = inspection.grid
    positions, channels = height * width, 256
    assert (height, width) == (27, 40)  # 502 × 343 px at a longest side of 320, stride 8
    assert inspection.image.shape == (height * 8, width * 8, 3)
    assert inspection.image.dtype == np.uint8
    assert inspection.features.shape == (channels, height, width)
    assert inspection.queries.shape == inspection.keys.shape == (positions, channels)
    assert inspection.attention.shape == (positions, positions)
    assert list(inspection.mechanisms) == list(MECHANISMS)
    shapes = {"spatial": (positions, positions), "gate": (channels,), "channel_map": (channels, channels)}
    for name, result in inspection.mechanisms.items():
        record = MECHANISMS[name]
        assert (result.name, result.kind, result.title, result.paper) == (name, record.kind, record.title, record.paper)
        assert result.output.shape == inspection.features.shape
        assert result.weights.shape == shapes[result.kind]
        assert result.note is None
        assert result.error is None
    assert inspection.query_metrics.entropy.shape == (positions,)
    assert inspection.trace[-1].shape == (1, channels, height, width)
    assert inspection.mechanisms["spatial"].source.source == "similarity"


def test_detail_sets_the_grid_and_pixels_stay_pixels(inspection: Inspection) -> None:
    coarse = Inspector("bundled", "layer3", detail="coarse", weights="similarity").inspect(CHEETAH)
    assert (coarse.detail, coarse.grid, coarse.stride_px) == ("coarse", (14, 20), 16)
    assert (inspection.detail, inspection.grid, inspection.stride_px) == ("fine", (27, 40), 8)
    # Uniform attention reaches as far in the same photograph, however fine its grid.
    far, near = inspection.query_metrics.uniform_distance, coarse.query_metrics.uniform_distance
    assert far.mean() == pytest.approx(near.mean(), rel=0.03)


def test_its_repr_is_one_line(inspector: Inspector, inspection: Inspection) -> None:
    said = repr(inspection)
    assert len(said.splitlines()) == 1
    assert len(said) < 240
    height, width = inspection.image.shape[:2]
    rows, columns = inspection.grid
    for part in (f"{width} × {height} px", f"{rows} × {columns} positions", "bundled layer3 fine", *MECHANISMS):
        assert part in said
    assert "spatial similarity" in said
    assert repr(inspector.encode(CHEETAH)) == f"Encoding({said[11 : said.index(', bundled')]}, 256 channels)"


def test_attention_is_the_blocks_own(inspector: Inspector, inspection: Inspection) -> None:
    x = torch.from_numpy(inspection.features)[None]
    with torch.inference_mode():
        y, attention = inspector.block(x, return_attention=True)
    np.testing.assert_allclose(inspection.attention, attention[0], atol=1e-5)
    np.testing.assert_allclose(inspection.mechanisms["spatial"].output, y[0], atol=1e-4)
    np.testing.assert_allclose(inspection.attention.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(inspection.attention_rows([7, 3]), inspection.attention[[7, 3]], atol=1e-5)


def test_gates_scale_channels_and_nothing_else(inspection: Inspection) -> None:
    gated = [result for result in inspection.mechanisms.values() if result.kind == "gate"]
    assert len(gated) >= 3
    for result in gated:
        gates, stats = result.weights, result.statistics
        expected = inspection.features * gates[:, None, None]
        np.testing.assert_allclose(result.output, expected, rtol=1e-5, atol=1e-6)
        alive = stats.std_before > 1e-3
        np.testing.assert_allclose(stats.affine_r2[alive], 1, atol=1e-6)
        np.testing.assert_allclose(stats.affine_a[alive], gates[alive], rtol=1e-4)


def test_costs_are_those_of_the_grid(inspection: Inspection) -> None:
    positions, channels = inspection.grid[0] * inspection.grid[1], 256
    spatial = inspection.mechanisms["spatial"].cost
    # Four 1×1 convolutions, then logits and weighted values.
    assert spatial.multiply_adds >= 4 * positions * channels**2 + 2 * positions**2 * channels
    assert spatial.parameters == 4 * (channels**2 + channels) + 2 * channels
    assert inspection.mechanisms["cam"].cost.parameters == 1
    assert all(result.cost.milliseconds > 0 for result in inspection.mechanisms.values())


def test_an_encoding_is_not_computed_again(inspector: Inspector, inspection: Inspection) -> None:
    encoding = inspector.encode(CHEETAH)
    assert isinstance(encoding, Encoding)
    again = inspector.inspect(encoding)
    assert again.features is encoding.features
    np.testing.assert_array_equal(again.queries, encoding.queries)
    np.testing.assert_allclose(again.mechanisms["spatial"].output, inspection.mechanisms["spatial"].output, atol=1e-4)


def test_an_inspection_cannot_be_reassigned(inspection: Inspection) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        inspection.grid = (1, 1)  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        inspection.mechanisms["se"].change = 0.0  # type: ignore[misc]


def test_the_attention_map_is_there_when_asked_for_and_not_kept(inspector: Inspector) -> None:
    fresh = inspector.inspect(LION, 160)
    assert "attention" not in vars(fresh)
    spatial = fresh.mechanisms["spatial"]
    np.testing.assert_array_equal(spatial.weights, fresh.attention)
    assert spatial.weights is not spatial.weights
    assert fresh.mechanisms["se"].weights is fresh.mechanisms["se"].weights


def test_where_the_weights_come_from_is_said_of_each(inspection: Inspection) -> None:
    sources = {name: result.source.source for name, result in inspection.mechanisms.items()}
    blocks = {"spatial", *(name for name, record in MECHANISMS.items() if record.of_block)}
    assert sources == {name: "similarity" if name in blocks else "trained" for name in MECHANISMS}
    elsewhere = Inspector("bundled", "layer1", detail="coarse").inspect(LION, 64)
    assert {result.source.source for result in elsewhere.mechanisms.values()} == {"similarity", "random"}


def test_a_mechanism_that_nobody_has_trained_yet_has_random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    record = dataclasses.replace(MECHANISMS["se"], name="new")
    monkeypatch.setitem(MECHANISMS, "new", record)
    result = Inspector().inspect(LION, 64).mechanisms["new"]
    assert (result.source.source, result.source.seed) == ("random", 0)
    assert result.weights.shape == (256,)


def test_threads_do_not_mix_photographs(inspector: Inspector) -> None:
    expected = {path: inspector.encode(path, 128).features for path in (LION, CHEETAH)}
    jobs = [LION, CHEETAH] * 8
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda path: inspector.inspect(path, 128), jobs))
    for path, result in zip(jobs, results, strict=True):
        np.testing.assert_allclose(result.features, expected[path], atol=1e-4)


def test_the_seed_decides_random_weights() -> None:
    maps = [Inspector(weights="random", seed=seed).encode(LION, 128).attention for seed in (1, 1, 2)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.abs(maps[0] - maps[2]).max() > 1e-6


def test_random_weights_attend_almost_evenly(inspector: Inspector) -> None:
    random = Inspector(weights="random").inspect(LION, 160)
    similar = inspector.inspect(LION, 160)
    assert random.query_metrics.entropy.mean() > 0.98
    assert random.query_metrics.entropy.mean() > similar.query_metrics.entropy.mean() + 0.1
    assert random.specificity[0] < similar.specificity[0]


def test_the_temperature_flattens() -> None:
    entropies = [
        Inspector(weights="similarity", temperature=t).inspect(LION, 128).query_metrics.entropy.mean()
        for t in (0.5, 1.0, 4.0)
    ]
    assert entropies == sorted(entropies)
    assert entropies[0] < entropies[2]


def test_refusals_name_what_is_wrong() -> None:
    with pytest.raises(GridTooLarge, match="a longest side of 32 px fits"):
        Inspector(weights="similarity", max_rows=4).encode(LION, 320)
    with pytest.raises(ValueError, match="expected network to be one of"):
        Inspector("resnet9000")
    with pytest.raises(ValueError, match="expected detail to be one of"):
        Inspector(detail="sharp")
    with pytest.raises(ValueError, match="expected source to be one of"):
        Inspector(weights="magic")
    with pytest.raises(ImageError, match="empty"):
        Inspector(weights="similarity").encode(b"")


def test_a_picture_of_any_shape_keeps_it(inspector: Inspector) -> None:
    tall = inspector.encode(Image.new("RGB", (40, 400), "teal"), 320)
    assert tall.grid == (40, 4)
    speck = inspector.inspect(Image.new("RGB", (1, 1), "teal"), 64)
    assert speck.grid == (8, 8)
    assert np.isfinite(speck.attention).all()


def test_what_was_guessed_of_a_picture_stays_with_it(inspector: Inspector) -> None:
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    encoding = inspector.encode(deep, 64)
    assert [notice.values["white"] for notice in encoding.notices] == ["4095"]
    assert inspector.inspect(encoding).notices == encoding.notices
    assert inspector.encode(np.zeros((64, 64, 3), np.uint8), 64).notices == ()
