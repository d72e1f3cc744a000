"""What the channel panel sends to the browser: arrays that can be read back, numbers that are the modules' own."""

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from attn.measures.channels import ChannelStats, channel_correlation, feature_effective_rank
from attn.measures.components import principal_components
from attn.mechanisms import MECHANISMS
from attn.ui.panels.channels import panel
from attn.ui.panels.channels.panel import Channels, ChannelsView
from tests.browser.channels_page import make_inspection

GRID = (5, 7)
CHANNELS = 64


@pytest.fixture(scope="module")
def view() -> ChannelsView:
    return ChannelsView.from_inspection(make_inspection(CHANNELS, GRID))


@pytest.fixture(scope="module")
def arrays(view: ChannelsView) -> dict[str, np.ndarray]:
    return panel.panel_arrays(view)


def read_back(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    return arrays[f"{name}_low"][:, None] + arrays[f"{name}_step"][:, None] * arrays[name]


def test_view_takes_its_numbers_from_the_inspection() -> None:
    inspection = make_inspection(CHANNELS, GRID, seed=3)
    view = ChannelsView.from_inspection(inspection)
    assert view.mechanisms == tuple(inspection.mechanisms.values())
    assert view.mechanisms[0].specificity == inspection.specificity
    assert view.mechanisms[0].specificity[0] > 0.01
    assert all(m.specificity == (0.0, 0.0) for m in view.mechanisms[1:])


@pytest.mark.parametrize("levels", [256, 64])
def test_quantised_rows_keep_their_ends_and_zeros(levels: int) -> None:
    rows = np.random.default_rng(0).normal(size=(9, 300)).astype(np.float32)
    rows[0] = np.maximum(rows[0], 0)
    rows[1] = 3.25
    codes, low, step = panel.quantise_rows(rows, levels)
    back = low[:, None] + step[:, None] * codes
    assert codes.dtype == np.uint8
    assert codes.max() == levels - 1
    assert (np.abs(back - rows) <= 0.501 * step[:, None] + 1e-6).all()
    assert (back[0][rows[0] == 0] == 0).all()
    assert (back[1] == 3.25).all()
    assert step[1] == 0
    np.testing.assert_allclose(back.max(axis=1), rows.max(axis=1), rtol=1e-6)
    assert (back.min(axis=1) == rows.min(axis=1)).all()


def test_pooling_averages_blocks_and_smaller_ones_at_the_edges() -> None:
    maps = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    assert panel.pool_grid(maps, 2).tolist() == [[[2.0, 3.5], [6.5, 8.0]]]
    assert panel.pool_grid(maps, 1) is maps
    assert panel.pool_matrix(maps[0], 2).tolist() == [[2.0, 3.5], [6.5, 8.0]]
    assert panel.pool_matrix(maps[0], 3).tolist() == maps[0].tolist()


@pytest.mark.parametrize(
    ("shape", "pool"), [((256, 32, 32), 1), ((512, 32, 32), 1), ((1024, 32, 32), 2), ((2048, 10, 10), 1)]
)
def test_maps_are_pooled_only_when_they_are_too_large(shape: tuple[int, int, int], pool: int) -> None:
    assert panel.map_pooling(shape) == pool


def test_similarity_order_brings_groups_together() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 200))
    mixed = np.stack([(first if c % 2 else second) + 0.1 * generator.normal(size=200) for c in range(20)])
    order = panel.similarity_order(channel_correlation(mixed))
    assert sorted(order) == list(range(20))
    parity = order % 2
    assert np.abs(np.diff(parity)).sum() == 1


def test_similarity_order_of_dead_channels() -> None:
    assert sorted(panel.similarity_order(np.full((4, 4), np.nan))) == [0, 1, 2, 3]
    assert panel.similarity_order(np.ones((1, 1))).tolist() == [0]


