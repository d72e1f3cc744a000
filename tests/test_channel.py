"""Channel attention against its reference code, by hand, and by its properties."""

import math
from typing import Any

import pytest
import timm.layers.cbam
import timm.layers.eca
import timm.models.xcit
import torch
import torchvision
from torch import Tensor, nn

from attn.mechanisms import (
    KINDS,
    MECHANISMS,
    ChannelGate,
    ChannelSelfAttention,
    CrossCovarianceAttention,
    EfficientChannelAttention,
    SqueezeExcite,
)

GATES = [name for name, record in MECHANISMS.items() if record.kind == "gate"]
MAPS = [name for name, record in MECHANISMS.items() if record.kind == "channel_map"]
EVERY = pytest.mark.parametrize("name", GATES + MAPS)


def random_mechanism(name: str, channels: int = 64, **options: Any) -> Any:
    """A mechanism whose every parameter matters."""
    m: Any = type(MECHANISMS[name].build(channels))(channels, **options)
    with torch.no_grad():
        for parameter in m.parameters():
            parameter.copy_(torch.randn_like(parameter) * (1.0 if parameter.numel() < 64 else 0.3))
    return m.eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    # Gentle enough for CAM's raw products to leave more than one channel with weight.
    return torch.randn(2, 64, 5, 7) * 0.3 + 0.1


def test_the_registry_is_in_order_and_says_what_its_modules_are() -> None:
    assert list(MECHANISMS)[:6] == ["spatial", "se", "eca", "cbam", "cam", "xca"]
    for name, record in MECHANISMS.items():
        module: Any = record.build(64)
        assert record.name == name
        assert record.kind == module.kind
        assert record.kind in KINDS
        assert (record.title, record.paper) == (module.title, module.paper)
        assert record.formula == f"formulas.{name}"


# Parity with the reference implementations


