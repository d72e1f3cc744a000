import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn.measures.shuffle import (
    SAME,
    encoded_queries,
    evenly_spaced,
    permutation,
    shuffle_positions,
    shuffle_test,
    with_encoding,
)
from attn.mechanisms import MECHANISMS, ChannelSelfAttention
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock

CHANNELS = 32


def _features(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(CHANNELS, height, width, generator=torch.Generator().manual_seed(seed)).relu()


@pytest.fixture(scope="module")
def block() -> AttnBlock:
    torch.manual_seed(3)
    made = AttnBlock(CHANNELS).eval().requires_grad_(False)
    made.q.weight.mul_(3)  # far enough from uniform attention for an encoding to matter
    return made


def _mechanism(name: str) -> torch.nn.Module:
    torch.manual_seed(4)
    module = MECHANISMS[name].build(CHANNELS).eval().requires_grad_(False)
    if name == "cam":
        module.gamma.fill_(0.5)
    return module


@settings(max_examples=12, deadline=None)
@given(height=st.integers(1, 7), width=st.integers(2, 7), seed=st.integers(0, 99))
def test_attention_without_an_encoding_is_blind_to_position(
    block: AttnBlock, height: int, width: int, seed: int
) -> None:
    result = shuffle_test(_features(height, width, seed), block, seed)
    assert result.same
    assert max(result.output_error, result.change_error, result.weights_error) < 1e-5
    np.testing.assert_allclose(result.restored, result.before, atol=1e-6)


def test_attention_with_an_encoding_notices(block: AttnBlock) -> None:
    encoded = with_encoding(block, SinusoidalEncoding2d(CHANNELS))
    result = shuffle_test(_features(6, 7), encoded, 1)
    assert not result.same
    assert result.weights_error > 0.05
    assert result.change_error > 10 * SAME


def test_attention_with_an_encoding_switched_off_is_blind_again(block: AttnBlock) -> None:
    assert shuffle_test(_features(6, 7), with_encoding(block, SinusoidalEncoding2d(CHANNELS, amplitude=0)), 1).same


@pytest.mark.parametrize("name", [name for name in MECHANISMS if name != "spatial"])
@settings(max_examples=8, deadline=None)
@given(height=st.integers(1, 7), width=st.integers(2, 7), seed=st.integers(0, 99))
def test_channel_gates_and_maps_do_not_change(name: str, height: int, width: int, seed: int) -> None:
    result = shuffle_test(_features(height, width, seed), _mechanism(name), seed)
    assert result.same
    assert result.weights_error < 1e-5
    assert result.output_error < 1e-5
    assert result.before.shape == ((CHANNELS,) if result.kind == "gate" else (CHANNELS, CHANNELS))


def test_a_module_that_looks_at_places_is_found_out() -> None:
    class Ramp(torch.nn.Module):
        kind = "gate"

        def forward(self, x: torch.Tensor, return_attention: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
            gates = (x * torch.arange(x.shape[-1])).mean(dim=(2, 3)).sigmoid()
            return x * gates[:, :, None, None], gates

    assert not shuffle_test(_features(4, 5), Ramp(), 0).same


def test_untrained_cam_adds_nothing_so_its_change_has_no_error() -> None:
    result = shuffle_test(_features(4, 5), ChannelSelfAttention(CHANNELS).requires_grad_(False), 0)
    assert math.isnan(result.change_error)
    assert result.same


def test_the_query_moves_along_with_its_content(block: AttnBlock) -> None:
    features = _features(4, 5)
    result = shuffle_test(features, block, 5, queries=[0, 7])
    shuffled = shuffle_positions(features[None], result.permutation)
    _, attention = block(shuffled, return_attention=True)
    for row, query in enumerate([0, 7]):
        moved_to = result.permutation.tolist().index(query)
        np.testing.assert_allclose(result.after[row], attention[0, moved_to].numpy(), atol=1e-6)
        np.testing.assert_array_equal(result.restored[row][result.permutation], result.after[row])


def test_shuffling_moves_whole_columns_of_channels() -> None:
    x = torch.arange(12.0).reshape(1, 2, 2, 3)
    moved = shuffle_positions(x, np.array([5, 4, 3, 2, 1, 0]))
    assert moved[0, 0].tolist() == [[5, 4, 3], [2, 1, 0]]
    assert moved[0, 1].tolist() == [[11, 10, 9], [8, 7, 6]]


def test_features_stay_as_they_were(block: AttnBlock) -> None:
    features = _features(3, 4)
    before = features.clone()
    shuffle_test(features, block, 0)
    assert torch.equal(features, before)
    assert block.encoding is None


@pytest.mark.parametrize("shape", [(32, 4), (2, 32, 4, 4)])
def test_other_shapes_are_refused(block: AttnBlock, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected features \(C, h, w\)"):
        shuffle_test(torch.zeros(shape), block)


def test_permutation_is_drawn_by_the_seed_and_moves_something() -> None:
    assert permutation(9, 1).tolist() == permutation(9, 1).tolist()
    assert permutation(9, 1).tolist() != permutation(9, 2).tolist()
    assert sorted(permutation(9, 1).tolist()) == list(range(9))
    assert all(permutation(2, seed).tolist() == [1, 0] for seed in range(20))
    assert permutation(1, 0).tolist() == [0]


def test_evenly_spaced() -> None:
    assert evenly_spaced(9, 3).tolist() == [0, 4, 8]
    assert evenly_spaced(3, 64).tolist() == [0, 1, 2]


@pytest.mark.parametrize("strength", [0.0, 0.7, 1.0, 2.0])
def test_queries_are_straight_lines_in_the_strength(block: AttnBlock, strength: float) -> None:
    features = _features(5, 6)
    encoding = SinusoidalEncoding2d(CHANNELS)
    rows = encoded_queries(features, block, encoding).rows(strength, range(30))
    scaled = with_encoding(block, SinusoidalEncoding2d(CHANNELS, amplitude=strength * encoding.amplitude))
    np.testing.assert_allclose(rows, scaled(features[None], return_attention=True)[1][0], atol=2e-6)


@pytest.mark.skipif("ATTN_SHARED" not in os.environ, reason="needs photographs: ATTN_SHARED is not set")
def test_on_real_features() -> None:
    from attn.inspector import Inspector
    from attn.ui.panels.lab.panel import lab_view

    inspector = Inspector(weights="similarity")
    photographs = sorted(Path(os.environ["ATTN_SHARED"]).glob("data/bsds500/val/*.jpg"))[:2]
    assert photographs
    for photograph in photographs:
        shuffles = lab_view(inspector.inspect(photograph, 160), inspector, 1).shuffles
        assert [name for name, result in shuffles.items() if not result.same] == ["spatial_position"]
        assert all(r.weights_error < 1e-4 for name, r in shuffles.items() if name != "spatial_position")