def test_maps_are_read_back(view: ChannelsView, arrays: dict[str, np.ndarray]) -> None:
    features = view.features.reshape(CHANNELS, -1)
    np.testing.assert_allclose(read_back(arrays, "features"), features, atol=np.ptp(features) / 500)
    for mechanism in view.mechanisms:
        change = (mechanism.output - view.features).reshape(CHANNELS, -1)
        np.testing.assert_allclose(
            arrays[f"position_change_{mechanism.name}"], np.sqrt((change**2).sum(axis=0)), rtol=1e-5
        )
        if mechanism.kind == "gate":
            assert f"change_{mechanism.name}" not in arrays
            change_in_browser = (arrays[f"gates_{mechanism.name}"][:, None] - 1) * features
            np.testing.assert_allclose(change_in_browser, change, atol=1e-6)
        else:
            sent = read_back(arrays, f"change_{mechanism.name}")
            assert (np.abs(sent - change).max(axis=1) <= np.ptp(change, axis=1) / 500).all()
    np.testing.assert_allclose(read_back(arrays, "attention"), view.attention, atol=view.attention.max() / 500)


def test_query_difference_is_the_share_of_weight_elsewhere(view: ChannelsView, arrays: dict[str, np.ndarray]) -> None:
    mean = view.attention.mean(axis=0)
    expected = [np.maximum(row - mean, 0).sum() for row in view.attention]
    np.testing.assert_allclose(arrays["query_difference"], expected, atol=1e-6)
    assert arrays["query_difference"].max() > 0.05


def test_statistics_of_the_input_are_sent_once(view: ChannelsView, arrays: dict[str, np.ndarray]) -> None:
    for field in ChannelStats.__dataclass_fields__:
        for mechanism in view.mechanisms:
            own = f"stats_{mechanism.name}_{field}"
            key = f"stats_{field}" if field.endswith("_before") else own
            assert (own in arrays) != field.endswith("_before")
            np.testing.assert_allclose(arrays[key], getattr(mechanism.statistics, field), rtol=1e-6)


def test_sources_are_the_largest_shares_of_a_row(view: ChannelsView, arrays: dict[str, np.ndarray]) -> None:
    channel_map = next(m for m in view.mechanisms if m.name == "xca").weights
    for channel in (0, 17, 63):
        assert arrays["sources_xca"][channel, 0] == np.argmax(channel_map[channel])
        np.testing.assert_allclose(
            arrays["shares_xca"][channel], np.sort(channel_map[channel])[::-1][: panel.SOURCES_KEPT], rtol=1e-6
        )


def test_a_gate_changes_no_correlation(view: ChannelsView, arrays: dict[str, np.ndarray]) -> None:
    """Which is why the matrix after a gate is not sent: the one before is shown again."""
    before = channel_correlation(view.features)
    for mechanism in view.mechanisms:
        after = channel_correlation(mechanism.output)
        if mechanism.kind == "gate":
            np.testing.assert_allclose(after, before, atol=1e-5)
            assert f"correlation_{mechanism.name}" not in arrays
        else:
            assert np.nanmax(np.abs(after - before)) > 0.01
            order = arrays["correlation_order"]
            codes = arrays[f"correlation_{mechanism.name}"]
            np.testing.assert_allclose((codes - 127.0) / 127, after[np.ix_(order, order)], atol=0.5 / 127 + 1e-6)


def test_undefined_correlations_are_marked() -> None:
    features = np.random.default_rng(0).normal(size=(4, 3, 3)).astype(np.float32)
    features[2] = 0
    codes = panel._correlation_codes(features, np.arange(4))
    assert (codes[2] == 255).all()
    assert (codes[:, 2] == 255).all()
    assert (np.diag(codes)[[0, 1, 3]] == 254).all()