@pytest.mark.parametrize("channels", [64, 256, 512])
def test_squeeze_excite_matches_torchvision(channels: int) -> None:
    torch.manual_seed(0)
    m, reference = SqueezeExcite(channels), torchvision.ops.SqueezeExcitation(channels, channels // 16)
    m.load_state_dict(reference.state_dict())
    x = torch.randn(2, channels, 16, 16) * 3
    torch.testing.assert_close(m(x), reference(x), atol=1e-6, rtol=1e-6)
    reference.load_state_dict(m.state_dict())


@pytest.mark.parametrize("channels", [64, 256, 512])
def test_efficient_channel_attention_matches_timm(channels: int) -> None:
    torch.manual_seed(0)
    m, reference = EfficientChannelAttention(channels), timm.layers.eca.EcaModule(channels)
    m.load_state_dict(reference.state_dict())
    x = torch.randn(2, channels, 16, 16) * 3
    torch.testing.assert_close(m(x), reference(x), atol=1e-6, rtol=1e-6)
    reference.load_state_dict(m.state_dict())


@pytest.mark.parametrize("channels", [24, 64, 256, 512])
def test_channel_gate_matches_timm(channels: int) -> None:
    torch.manual_seed(0)
    m, reference = ChannelGate(channels), timm.layers.cbam.ChannelAttn(channels)
    m.load_state_dict(reference.state_dict())
    x = torch.randn(2, channels, 16, 16) * 3
    torch.testing.assert_close(m(x), reference(x), atol=1e-6, rtol=1e-6)
    reference.load_state_dict(m.state_dict())


@pytest.mark.parametrize(("channels", "heads", "bias"), [(64, 8, False), (256, 8, True), (512, 16, False)])
def test_cross_covariance_attention_matches_timm(channels: int, heads: int, bias: bool) -> None:
    torch.manual_seed(0)
    m = CrossCovarianceAttention(channels, heads, qkv_bias=bias)
    reference = timm.models.xcit.XCA(channels, heads, qkv_bias=bias)
    with torch.no_grad():
        reference.temperature.uniform_(0.5, 4)
    m.load_state_dict(reference.state_dict())
    x = torch.randn(2, channels, 16, 12) * 3
    expected = reference(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(m(x), expected, atol=1e-5, rtol=1e-5)
    reference.load_state_dict(m.state_dict())


def test_channel_self_attention_matches_the_published_code() -> None:
    torch.manual_seed(0)
    m = random_mechanism("cam", 64)
    x = torch.randn(2, 64, 16, 12) * 0.2
    # DANet's CAM_Module, line by line.
    b, c, h, w = x.shape
    proj_query = x.view(b, c, -1)
    proj_key = x.view(b, c, -1).permute(0, 2, 1)
    energy = torch.bmm(proj_query, proj_key)
    energy_new = torch.max(energy, -1, keepdim=True)[0].expand_as(energy) - energy
    attention = energy_new.softmax(dim=-1)
    out = torch.bmm(attention, x.view(b, c, -1)).view(b, c, h, w)
    y, channel_map = m(x, return_attention=True)
    torch.testing.assert_close(y, m.gamma * out + x, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(channel_map, attention, atol=1e-6, rtol=1e-6)


# By hand


def test_squeeze_excite_by_hand() -> None:
    m = SqueezeExcite(2, rd_ratio=0.5)
    with torch.no_grad():
        m.fc1.weight.copy_(torch.tensor([[1.0, -1.0]]).view(1, 2, 1, 1))
        m.fc1.bias.fill_(0.5)
        m.fc2.weight.copy_(torch.tensor([[2.0], [-1.0]]).view(2, 1, 1, 1))
        m.fc2.bias.zero_()
    x = torch.tensor([[[[1.0, 3.0]], [[0.0, 2.0]]]])  # means 2 and 1, hidden 1.5
    y, gates = m(x, return_attention=True)
    expected = torch.tensor([[3.0, -1.5]]).sigmoid()
    torch.testing.assert_close(gates, expected)
    torch.testing.assert_close(y, x * expected.view(1, 2, 1, 1))


def test_efficient_channel_attention_by_hand() -> None:
    m = EfficientChannelAttention(3)
    with torch.no_grad():
        m.conv.weight.copy_(torch.tensor([[[1.0, 2.0, 4.0]]]))
    x = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    _, gates = m(x, return_attention=True)
    torch.testing.assert_close(gates, torch.tensor([[2.0 + 8.0, 1.0 + 4.0 + 12.0, 2.0 + 6.0]]).sigmoid())


def test_channel_gate_by_hand() -> None:
    m = ChannelGate(2, rd_ratio=0.5)
    with torch.no_grad():
        m.fc1.weight.copy_(torch.tensor([[1.0, 1.0]]).view(1, 2, 1, 1))
        m.fc2.weight.copy_(torch.tensor([[1.0], [-0.5]]).view(2, 1, 1, 1))
    x = torch.tensor([[[[1.0, -1.0]], [[0.0, -2.0]]]])  # means 0 and -1 (hidden 0), maxima 1 and 0 (hidden 1)
    _, gates = m(x, return_attention=True)
    torch.testing.assert_close(gates, torch.tensor([[1.0, -0.5]]).sigmoid())


def test_channel_self_attention_by_hand_favours_dissimilar_channels() -> None:
    m = ChannelSelfAttention(3)
    nn.init.constant_(m.gamma, 2.0)
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).view(1, 3, 1, 2)  # the third is unlike the first two
    y, attention = m(x, return_attention=True)
    like, unlike = 1 / (2 + math.e), math.e / (2 + math.e)
    torch.testing.assert_close(attention[0, 0], torch.tensor([like, like, unlike]))
    assert attention[0, 0, 2] > attention[0, 0, 1]
    torch.testing.assert_close(y[0, 0, 0], torch.tensor([1 + 2 * 2 * like, 2 * unlike]))


def test_cross_covariance_attention_by_hand() -> None:
    m = CrossCovarianceAttention(2, heads=1)
    with torch.no_grad():
        m.qkv.weight.copy_(torch.eye(2).repeat(3, 1))
        m.proj.weight.copy_(torch.eye(2))
        m.proj.bias.zero_()
        m.temperature.fill_(2.0)
    x = torch.tensor([[3.0, 4.0], [5.0, 0.0]]).view(1, 2, 1, 2)  # cosine of the two channels 0.6
    y, attention = m(x, return_attention=True)
    expected = torch.tensor([[2.0, 1.2], [1.2, 2.0]]).softmax(-1)
    torch.testing.assert_close(attention[0], expected)
    torch.testing.assert_close(y[0, :, 0], expected @ x[0, :, 0])


@pytest.mark.parametrize(("channels", "kernel"), [(2, 3), (16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)])
def test_eca_kernel_follows_the_paper(channels: int, kernel: int) -> None:
    m = EfficientChannelAttention(channels)
    assert m.conv.kernel_size == (kernel,)
    assert m.conv.bias is None
    assert timm.layers.eca.EcaModule(channels).conv.kernel_size == (kernel,)


# Properties


@EVERY
def test_one_call_shape(name: str, x: Tensor) -> None:
    m = random_mechanism(name)
    y, attention = m(x, return_attention=True)
    assert y.shape == x.shape
    torch.testing.assert_close(m(x), y, atol=0, rtol=0)
    assert m.kind == ("gate" if name in GATES else "channel_map")
    assert attention.shape == ((2, 64) if m.kind == "gate" else (2, 64, 64))
    assert m.paper.startswith("https://arxiv.org/abs/")
    assert m.paper in type(m).__doc__
    assert m.title


@pytest.mark.parametrize("name", GATES)
def test_a_gate_is_between_0_and_1_and_scales_its_channel(name: str, x: Tensor) -> None:
    y, gates = random_mechanism(name)(x, return_attention=True)
    assert gates.min() > 0
    assert gates.max() < 1
    assert gates.std() > 0.01
    torch.testing.assert_close(y / x, gates[:, :, None, None].expand_as(x))


@pytest.mark.parametrize("name", MAPS)
def test_a_map_has_rows_that_sum_to_one(name: str, x: Tensor) -> None:
    _, attention = random_mechanism(name)(x, return_attention=True)
    assert attention.min() >= 0
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 64))
    assert not torch.allclose(attention.sum(-2), torch.ones(2, 64), atol=0.01)


