"""One block of a weights file as one of our modules, that computes what its own code computes."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn.checkpoints.files import TensorFile, WeightsError, listed, open_tensors, shown
from attn.checkpoints.fits import places_in_words
from attn.checkpoints.layouts import SPATIAL, BlockFound, Tree, found_in, join, weight_names
from attn.mechanisms.cam import ChannelSelfAttention
from attn.mechanisms.cbam import ChannelGate
from attn.mechanisms.eca import EfficientChannelAttention
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock
from attn.mechanisms.squeeze_excite import SqueezeExcite
from attn.mechanisms.xca import CrossCovarianceAttention

Module = TypeVar("Module", bound=nn.Module)

# Above this, sums of a few thousand products no longer fit float32.
_OVERFLOW = 1e37
# What networks' features stay below by far, for modules that do not normalise them.
_LARGEST_FEATURE = 1e4
_LARGEST_GRID = 64 * 64


def read_block(
    file: str | Path, channels: int, block: str | None = None, *, only: str | None = None
) -> tuple[nn.Module, BlockFound]:
    """The module of one block in a file, frozen and in eval mode, and what was found; no other tensor is read.

    ``block`` is the name of one of `list_blocks` (or "unnamed"); without it, the only one that fits ``channels`` is
    taken. ``only`` leaves out other mechanisms. An AttnBlock has the temperature 1.

    Raises WeightsError where none fits (it says where it would), several do (it lists them), or it cannot be honoured.
    """
    with open_tensors(file) as tensors:
        found = _chosen(found_in(tensors, only), tensors.name, channels, block or None)
        if found.refusal:
            raise found.refusal
        module = _BUILDERS[found.layout](_Reader(tensors, found), channels)
        module.eval().requires_grad_(False)
        if not _largest_number(module) < _OVERFLOW:
            raise WeightsError("reasons.weights.overflow", name=tensors.name, block=shown(found.label))
        return module, found


def _chosen(blocks: list[BlockFound], file: str, channels: int, name: str | None) -> BlockFound:
    if name is not None:
        named = [block for block in blocks if name in (block.name, block.label)]
        if not named:
            raise WeightsError("reasons.weights.unknown", name=file, block=shown(name), blocks=_in_words(blocks))
        found = next((block for block in named if block.fits(channels)), named[0])
        if not found.fits(channels) and not found.refusal:
            raise WeightsError(
                "reasons.weights.width",
                name=file,
                block=shown(found.label),
                width=found.channels,
                channels=channels,
                places=places_in_words(found.channels or 0),
            )
        return found
    fitting = [block for block in blocks if block.fits(channels)]
    usable = [block for block in fitting if not block.refusal]
    if len(usable) > 1:
        raise WeightsError("reasons.weights.several", name=file, channels=channels, blocks=_in_words(usable))
    others = [block for block in blocks if not block.refusal]
    if fitting or not others:
        return (usable or fitting or blocks)[0]
    raise WeightsError("reasons.weights.misfit", name=file, channels=channels, blocks=_in_words(others, fits=True))


def _in_words(blocks: list[BlockFound], fits: bool = False) -> str:
    """Names and widths: "decoder.mid.attn_1 (512)", with where each width fits after the first of it."""
    words, told = [], set()
    for block in blocks:
        width = "" if block.channels is None else f" ({block.channels})"
        if fits and block.channels and block.channels not in told:
            told.add(block.channels)
            width = f" ({block.channels}: {places_in_words(block.channels)})"
        words.append(shown(block.label) + width)
    return listed(words)


class _Reader:
    """The tensors of one found block, as float32, checked for their shapes before they are read."""

    def __init__(self, tensors: TensorFile, found: BlockFound) -> None:
        self.tensors = tensors
        self.found = found
        self.tree = Tree(name for name in tensors.names if name.startswith(found.name))

    def matrix(self, layer: str, rows: int, columns: int) -> Tensor:
        """A layer's weight (rows, columns) from a Linear or a convolution of size 1, spectral norm divided out."""
        names = weight_names(self.tree.under(self.found.name, layer))
        weight = self._read(join(self.found.name, layer, names[0]), (rows, columns), trailing_ones=True)
        weight = weight.reshape(rows, columns)
        if len(names) == 3:
            u, v = (
                self._read(join(self.found.name, layer, name), (size,))
                for name, size in ((names[1], rows), (names[2], columns))
            )
            weight = (weight.double() / torch.dot(u.double(), weight.double() @ v.double())).float()
        return weight

    def vector(self, layer: str, size: int, kind: str = "bias") -> Tensor:
        """A layer's bias (size,), zeros where it has none."""
        if kind == "bias" and "bias" not in self.tree.under(self.found.name, layer):
            return torch.zeros(size)
        return self._read(join(self.found.name, layer, kind), (size,))

    def has_bias(self, layer: str) -> bool:
        """Whether a layer has a bias of its own."""
        return "bias" in self.tree.under(self.found.name, layer)

    def leaf(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A tensor of the block by its own name."""
        return self._read(join(self.found.name, name), shape)

    def number(self, name: str) -> Tensor:
        """A single number (1,), stored as (1,) or without a shape."""
        path = join(self.found.name, name)
        return self._read(path, () if self.tensors.shape(path) == () else (1,)).reshape(1)

    def _read(self, name: str, shape: tuple[int, ...], trailing_ones: bool = False) -> Tensor:
        actual = self.tensors.shape(name)
        extra = actual[len(shape) :]
        if actual[: len(shape)] != shape or (extra and not (trailing_ones and set(extra) == {1})):
            raise WeightsError(
                "reasons.weights.shape", name=self.tensors.name, tensor=shown(name), expected=shape, shape=actual
            )
        return self.tensors.tensor(name)


def _build_spatial(read: _Reader, channels: int) -> AttnBlock:
    found = read.found
    layers = SPATIAL[found.layout]
    encoding = SinusoidalEncoding2d(channels) if found.name.rpartition(".")[2] == "attn_position" else None
    with torch.device("meta"):
        block = AttnBlock(channels, groups=found.groups if layers.norm else 1, encoding=encoding)
    assert isinstance(block.norm, nn.GroupNorm)
    block.norm.eps = found.eps
    weights: dict[str, Tensor] = {}
    if layers.norm:
        weights["norm.weight"] = read.vector(layers.norm, channels, "weight")
        weights["norm.bias"] = read.vector(layers.norm, channels)
    if found.layout == "fused_qkv":
        matrix, bias = read.matrix("qkv", 3 * channels, channels), read.vector("qkv", 3 * channels)
        for layer, part, shift in zip("qkv", matrix.chunk(3), bias.chunk(3), strict=True):
            weights[f"{layer}.weight"], weights[f"{layer}.bias"] = part, shift
    else:
        for layer, theirs in zip("qkv", layers.projections, strict=True):
            rows = min(found.hidden, channels) if found.layout == "sagan" and layer != "v" else channels
            weights[f"{layer}.weight"] = read.matrix(theirs, rows, channels)
            weights[f"{layer}.bias"] = read.vector(theirs, rows)
    if layers.out:
        weights["proj_out.weight"] = read.matrix(layers.out, channels, channels)
        weights["proj_out.bias"] = read.vector(layers.out, channels)
    if found.layout == "sagan":
        block.norm = nn.Identity()  # type: ignore[assignment]
        pad = channels - found.hidden
        for layer in "qk":
            weights[f"{layer}.weight"] = F.pad(weights[f"{layer}.weight"], (0, 0, 0, pad))
            weights[f"{layer}.bias"] = F.pad(weights[f"{layer}.bias"], (0, pad))
        for leaf in ("weight", "bias"):  # the block divides by √C, this layout by nothing
            weights[f"q.{leaf}"] = weights[f"q.{leaf}"] * math.sqrt(channels)
        weights["proj_out.weight"] = torch.eye(channels) * read.number("gamma")
        weights["proj_out.bias"] = torch.zeros(channels)
    for layer in ("q", "k", "v", "proj_out"):
        weights[f"{layer}.weight"] = weights[f"{layer}.weight"].reshape(channels, channels, 1, 1).contiguous()
    return _filled(block, weights)


def _build_two_layers(read: _Reader, channels: int) -> nn.Module:
    found = read.found
    first, second = {"se_linear": ("fc.0", "fc.2"), "cbam": ("mlp.1", "mlp.3")}.get(found.layout, ("fc1", "fc2"))
    with torch.device("meta"):
        module: SqueezeExcite | ChannelGate
        if found.mechanism == "se":
            module = SqueezeExcite(channels, found.hidden / channels)
        else:
            module = ChannelGate(channels, found.hidden / channels)
            if read.has_bias(first):
                module.fc1 = nn.Conv2d(channels, found.hidden, 1)
                module.fc2 = nn.Conv2d(found.hidden, channels, 1)
    weights = {
        "fc1.weight": read.matrix(first, found.hidden, channels)[..., None, None],
        "fc2.weight": read.matrix(second, channels, found.hidden)[..., None, None],
    }
    if module.fc1.bias is not None:
        weights["fc1.bias"], weights["fc2.bias"] = read.vector(first, found.hidden), read.vector(second, channels)
    return _filled(module, weights)


def _build_eca(read: _Reader, channels: int) -> nn.Module:
    kernel = read.found.hidden
    with torch.device("meta"):
        module = EfficientChannelAttention(channels)
        module.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
    return _filled(module, {"conv.weight": read.leaf("conv.weight", (1, 1, kernel))})


def _build_cam(read: _Reader, channels: int) -> nn.Module:
    with torch.device("meta"):
        module = ChannelSelfAttention(channels)
    return _filled(module, {"gamma": read.number("gamma")})


def _build_xca(read: _Reader, channels: int) -> nn.Module:
    heads = read.found.heads or 1
    with torch.device("meta"):
        module = CrossCovarianceAttention(channels, heads, residual=True, qkv_bias=read.has_bias("qkv"))
    weights = {
        "temperature": read.leaf("temperature", (heads, 1, 1)),
        "qkv.weight": read.matrix("qkv", 3 * channels, channels),
        "proj.weight": read.matrix("proj", channels, channels),
        "proj.bias": read.vector("proj", channels),
    }
    if read.has_bias("qkv"):
        weights["qkv.bias"] = read.vector("qkv", 3 * channels)
    return _filled(module, weights)


def _filled(module: Module, weights: dict[str, Tensor]) -> Module:
    module.load_state_dict(weights, assign=True)
    return module


_BUILDERS: dict[str, Callable[[_Reader, int], nn.Module]] = {
    **dict.fromkeys(SPATIAL, _build_spatial),
    **dict.fromkeys(("se", "se_linear", "cbam", "cbam_convolution"), _build_two_layers),
    "eca": _build_eca,
    "cam": _build_cam,
    "xca": _build_xca,
}


def _reach(layer: nn.Module, x: float) -> float:
    """The largest number that a linear layer makes of numbers up to x, and of its weights."""
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    weight = layer.weight.double().flatten(1)
    return float(weight.abs().sum(1).max()) * x + (0.0 if layer.bias is None else _largest(layer.bias))


def _largest_number(module: nn.Module) -> float:
    """A bound on every number within a module for features below 1e4; of an AttnBlock's norm for any features."""
    x = _LARGEST_FEATURE
    if isinstance(module, AttnBlock):
        if isinstance(module.norm, nn.GroupNorm):
            # No normalised value of n is above √n.
            n = module.channels // module.norm.num_groups * _LARGEST_GRID
            x = max(1.0, math.sqrt(n) * _largest(module.norm.weight) + _largest(module.norm.bias) + 1)
        q, k, v = (_reach(layer, x) for layer in (module.q, module.k, module.v))
        # Two layers in a row may be multiplied with each other first.
        asked = module.channels * q * max(k, _largest(module.k.weight) * x)
        return max(asked, _reach(module.proj_out, max(v, 1.0)), module.channels * v)
    if isinstance(module, SqueezeExcite | ChannelGate):
        return 2 * _reach(module.fc2, max(1.0, _reach(module.fc1, x)))
    if isinstance(module, EfficientChannelAttention):
        return _reach(module.conv, x)
    if isinstance(module, CrossCovarianceAttention):
        qkv = _reach(module.qkv, x)
        # Lengths over all positions are squared.
        return max(qkv**2 * _LARGEST_GRID, _largest(module.temperature), _reach(module.proj, qkv))
    assert isinstance(module, ChannelSelfAttention)
    return _largest(module.gamma) * x


def _largest(tensor: Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0