def test_facts_are_the_modules_own_numbers(view: ChannelsView) -> None:
    facts = panel.panel_facts(view)
    assert facts["effective_rank"] == pytest.approx(feature_effective_rank(view.features))
    assert (facts["channels"], facts["grid"], facts["maps_grid"]) == (CHANNELS, [5, 7], [5, 7])
    assert facts["image_size"] == [80, 112]
    for fact, mechanism in zip(facts["mechanisms"], view.mechanisms, strict=True):
        assert fact["median_r2"] == pytest.approx(np.nanmedian(mechanism.statistics.affine_r2))
        assert fact["effective_rank"] == pytest.approx(feature_effective_rank(mechanism.output))
        if mechanism.kind == "gate":
            assert fact["median_delta_r2"] == pytest.approx(1, abs=1e-6)
        else:
            assert fact["median_delta_r2"] < 0.95


def test_colours_are_those_of_one_basis(view: ChannelsView, arrays: dict[str, np.ndarray]) -> None:
    basis = principal_components(view.features)
    np.testing.assert_allclose(
        arrays["colours_features"] / 255, basis.colours(view.features).reshape(-1, 3), atol=0.5 / 255 + 1e-6
    )
    for mechanism in view.mechanisms:
        expected = basis.colours(mechanism.output).reshape(-1, 3)
        np.testing.assert_allclose(arrays[f"colours_{mechanism.name}"] / 255, expected, atol=0.5 / 255 + 1e-6)
    assert panel.panel_facts(view)["explained"] == pytest.approx(basis.explained)


def test_what_somebody_brought_shows_its_weights(view: ChannelsView) -> None:
    """A module that attends over positions sends its rows, one that weighs positions its gates, whatever its name."""
    block = view.mechanisms[0]
    gates = np.random.default_rng(0).random(GRID).astype(np.float32)
    own = (replace(block, name="own"), replace(block, name="map", kind="spatial_gate", weigh=lambda: gates))
    arrays = panel.panel_arrays(replace(view, mechanisms=(*view.mechanisms, *own)))
    np.testing.assert_allclose(read_back(arrays, "rows_own"), view.attention, atol=view.attention.max() / 500)
    np.testing.assert_array_equal(arrays["query_difference_own"], arrays["query_difference"])
    np.testing.assert_array_equal(arrays["position_gates_map"], gates.ravel())
    assert "rows_spatial" not in arrays


def test_cost_curves_are_what_the_modules_say() -> None:
    curves = panel.cost_curves(128, 300)
    for name, record in MECHANISMS.items():
        module = record.build(128)
        assert curves["by_positions"][name][2] == module.multiply_adds(16, 16)
        assert curves["by_channels"][name][1] == module.multiply_adds(15, 20)
    grown = {name: values[-1] / values[-2] for name, values in curves["by_positions"].items()}
    assert grown["spatial"] > 12  # fourfold positions: nearly sixteenfold
    assert all(grown[name] <= 4 for name, record in MECHANISMS.items() if record.kind != "spatial")
    doubled = {name: values[-1] / values[-2] for name, values in curves["by_channels"].items()}
    assert doubled["cam"] > 3.9
    assert doubled["eca"] < 2.1


def test_component_writes_files_and_numbers(view: ChannelsView, tmp_path: Path) -> None:
    component = Channels()
    component.GRADIO_CACHE = str(tmp_path)
    assert component.postprocess(None) is None
    value = component.postprocess(view)
    assert value is not None
    assert Path(value.image.path).is_file()
    assert Path(value.arrays.path).stat().st_size > 1000
    sent = load(gzip.decompress(Path(value.arrays.path).read_bytes()))
    assert (sent["features"].dtype, sent["features"].shape) == (np.uint8, (CHANNELS, 35))
    assert json.loads(value.facts)["mechanisms"][1]["name"] == "se"
    assert "arrays" in component.api_info()["properties"]


def test_templates_are_constant() -> None:
    for name in ("panel.html", "panel.css"):
        text = (Path(panel.__file__).parent / name).read_text(encoding="utf-8")
        assert not re.search(r"\$\{|`|\\|\{\{", text)