@EVERY
def test_shuffled_positions_change_nothing_but_the_output_s_order(name: str, x: Tensor) -> None:
    m = random_mechanism(name)
    order = torch.randperm(35)
    y, attention = m(x, return_attention=True)
    shuffled_y, shuffled_attention = m(x.flatten(2)[:, :, order].view_as(x), return_attention=True)
    torch.testing.assert_close(shuffled_attention, attention, atol=1e-5, rtol=0)
    torch.testing.assert_close(shuffled_y, y.flatten(2)[:, :, order].view_as(x), atol=1e-5, rtol=0)


@EVERY
def test_batch_items_do_not_interact(name: str, x: Tensor) -> None:
    m = random_mechanism(name)
    y, attention = m(x, return_attention=True)
    for i in range(2):
        alone, attention_alone = m(x[i : i + 1], return_attention=True)
        torch.testing.assert_close(alone[0], y[i], atol=1e-5, rtol=0)
        torch.testing.assert_close(attention_alone[0], attention[i], atol=1e-5, rtol=0)


@EVERY
def test_input_and_parameters_are_left_alone(name: str, x: Tensor) -> None:
    m = random_mechanism(name)
    before, state = x.clone(), {key: tensor.clone() for key, tensor in m.state_dict().items()}
    with torch.inference_mode():
        y, attention = m(x, return_attention=True)
        y.zero_()
        attention.zero_()
    assert torch.equal(x, before)
    assert all(torch.equal(tensor, state[key]) for key, tensor in m.state_dict().items())


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(name: str, dtype: torch.dtype, x: Tensor) -> None:
    m = random_mechanism(name)
    expected, expected_attention = m(x, return_attention=True)
    y, attention = m.to(dtype)(x.to(dtype), return_attention=True)
    assert y.dtype == attention.dtype == dtype
    torch.testing.assert_close(attention.float(), expected_attention, atol=0.03, rtol=0)
    torch.testing.assert_close(y.float(), expected, atol=0.05, rtol=0.03)


FEATURES = {
    "zeros": torch.zeros(1, 64, 12, 12),
    "flat": torch.full((1, 64, 12, 12), 10.0),
    "one channel": torch.zeros(1, 64, 12, 12).index_fill(1, torch.tensor([3]), 2.0),
    "lively": 5 * torch.randn(1, 64, 12, 12, generator=torch.Generator().manual_seed(0)),
    "large": 1000 * torch.randn(1, 64, 12, 12, generator=torch.Generator().manual_seed(0)),
}


@EVERY
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_are_right_on_any_features(name: str, dtype: torch.dtype, features: str) -> None:
    torch.manual_seed(0)
    m: Any = MECHANISMS[name].build(64).eval().requires_grad_(False)
    if name == "cam":
        nn.init.ones_(m.gamma)
    x = FEATURES[features].to(dtype).float()  # what half precision is given
    expected, expected_attention = m(x, return_attention=True)
    with torch.autocast("cpu", dtype):
        found = [m(x, return_attention=True), (m(x), expected_attention)]
    m.to(dtype)
    found += [m(x.to(dtype), return_attention=True)]
    scale = float(expected.abs().max().clamp(min=1))
    allowed = 16 * torch.finfo(dtype).eps
    for y, attention in found:
        assert (attention.float() - expected_attention).abs().max() < allowed
        assert (y.float() - expected).abs().max() < allowed * scale


