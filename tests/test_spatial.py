"""AttnBlock against the published code, by hand, and by its properties."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock, TraceStep, attention_from


class PublishedBlock(nn.Module):
    """The block as the note and the VQGAN code have it, line by line; keeps the map of its last call."""

    def __init__(self, in_channels: int, num_groups: int = 32) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups=num_groups, num_channels=in_channels, eps=1e-6, affine=True)
        self.q = nn.Conv2d(in_channels, in_channels, kernel_size=1, stride=1, padding=0)
        self.k = nn.Conv2d(in_channels, in_channels, kernel_size=1, stride=1, padding=0)
        self.v = nn.Conv2d(in_channels, in_channels, kernel_size=1, stride=1, padding=0)
        self.proj_out = nn.Conv2d(in_channels, in_channels, kernel_size=1, stride=1, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        h_ = self.norm(x)
        q, k, v = self.q(h_), self.k(h_), self.v(h_)
        b, c, h, w = q.shape
        q = q.reshape(b, c, h * w).permute(0, 2, 1)  # (b, hw, c)
        k = k.reshape(b, c, h * w)  # (b, c, hw)
        w_ = torch.bmm(q, k) * int(c) ** -0.5  # (b, hw, hw)
        w_ = torch.nn.functional.softmax(w_, dim=2)
        self.attention = w_
        v = v.reshape(b, c, h * w)
        h_ = torch.bmm(v, w_.permute(0, 2, 1)).reshape(b, c, h, w)
        return x + self.proj_out(h_)


class Recorder(TorchDispatchMode):
    """Every operation run inside, with the size of its largest result in elements."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [
            tensor
            for tensor in (result if isinstance(result, (tuple, list)) else [result])
            if isinstance(tensor, Tensor)
        ]
        self.calls.append((str(func), max((tensor.numel() for tensor in tensors), default=0)))
        return result


def random_block(channels: int, **options: Any) -> AttnBlock:
    """A block whose every parameter matters: q and k large enough for maps far from uniform."""
    block = AttnBlock(channels, **options)
    with torch.no_grad():
        for name, parameter in block.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.1 if "bias" in name else channels**-0.5))
        block.norm.weight.add_(1)
        block.q.weight.mul_(3)
    return block.eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 64, 5, 7)


