"""Whatever PyTorch hangs on a layer's call does in AttnBlock what it does in the published block."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from attn.mechanisms import fused
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock
from tests.test_spatial import PublishedBlock, random_block

LAYERS = ("q", "k", "v", "proj_out")
C = 64
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{what} is deprecated")
    for what in (".*weight_norm.", ".*spectral_norm.", ".torch.jit.script.")  # the last by torch.func itself
]


class Adapter(nn.Module):
    """A low-rank addition in a layer's place, with the layer's own weight and bias still to be read."""

    def __init__(self, base: nn.Conv2d) -> None:
        super().__init__()
        self.base = base
        self.down, self.up = nn.Conv2d(C, 4, 1, bias=False), nn.Conv2d(4, C, 1, bias=False)
        self.weight, self.bias = base.weight, base.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


class Scaled(nn.Module):
    """A parametrisation."""

    def forward(self, weight: Tensor) -> Tensor:
        return 0.5 * weight


def each(change: Callable[[nn.Module], Any]) -> Callable[[nn.Module], None]:
    """Do this to the four layers."""

    def change_all(block: nn.Module) -> None:
        for name in LAYERS:
            change(block.get_submodule(name))

    return change_all


def adapt(block: nn.Module) -> None:
    for name in LAYERS:
        setattr(block, name, Adapter(getattr(block, name)))


def offload(layer: nn.Module) -> None:
    """As accelerate does it: the weights are elsewhere until the layer is called."""
    own, call = dict(layer.named_parameters()), layer.forward
    for name in own:
        setattr(layer, name, nn.Parameter(own[name].detach().to("meta")))

    def forward(x: Tensor) -> Tensor:
        return functional_call_of(call, own, layer, x)

    layer.forward = forward  # type: ignore[method-assign]


def functional_call_of(call: Callable[[Tensor], Tensor], own: dict[str, Any], layer: nn.Module, x: Tensor) -> Tensor:
    held = {name: getattr(layer, name) for name in own}
    for name in own:
        setattr(layer, name, own[name])
    try:
        return call(x)
    finally:
        for name in own:
            setattr(layer, name, held[name])


CHANGES: dict[str, Callable[[nn.Module], None]] = {
    "forward hook": each(lambda layer: layer.register_forward_hook(lambda _, __, y: 1.5 * y)),
    "forward pre-hook": each(lambda layer: layer.register_forward_pre_hook(lambda _, x: (0.5 * x[0],))),
    "adapter": adapt,
    "spectral_norm": each(spectral_norm),
    "weight_norm": each(weight_norm),
    "prune": each(partial(prune.l1_unstructured, name="weight", amount=0.3)),
    "pruned bias": each(partial(prune.random_unstructured, name="bias", amount=0.5)),
    "parametrised spectral_norm": each(parametrizations.spectral_norm),
    "parametrised weight_norm": each(parametrizations.weight_norm),
    "parametrisation": each(lambda layer: nn.utils.parametrize.register_parametrization(layer, "weight", Scaled())),
    "off-loaded": each(offload),
    "no bias": lambda block: setattr(block, "v", nn.Conv2d(C, C, 1, bias=False)),
    "another kernel": lambda block: setattr(block, "k", nn.Conv2d(C, C, 3, padding=1)),
    "grouped": lambda block: setattr(block, "q", nn.Conv2d(C, C, 1, groups=4)),
}


def pair(change: Callable[[nn.Module], None]) -> tuple[AttnBlock, PublishedBlock]:
    """The block and the published one with the same weights, changed in the same way."""
    torch.manual_seed(0)
    block, published = random_block(C), PublishedBlock(C).eval()
    published.load_state_dict(block.state_dict())
    for module in (block, published):
        torch.manual_seed(1)
        change(module)
    return block, published


@pytest.mark.parametrize("side", [6, 12])  # fewer positions than channels, and more
@pytest.mark.parametrize("name", CHANGES)
def test_changed_layers_do_what_they_do_in_the_published_block(name: str, side: int) -> None:
    block, published = pair(CHANGES[name])
    plain = random_block(C)
    plain_output = plain(torch.ones(1, C, side, side))
    assert plain_output.shape == (1, C, side, side)
    x = torch.randn(2, C, side, side)
    for training in (False, True):
        block.train(training)
        published.train(training)
        with torch.no_grad():
            expected = published(x)
            torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)
        if training or name == "spectral_norm":
            continue  # its vectors move with every call in training
        torch.testing.assert_close(block(x, return_attention=True)[1], published.attention, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "off-loaded"])
def test_gradients_reach_the_same_parameters(name: str) -> None:
    block, published = pair(CHANGES[name])
    x = torch.randn(2, C, 9, 9)
    for module in (block, published):
        module.train()
        module(x).square().mean().backward()
    ours, theirs = dict(block.named_parameters()), dict(published.named_parameters())
    assert ours.keys() == theirs.keys()
    for key, parameter in ours.items():
        torch.testing.assert_close(parameter.grad, theirs[key].grad, atol=1e-5, rtol=1e-3, msg=key)
        assert parameter.grad is not None


def test_every_hook_fires_once_and_in_order() -> None:
    block, seen = AttnBlock(C), []
    for name in ("norm", *LAYERS):
        block.get_submodule(name).register_forward_hook(lambda *_, name=name: seen.append(name))
    with torch.no_grad():
        block(torch.randn(1, C, 10, 10))
    assert seen == ["norm", *LAYERS]


def test_a_hook_on_all_modules_fires() -> None:
    block, seen = AttnBlock(C), []
    hook = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(type(module).__name__))
    try:
        with torch.no_grad():
            block(torch.randn(1, C, 10, 10))
    finally:
        hook.remove()
    assert seen == ["GroupNorm", *["Conv2d"] * 4, "AttnBlock"]


def test_a_removed_hook_makes_the_layers_plain_again() -> None:
    block, x = AttnBlock(C), torch.randn(1, C, 10, 10)
    with torch.no_grad():
        assert fused.takes(block, x)
        hook = block.k.register_forward_hook(lambda *_: None)
        assert not fused.takes(block, x)
        hook.remove()
        assert fused.takes(block, x)
    assert not fused.takes(block, x)  # gradients are recorded
    assert fused.takes(block.requires_grad_(False), x)
    assert not fused.takes(block, x.clone().requires_grad_())


# Derivatives


@pytest.fixture
def small() -> tuple[AttnBlock, PublishedBlock, Tensor]:
    torch.manual_seed(0)
    block, published = random_block(8, groups=4).double(), PublishedBlock(8, 4).double()
    published.load_state_dict(block.state_dict())
    return block.requires_grad_(False), published.requires_grad_(False), torch.randn(1, 8, 3, 4).double()


def test_second_derivatives(small: tuple[AttnBlock, PublishedBlock, Tensor]) -> None:
    block, _, x = small
    assert torch.autograd.gradgradcheck(block, (x.requires_grad_(),))


def test_second_derivatives_in_the_parameters(small: tuple[AttnBlock, PublishedBlock, Tensor]) -> None:
    block, published, x = small
    found = []
    for module in (block, published):
        module.requires_grad_(True)
        weights = list(module.parameters())
        first = torch.autograd.grad(module(x).square().sum(), weights, create_graph=True)
        found.append(torch.autograd.grad(sum(g.square().sum() for g in first), weights))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_forward_mode(small: tuple[AttnBlock, PublishedBlock, Tensor]) -> None:
    block, published, x = small
    assert torch.autograd.gradcheck(block, (x.requires_grad_(),), check_forward_ad=True)
    direction = torch.randn_like(x)
    with torch.no_grad(), forward_ad.dual_level():
        ours, theirs = (forward_ad.unpack_dual(m(forward_ad.make_dual(x, direction))) for m in (block, published))
        torch.testing.assert_close(ours.tangent, theirs.tangent)
    torch.testing.assert_close(torch.func.jvp(block, (x,), (direction,))[1], ours.tangent)


def test_function_transforms(small: tuple[AttnBlock, PublishedBlock, Tensor]) -> None:
    block, published, x = small
    several = torch.randn(3, *x.shape).double()
    with torch.no_grad():
        torch.testing.assert_close(torch.vmap(block)(several), torch.stack([block(each) for each in several]))
        others = {name: 2 * p for name, p in block.named_parameters()}
        torch.testing.assert_close(functional_call(block, others, x), functional_call(published, others, x))
    jacobian = torch.func.jacrev(block)(x)
    torch.testing.assert_close(jacobian, torch.func.jacfwd(block)(x))


# Autocast, precision, defaults


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("side", [6, 12])
def test_autocast_is_as_near_to_exact_as_the_published_block(dtype: torch.dtype, side: int) -> None:
    block, published = pair(lambda _: None)
    x = torch.randn(2, C, side, side)
    with torch.no_grad():
        exact = published(x)
        with torch.autocast("cpu", dtype):
            ours, theirs = block(x), published(x)
            explicit = block(x, return_attention=True)[0]
    allowed = 1.5 * (theirs - exact).abs().max() + 1e-6
    assert (ours - exact).abs().max() <= allowed
    assert (explicit - exact).abs().max() <= allowed


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_with_more_positions_than_channels(dtype: torch.dtype) -> None:
    block, published = pair(lambda _: None)
    x = torch.randn(2, C, 20, 20)
    with torch.no_grad():
        exact = published(x)
        ours, theirs = block.to(dtype)(x.to(dtype)).float(), published.to(dtype)(x.to(dtype)).float()
    assert (ours - exact).abs().max() <= 1.5 * (theirs - exact).abs().max()


def test_defaults_changed_by_others_do_not_matter() -> None:
    block = random_block(C, encoding=SinusoidalEncoding2d(C)).requires_grad_(False)
    x = torch.randn(1, C, 9, 11)
    expected, expected_map = block(x), block(x, return_attention=True)[1]
    rows = block.attention_rows(x, [3, 4])
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            found, found_map, found_rows = block(x), block(x, return_attention=True)[1], block.attention_rows(x, [3, 4])
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in ((found, expected), (found_map, expected_map), (found_rows, rows)):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