@EVERY
def test_defaults_changed_by_others_do_not_matter(name: str, x: Tensor) -> None:
    m = random_mechanism(name).requires_grad_(False)
    expected, expected_attention = m(x, return_attention=True)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            y, attention = m(x, return_attention=True)
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(y, expected, atol=0, rtol=0)
    torch.testing.assert_close(attention, expected_attention, atol=0, rtol=0)


def test_cam_survives_half_precision_s_range() -> None:
    m = ChannelSelfAttention(4).half()
    nn.init.ones_(m.gamma)
    x = torch.full((1, 4, 32, 32), 10.0, dtype=torch.float16)  # products of 102,400, above half's 65,504
    assert m(x).isfinite().all()


@EVERY
def test_memory_layout_does_not_matter(name: str, x: Tensor) -> None:
    m = random_mechanism(name)
    channels_last = x.contiguous(memory_format=torch.channels_last)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    y, attention = m(x, return_attention=True)
    for other in (channels_last, strided):
        other_y, other_attention = m(other, return_attention=True)
        torch.testing.assert_close(other_y, y, atol=1e-5, rtol=0)
        torch.testing.assert_close(other_attention, attention, atol=1e-5, rtol=0)


@EVERY
def test_gradients_reach_every_parameter(name: str, x: Tensor) -> None:
    m = random_mechanism(name)
    m(x).square().sum().backward()
    for key, parameter in m.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 0, key


def test_untrained_cam_is_the_identity(x: Tensor) -> None:
    assert torch.equal(ChannelSelfAttention(64)(x), x)


def test_xca_map_is_what_mixes_the_values_and_stays_within_heads(x: Tensor) -> None:
    m = random_mechanism("xca", heads=4)
    y, attention = m(x, return_attention=True)
    heads = torch.arange(64) // 16
    assert attention[:, heads[:, None] != heads].count_nonzero() == 0
    assert attention[:, heads[:, None] == heads].min() > 0
    v = (x.flatten(2).transpose(1, 2) @ m.qkv.weight[128:].T).transpose(1, 2)  # (b, C, N)
    expected = m.proj((attention @ v).transpose(1, 2)).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=0)


def test_xca_residual_adds_the_input(x: Tensor) -> None:
    m = random_mechanism("xca")
    with_input = CrossCovarianceAttention(64, residual=True)
    with_input.load_state_dict(m.state_dict())
    torch.testing.assert_close(with_input(x), x + m(x))


def test_multiply_adds_by_hand() -> None:
    # 64 channels, 5 × 7 = 35 positions.
    scaling = 64 * 35
    assert SqueezeExcite(64).multiply_adds(5, 7) == 64 * 4 + 4 * 64 + scaling
    assert EfficientChannelAttention(64).multiply_adds(5, 7) == 64 * 3 + scaling
    assert ChannelGate(64).multiply_adds(5, 7) == 2 * (64 * 4 + 4 * 64) + scaling
    assert ChannelSelfAttention(64).multiply_adds(5, 7) == 2 * (64 * 64 * 35) + scaling
    assert CrossCovarianceAttention(64, heads=8).multiply_adds(5, 7) == 4 * 64 * 64 * 35 + 2 * (8 * 8 * 8 * 35)


# Errors


@EVERY
@pytest.mark.parametrize("shape", [(64, 5, 7), (1, 32, 8, 8), (1, 64, 8), (1, 1, 64, 8, 8)])
def test_refuses_other_shapes(name: str, shape: tuple[int, ...]) -> None:
    message = r"expected \(b, 64, h, w\), got \(" + ", ".join(map(str, shape)) + r"\)"
    with pytest.raises(ValueError, match=message):
        MECHANISMS[name].build(64)(torch.zeros(shape))


@EVERY
@pytest.mark.parametrize("shape", [(1, 64, 0, 8), (1, 64, 8, 0)])
def test_refuses_an_empty_grid(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"at least 1 × 1 positions, got \(1, 64, {shape[2]}, {shape[3]}\)"):
        MECHANISMS[name].build(64)(torch.zeros(shape))


@EVERY
def test_refuses_no_channels(name: str) -> None:
    with pytest.raises(ValueError, match="at least 1 channel, got 0"):
        MECHANISMS[name].build(0)


def test_xca_refuses_channels_not_divisible_by_heads() -> None:
    with pytest.raises(ValueError, match="multiple of heads = 8, got 60"):
        CrossCovarianceAttention(60)
