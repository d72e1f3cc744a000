"""The story and the transposition: what the server sends them, and that it is the photograph's own."""

from pathlib import Path

import numpy as np
import pytest
from gradio.media import get_image

from attn import Inspection, Inspector
from attn.measured import measured_rows
from attn.measures.attention import mean_overlap
from attn.ui.panels.story.panel import STAGES, Story, StoryView, contrasting_queries, story_figures, story_view
from attn.ui.panels.transposition.panel import MAP_SIDE, STEPS, Transposition, TranspositionView, transposition_arrays


@pytest.fixture(scope="module")
def inspector() -> Inspector:
    return Inspector(detail="coarse")


@pytest.fixture(scope="module")
def inspection(inspector: Inspector) -> Inspection:
    return inspector.inspect(get_image("lion.jpg"), 160)


@pytest.fixture(scope="module")
def view(inspection: Inspection, inspector: Inspector) -> StoryView:
    return story_view(inspection, inspector, inspection.key)


def rows(view: StoryView, name: str) -> np.ndarray:
    codes, low, step = (view.arrays[key] for key in (name, f"{name}_low", f"{name}_step"))
    return low[:, None] + step[:, None] * codes


def test_overlap_is_that_of_all_pairs(inspection: Inspection, view: StoryView) -> None:
    """The story's number is the window's: over every pair of queries, not over some of them."""
    maps = np.random.default_rng(0).dirichlet(np.full(7, 0.3), 6).astype(np.float32)
    pairs = [np.minimum(maps[i], maps[k]).sum() for i in range(6) for k in range(i)]
    assert mean_overlap(maps) == pytest.approx(np.mean(pairs), rel=1e-6)
    assert view.facts["overlap"] == inspection.overlap == mean_overlap(inspection.attention)


def test_overlap_by_hand() -> None:
    maps = np.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
    assert mean_overlap(maps) == pytest.approx(0.5)
    assert mean_overlap(np.array([[0.2, 0.8], [0.2, 0.8]])) == pytest.approx(1)
    assert mean_overlap(maps[:1]) == 1


def test_the_key_names_the_photograph_and_its_settings(inspector: Inspector, inspection: Inspection) -> None:
    assert inspector.encode(get_image("lion.jpg"), 160).key == inspection.key
    assert inspector.encode(get_image("tower.jpg"), 160).key != inspection.key
    assert Inspector(detail="coarse", position=False).encode(get_image("lion.jpg"), 160).key != inspection.key


def test_the_two_queries_attend_to_different_places(inspection: Inspection) -> None:
    queries, shared = contrasting_queries(inspection)
    index = [row * inspection.grid[1] + col for row, col in queries]
    maps = inspection.attention_rows(index)
    assert shared == pytest.approx(float(np.minimum(*maps).sum()), abs=1e-6)
    assert queries[0] != queries[1]


def test_one_position_is_followed_through_the_block(
    view: StoryView, inspection: Inspection, inspector: Inspector
) -> None:
    """The stages that are drawn are those of the block: the last is its output at that position."""
    vectors = rows(view, "pixel").reshape(2, len(STAGES), -1)
    output = inspection.mechanisms["spatial"].output
    for n, (row, col) in enumerate(view.facts["queries"]):
        given = dict(zip(STAGES, vectors[n], strict=True))
        for stage, right in (("input", inspection.features[:, row, col]), ("output", output[:, row, col])):
            np.testing.assert_allclose(given[stage], right, atol=float(np.ptp(right)) / 255)
        gated = inspection.mechanisms["se"].output[:, row, col]
        np.testing.assert_allclose(given["gated"], gated, atol=float(np.ptp(gated)) / 255 + 1e-6)
        logits = rows(view, "pixel_logits")[n]
        p = np.exp(logits - logits.max())
        place = row * inspection.grid[1] + col
        assert np.abs(p / p.sum() - inspection.attention[place]).sum() < 0.05


