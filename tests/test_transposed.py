"""The AttnBlock transposed: the same layers, channels compared with channels, and what follows from that."""

import math

import pytest
import torch
from gradio.media import get_image
from torch import Tensor, nn

from attn import AttnBlock, Inspector, TransposedAttnBlock
from attn.measures.attention import entropy
from attn.measures.shuffle import shuffle_test
from attn.mechanisms.position import SinusoidalEncoding2d
from tests.test_spatial import random_block


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 64, 5, 7)


def test_by_hand_two_channels_and_two_by_two_positions() -> None:
    block = AttnBlock(2, groups=2)
    for layer in (block.q, block.k, block.v, block.proj_out):
        nn.init.dirac_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.tensor([[[[1.0, 1.0], [3.0, 3.0]], [[1.0, 3.0], [1.0, 3.0]]]])  # normalised: -1 -1 1 1, and -1 1 -1 1
    y, attention = block.transposed()(x, return_attention=True)
    # A channel's product with itself is 4, with the other 0; divided by the root of four positions: 2 and 0.
    near = math.exp(2) / (math.exp(2) + 1)
    torch.testing.assert_close(attention, torch.tensor([[[near, 1 - near], [1 - near, near]]]), atol=1e-5, rtol=0)
    rows = torch.tensor([[-1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, -1.0, 1.0]])
    expected = x + (torch.tensor([[near, 1 - near], [1 - near, near]]) @ rows).view_as(x)
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=0)


def test_it_is_the_blocks_product_the_other_way_round(x: Tensor) -> None:
    block = random_block(64, temperature=0.7)
    h = block.norm(x)
    q, k, v = (layer(h).flatten(2) for layer in (block.q, block.k, block.v))  # (b, C, N)
    over_positions = (q.transpose(1, 2) @ k * 64**-0.5 / 0.7).softmax(-1)
    over_channels = (q @ k.transpose(1, 2) * 35**-0.5 / 0.7).softmax(-1)
    torch.testing.assert_close(block(x, return_attention=True)[1], over_positions)
    y, attention = block.transposed()(x, return_attention=True)
    torch.testing.assert_close(attention, over_channels)
    torch.testing.assert_close(y, x + block.proj_out((over_channels @ v).view_as(x)))


@pytest.mark.parametrize("size", [(5, 7), (12, 9), (1, 1)])
def test_positions_square_in_one_and_channels_square_in_the_other(size: tuple[int, int]) -> None:
    block, positions = AttnBlock(64), size[0] * size[1]
    x = torch.randn(1, 64, *size)
    assert block(x, return_attention=True)[1].shape == (1, positions, positions)
    assert block.transposed()(x, return_attention=True)[1].shape == (1, 64, 64)


def test_shuffled_positions_leave_its_map_as_it_is(x: Tensor) -> None:
    turned = random_block(64).transposed()
    order = torch.randperm(35)
    shuffled = x.flatten(2)[:, :, order].view_as(x)
    y, attention = turned(x, return_attention=True)
    shuffled_y, shuffled_attention = turned(shuffled, return_attention=True)
    torch.testing.assert_close(shuffled_attention, attention, atol=1e-5, rtol=0)
    torch.testing.assert_close(shuffled_y, y.flatten(2)[:, :, order].view_as(x), atol=1e-5, rtol=0)
    result = shuffle_test(x[:1].detach(), turned.requires_grad_(False))
    assert result.same
    assert result.weights_error < 1e-5


def test_logits_grow_with_the_root_of_the_number_of_positions(x: Tensor) -> None:
    turned, repeated = random_block(64).transposed(), x.repeat(1, 1, 2, 2)  # the same statistics, four times the sum
    logits = turned(x, return_attention=True)[1].log()
    expected = (2 * logits).softmax(-1)
    torch.testing.assert_close(turned(repeated, return_attention=True)[1], expected, atol=1e-5, rtol=1e-4)


def test_a_position_encoding_makes_no_difference(x: Tensor) -> None:
    positioned = random_block(64, encoding=SinusoidalEncoding2d(64))
    plain = AttnBlock(64)
    plain.load_state_dict(positioned.state_dict())
    assert (positioned(x) - plain(x)).abs().max() > 0.01
    torch.testing.assert_close(positioned.transposed()(x), plain.transposed()(x), atol=0, rtol=0)


def test_layers_are_shared_and_weights_move_between_both(x: Tensor) -> None:
    block = random_block(64)
    turned = block.transposed()
    assert turned.q is block.q
    assert turned.state_dict().keys() == block.state_dict().keys()
    TransposedAttnBlock(64).load_state_dict(block.state_dict())
    before = turned(x)
    with torch.no_grad():
        block.v.weight.mul_(2)
    assert (turned(x) - before).abs().max() > 0.01
    assert not block.eval().transposed().training


def test_it_is_in_every_inspection_with_the_blocks_weights() -> None:
    for weights in ("trained", "random"):
        inspector = Inspector(weights=weights, detail="coarse")
        inspection = inspector.inspect(get_image("lion.jpg"), 320)
        result, block = inspection.mechanisms["transposed"], inspection.mechanisms["spatial"]
        assert result.kind == "channel_map"
        assert result.source is block.source
        assert result.cost.parameters == block.cost.parameters
        assert result.cost.multiply_adds == 6 * 256**2 * 400
        assert result.weights.shape == (256, 256)
        # Neither a spike nor flat.
        share = entropy(result.weights).mean()
        assert 0.3 < share < 0.95


def test_refusals() -> None:
    with pytest.raises(ValueError, match="multiple of groups = 32, got 40"):
        TransposedAttnBlock(40)
    with pytest.raises(ValueError, match="temperature above 0, got 0"):
        TransposedAttnBlock(64, temperature=0)