@pytest.mark.parametrize(("channels", "height", "width"), [(512, 16, 16), (64, 5, 7), (32, 1, 1)])
def test_matches_the_published_block(channels: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    block = random_block(channels)
    published = PublishedBlock(channels)
    published.load_state_dict(block.state_dict())
    x = torch.randn(2, channels, height, width) * 2 + 1
    with torch.no_grad():
        expected = published(x)
        fused = block(x)
        explicit, attention = block(x, return_attention=True)
    torch.testing.assert_close(explicit, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fused, explicit, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(attention, published.attention, atol=1e-5, rtol=1e-5)
    if height * width > 1:
        assert attention.max() > 5 / (height * width)  # a uniform map would hide a wrong one


def test_loads_a_checkpoint_of_the_published_block_and_back() -> None:
    published, block = PublishedBlock(64), AttnBlock(64)
    assert {name: tuple(p.shape) for name, p in block.state_dict().items()} == {
        name: tuple(p.shape) for name, p in published.state_dict().items()
    }
    assert block.q.weight.shape == (64, 64, 1, 1)
    block.load_state_dict(published.state_dict())
    AttnBlock(64, encoding=SinusoidalEncoding2d(64)).load_state_dict(published.state_dict())
    published.load_state_dict(block.state_dict())


def test_by_hand_two_positions() -> None:
    block = AttnBlock(1, groups=1)
    for layer in (block.q, block.k, block.v, block.proj_out):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.tensor([[[[1.0, 3.0]]]])  # normalised: -1, 1
    y, attention = block(x, return_attention=True)
    e = torch.e
    near, far = e / (e + 1 / e), (1 / e) / (e + 1 / e)
    torch.testing.assert_close(attention, torch.tensor([[[near, far], [far, near]]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(y, torch.tensor([[[[1 + far - near, 3 + near - far]]]]), atol=1e-5, rtol=0)


def test_rows_are_queries_and_sum_to_one(x: Tensor) -> None:
    _, attention = random_block(64)(x, return_attention=True)
    assert attention.shape == (2, 35, 35)
    assert attention.min() >= 0
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 35))
    assert not torch.allclose(attention.sum(-2), torch.ones(2, 35), atol=0.1)


@pytest.mark.parametrize("positioned", [False, True])
@pytest.mark.parametrize(("channels", "height", "width"), [(64, 5, 7), (64, 9, 9), (256, 16, 12)])
def test_fused_path_equals_the_explicit_one(channels: int, height: int, width: int, positioned: bool) -> None:
    torch.manual_seed(0)
    block = random_block(channels, encoding=SinusoidalEncoding2d(channels) if positioned else None, temperature=0.7)
    x = torch.randn(2, channels, height, width)
    q, k = block.queries_keys(x)
    assert (q @ k.transpose(1, 2)).max() > 10  # sharp maps, where rounding shows
    torch.testing.assert_close(block(x), block(x, return_attention=True)[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("positioned", [False, True])
@pytest.mark.parametrize(("channels", "side"), [(64, 20), (32, 70)])
def test_composed_path_is_as_near_to_exact_as_the_explicit_one(channels: int, side: int, positioned: bool) -> None:
    """More positions than channels, all queries at once and in slices: judged by double precision."""
    torch.manual_seed(0)
    block = random_block(channels, encoding=SinusoidalEncoding2d(channels) if positioned else None, temperature=0.7)
    x = torch.randn(2, channels, side, side + 1)
    with torch.no_grad():
        fused, explicit = block(x), block(x, return_attention=True)[0]
        exact = copy.deepcopy(block).double()(x.double(), return_attention=True)[0]
    error, explicit_error = ((y.double() - exact).square().mean().sqrt() for y in (fused, explicit))
    assert explicit_error < 1e-6
    assert error < 1.5 * explicit_error


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_fused_path_does_not_depend_on_the_threads_it_deals_to(threads: int) -> None:
    torch.manual_seed(0)
    block = random_block(32, encoding=SinusoidalEncoding2d(32), temperature=0.7).double()
    usual = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            for height, width in ((4, 6), (12, 20), (31, 30)):  # before and after positions outnumber channels
                x = torch.randn(2, 32, height, width, dtype=torch.float64)
                torch.testing.assert_close(block(x), block(x, return_attention=True)[0], atol=1e-12, rtol=0)
    finally:
        torch.set_num_threads(usual)


def test_fused_path_takes_the_fused_kernel_and_holds_no_map() -> None:
    block = random_block(32, encoding=SinusoidalEncoding2d(32))
    x = torch.randn(1, 32, 20, 20)
    with torch.no_grad(), Recorder() as fused:
        block(x)
    with torch.no_grad(), Recorder() as rows:
        block.attention_rows(x, [0, 5])
    with torch.no_grad(), Recorder() as explicit:
        block(x, return_attention=True)
    assert any("flash_attention" in name for name, _ in fused.calls)
    assert max(size for _, size in fused.calls + rows.calls) < 400 * 400
    assert max(size for _, size in explicit.calls) == 400 * 400


def test_gradients_agree_between_the_paths(x: Tensor) -> None:
    block = random_block(64)
    fused = torch.autograd.grad(block(x).square().sum(), list(block.parameters()))
    explicit = torch.autograd.grad(block(x, return_attention=True)[0].square().sum(), list(block.parameters()))
    for one, other in zip(fused, explicit, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("positioned", [False, True])
def test_rows_on_request_are_the_map_s_rows(x: Tensor, positioned: bool) -> None:
    block = random_block(64, encoding=SinusoidalEncoding2d(64) if positioned else None, temperature=0.5)
    _, attention = block(x, return_attention=True)
    for queries in ([0, 34, 3, 3], torch.tensor([7]), []):
        rows = block.attention_rows(x, queries)
        assert rows.shape == (2, len(queries), 35)
        torch.testing.assert_close(rows, attention[:, list(queries)], atol=1e-6, rtol=0)


def test_queries_and_keys_carry_every_scale(x: Tensor) -> None:
    block = random_block(64, temperature=0.5, encoding=SinusoidalEncoding2d(64))
    q, k = block.queries_keys(x)
    assert q.shape == k.shape == (2, 35, 64)
    _, attention = block(x, return_attention=True)
    torch.testing.assert_close((q @ k.transpose(1, 2)).softmax(-1), attention, atol=1e-6, rtol=0)
    torch.testing.assert_close(attention_from(q, k), attention, atol=1e-6, rtol=0)


def test_temperature_divides_the_logits(x: Tensor) -> None:
    block = random_block(64)
    q, k = block.queries_keys(x)
    block.temperature = 0.25
    _, attention = block(x, return_attention=True)
    torch.testing.assert_close(attention, attention_from(q / 0.25, k), atol=1e-5, rtol=0)
    block.temperature = 1e6
    torch.testing.assert_close(block(x, return_attention=True)[1], torch.full((2, 35, 35), 1 / 35), atol=1e-4, rtol=0)


def test_without_encoding_shuffled_positions_give_shuffled_output(x: Tensor) -> None:
    block = random_block(64)
    order = torch.randperm(35)
    y, attention = block(x, return_attention=True)
    shuffled_y, shuffled_attention = block(_shuffled(x, order), return_attention=True)
    torch.testing.assert_close(shuffled_y, _shuffled(y, order), atol=1e-5, rtol=0)
    torch.testing.assert_close(shuffled_attention, attention[:, order][:, :, order], atol=1e-5, rtol=0)


def test_with_encoding_shuffled_positions_give_another_output(x: Tensor) -> None:
    block = random_block(64, encoding=SinusoidalEncoding2d(64))
    order = torch.randperm(35)
    assert (block(_shuffled(x, order)) - _shuffled(block(x), order)).abs().max() > 0.05


def test_encoding_reaches_queries_and_keys_but_never_values(x: Tensor) -> None:
    encoding = SinusoidalEncoding2d(64, amplitude=5.0)
    block, plain = random_block(64, encoding=encoding), AttnBlock(64)
    plain.load_state_dict(block.state_dict())
    h = plain.norm(x).flatten(2).transpose(1, 2)  # (b, N, C)
    seen = h + encoding(5, 7).flatten(2).transpose(1, 2)
    q, k, v = (
        tokens @ layer.weight.flatten(1).T + layer.bias
        for tokens, layer in ((seen, plain.q), (seen, plain.k), (h, plain.v))
    )
    attention = attention_from(q / 8, k)
    out = (attention @ v) @ plain.proj_out.weight.flatten(1).T + plain.proj_out.bias
    y, block_attention = block(x, return_attention=True)
    torch.testing.assert_close(block_attention, attention, atol=1e-4, rtol=0)
    torch.testing.assert_close(y, x + out.transpose(1, 2).view_as(x), atol=1e-4, rtol=0)
    encoding.amplitude = 0.0
    torch.testing.assert_close(block(x), plain(x))


def test_zero_proj_out_is_the_identity(x: Tensor) -> None:
    block = random_block(64)
    nn.init.zeros_(block.proj_out.weight)
    nn.init.zeros_(block.proj_out.bias)
    assert torch.equal(block(x), x)
    assert torch.equal(block(x, return_attention=True)[0], x)


def test_batch_items_do_not_interact(x: Tensor) -> None:
    block = random_block(64)
    y, attention = block(x, return_attention=True)
    for i in range(2):
        alone, attention_alone = block(x[i : i + 1], return_attention=True)
        torch.testing.assert_close(alone[0], y[i], atol=1e-5, rtol=0)
        torch.testing.assert_close(attention_alone[0], attention[i], atol=1e-5, rtol=0)
        torch.testing.assert_close(block(x)[i], block(x[i : i + 1])[0], atol=1e-5, rtol=0)


def test_input_and_parameters_are_left_alone(x: Tensor) -> None:
    block = random_block(64, encoding=SinusoidalEncoding2d(64))
    before = x.clone()
    state = {name: tensor.clone() for name, tensor in block.state_dict().items()}
    with torch.inference_mode():
        y = block(x)
        block(x, return_attention=True)
        block.attention_rows(x, [0])
        y.zero_()
    assert torch.equal(x, before)
    assert all(torch.equal(tensor, state[name]) for name, tensor in block.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("positioned", [False, True])
def test_other_precisions(x: Tensor, dtype: torch.dtype, positioned: bool) -> None:
    block = random_block(64, encoding=SinusoidalEncoding2d(64) if positioned else None)
    expected, expected_attention = block(x, return_attention=True)
    block.to(dtype)
    y, attention = block(x.to(dtype), return_attention=True)
    assert y.dtype == attention.dtype == block(x.to(dtype)).dtype == dtype
    torch.testing.assert_close(y.float(), expected, atol=0.1, rtol=0)
    torch.testing.assert_close(block(x.to(dtype)).float(), expected, atol=0.1, rtol=0)
    torch.testing.assert_close(attention.float(), expected_attention, atol=0.05, rtol=0)


def test_memory_layout_does_not_matter(x: Tensor) -> None:
    block = random_block(64)
    channels_last = x.contiguous(memory_format=torch.channels_last)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    for other in (channels_last, strided):
        torch.testing.assert_close(block(other), block(x), atol=1e-5, rtol=0)
        torch.testing.assert_close(block(other, True)[1], block(x, True)[1], atol=1e-5, rtol=0)


def test_grid_need_not_be_square_and_positions_run_row_by_row() -> None:
    torch.manual_seed(0)
    block = random_block(32)
    x = torch.randn(1, 32, 2, 6)
    q, _ = block.queries_keys(x)
    torch.testing.assert_close(q[0, 1 * 6 + 4], block.q(block.norm(x))[0, :, 1, 4] * 32**-0.5, atol=1e-5, rtol=0)
    assert block(x).shape == (1, 32, 2, 6)


def test_trace_tells_the_note_s_shapes() -> None:
    steps = AttnBlock(512).trace(torch.empty(2, 512, 16, 16))
    assert [(step.name, step.shape) for step in steps] == [
        ("input", (2, 512, 16, 16)),
        ("norm", (2, 512, 16, 16)),
        ("q", (2, 512, 16, 16)),
        ("q flattened", (2, 256, 512)),
        ("k", (2, 512, 16, 16)),
        ("k flattened", (2, 512, 256)),
        ("logits", (2, 256, 256)),
        ("attention", (2, 256, 256)),
        ("v", (2, 512, 16, 16)),
        ("weighted values", (2, 512, 16, 16)),
        ("proj_out", (2, 512, 16, 16)),
        ("output", (2, 512, 16, 16)),
    ]
    assert all(isinstance(step, TraceStep) and step.note for step in steps)


def test_trace_is_what_the_published_block_does(x: Tensor) -> None:
    published = PublishedBlock(64)
    real: dict[str, tuple[int, ...]] = {"input": tuple(x.shape)}
    for name in ("norm", "q", "k", "v", "proj_out"):
        getattr(published, name).register_forward_hook(
            lambda _, inputs, output, name=name: real.update(
                {name: tuple(output.shape), f"into {name}": tuple(inputs[0].shape)}
            )
        )
    real["output"] = tuple(published(x).shape)
    real["attention"] = real["logits"] = tuple(published.attention.shape)
    real["weighted values"] = real["into proj_out"]
    block = AttnBlock(64)
    q, k = block.queries_keys(x)
    real |= {"q flattened": tuple(q.shape), "k flattened": tuple(k.transpose(1, 2).shape)}
    told = {step.name: step.shape for step in block.trace(x)}
    assert told == {name: shape for name, shape in real.items() if not name.startswith("into ")}


def test_multiply_adds_by_hand() -> None:
    # 6 positions, 4 channels: four 1×1 convolutions of 6·4·4 and two products of 6·6·4.
    assert AttnBlock(4, groups=2).multiply_adds(2, 3) == 4 * 96 + 2 * 144


@pytest.mark.parametrize("shape", [(64, 5, 7), (1, 32, 8, 8), (1, 64, 8), (1, 1, 64, 8, 8)])
@pytest.mark.parametrize("call", ["forward", "queries_keys", "trace"])
def test_refuses_other_shapes(shape: tuple[int, ...], call: str) -> None:
    message = r"expected \(b, 64, h, w\), got \(" + ", ".join(map(str, shape)) + r"\)"
    with pytest.raises(ValueError, match=message):
        getattr(AttnBlock(64), call)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 64, 0, 8), (1, 64, 8, 0)])
def test_refuses_an_empty_grid(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"at least 1 × 1 positions, got \(1, 64, {shape[2]}, {shape[3]}\)"):
        AttnBlock(64)(torch.zeros(shape))


def test_refuses_channels_not_divisible_by_groups() -> None:
    with pytest.raises(ValueError, match=r"multiple of groups = 32, got 48"):
        AttnBlock(48)
    with pytest.raises(ValueError, match=r"multiple of groups = 32, got 0"):
        AttnBlock(0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_refuses_a_temperature_that_is_not_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"above 0, got {temperature}"):
        AttnBlock(64, temperature=temperature)


def test_refuses_queries_outside_the_grid(x: Tensor) -> None:
    block = AttnBlock(64)
    with pytest.raises(ValueError, match=r"queries in 0 … 34, got \[35, -1\]"):
        block.attention_rows(x, [0, 35, -1])
    with pytest.raises(ValueError, match=r"flat list of queries, got shape \(1, 2\)"):
        block.attention_rows(x, torch.zeros(1, 2, dtype=torch.long))


def _shuffled(x: Tensor, order: Tensor) -> Tensor:
    return x.flatten(2)[:, :, order].view_as(x)