def test_the_numbers_are_the_inspections(view: StoryView, inspection: Inspection) -> None:
    facts = view.facts
    assert facts["grid"] == list(inspection.grid)
    assert facts["key"] == inspection.key
    assert facts["r2"]["se"] == pytest.approx(1, abs=1e-6)
    assert facts["delta_r2"]["spatial"] < 0.99
    assert facts["channel_fit"]["se"]["r2"] == pytest.approx(1, abs=1e-6)
    assert facts["shuffle_error"]["spatial"] < 1e-4 < 0.05 < facts["shuffle_error"]["spatial_position"]
    assert facts["random"]["overlap"] > facts["overlap"]
    assert facts["random"]["perplexity"] > 0.8 * inspection.attention.shape[0]


def test_a_shuffled_map_put_back_is_the_same_without_an_encoding(view: StoryView) -> None:
    before, restored = (rows(view, f"shuffle_{time}") for time in ("before", "restored"))
    np.testing.assert_allclose(restored[0], before[0], atol=before[0].max() / 100)
    assert np.abs(restored[1] - before[1]).sum() > 0.05


def test_the_pointer_that_moves_stays_in_the_picture(view: StoryView) -> None:
    path = np.array(view.facts["path"])
    assert (path >= 0).all()
    assert (path < view.facts["grid"]).all()
    assert view.facts["queries"][0] in view.facts["path"]


def test_sentences_are_there_in_both_languages(view: StoryView) -> None:
    for language in ("en", "zh"):
        sentence = view.facts["sentence"][language]
        assert len(sentence["tokens"]) == len(sentence["with"]["attention"]) > 5
        assert sentence["without"]["error"] < 1e-6 < 0.05 < sentence["with"]["error"]


@pytest.mark.parametrize("weights", ["tuned", "trained", "random"])
def test_the_story_quotes_the_weights_that_are_shown(inspection: Inspection, weights: str) -> None:
    if weights != "tuned":
        inspection = Inspector(detail="coarse", weights=weights).inspect(get_image("lion.jpg"), 96)
    of, rows = story_figures(inspection)
    assert of == ("other" if weights == "random" else weights)
    measured = measured_rows("layer3", "coarse", "tuned" if weights == "tuned" else "trained")
    assert {row["mechanism"]: row["auc"] for row in rows} == {name: row["auc"] for name, row in measured.items()}
    assert "people" in measured


def test_the_figures_are_those_that_ship() -> None:
    assert {"attn", "attn_position", "se", "random", "people"} <= measured_rows("layer3", "coarse").keys()
    assert measured_rows("layer1", "fine") == {}


def test_the_story_travels_small(view: StoryView) -> None:
    data = Story().postprocess(view)
    assert data is not None
    assert Path(data.arrays.path).stat().st_size < 120_000
    assert Story().postprocess(None) is None


@pytest.fixture
def turned() -> TranspositionView:
    generator = np.random.default_rng(0)
    features = generator.random((24, 5, 30), dtype=np.float32)
    factors = generator.normal(size=(2, 150, 24)).astype(np.float32)
    maps = [generator.random((n, n), dtype=np.float32) for n in (150, 24)]
    positions, channels = (each / each.sum(axis=1, keepdims=True) for each in maps)
    return TranspositionView(features, *factors, positions, channels, 1e-7)


def test_the_two_maps_are_in_times_uniform(turned: TranspositionView) -> None:
    arrays, slices = transposition_arrays(turned)
    assert len(arrays["positions"]) <= MAP_SIDE < 150
    assert arrays["channels"].shape == (24, 24)
    np.testing.assert_allclose(arrays["channels"] / STEPS, turned.channels * 24, atol=0.5 / STEPS + 1e-6)
    assert arrays["positions"].mean() / STEPS == pytest.approx(1, abs=0.02)
    deviations = turned.features.std(axis=(1, 2))
    assert slices[-1] == deviations.argmax()  # the one in front varies most
    assert arrays["slices"].shape == (len(slices), 5, 30)


def test_the_transposition_travels_small(turned: TranspositionView) -> None:
    data = Transposition().postprocess(turned)
    assert data is not None
    assert (data.positions, data.channels, data.grid) == (150, 24, [5, 30])
    assert Path(data.arrays.path).stat().st_size < 100_000
    assert Transposition().postprocess(None) is None
