"""Self-attention over the positions of a feature map, and its map.

The block of VQGAN ("Taming Transformers for High-Resolution Image Synthesis", Esser et al., 2020:
https://arxiv.org/abs/2012.09841) and of latent diffusion: every position asks (query) every position (key) what
it holds (value). Its softmax runs over positions, h·w × h·w: this is spatial attention, not channel attention.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from attn.mechanisms import fused
from attn.mechanisms.base import Kind, Mechanism

if TYPE_CHECKING:
    from attn.mechanisms.transposed import TransposedAttnBlock


@dataclass(frozen=True)
class TraceStep:
    """One step of the block: what the tensor is called, its shape, and what it means."""

    name: str
    shape: tuple[int, ...]
    note: str


class AttnBlock(nn.Module):
    """The feature map plus what each of its positions gathered from all others.

    GroupNorm → 1×1 convolutions q, k, v → softmax(q kᵀ · C^(-1/2) / temperature) over the keys → weighted
    values → 1×1 proj_out → added to the input: https://arxiv.org/abs/2012.09841. Parameters are named `norm`, `q`,
    `k`, `v`, `proj_out`, with convolutions of shape (C, C, 1, 1), so checkpoints of VQGAN and latent diffusion
    load as they are.

    Departures from the paper's code: a temperature (1.0 = as published) and an optional position encoding, a
    module called with (height, width) that gives (1, C, height, width); it is added to what q and k see, after
    the normalisation, and never to the values.

    Positions are numbered row by row: position = row · w + column.

    Raises ValueError for channels not divisible by `groups` and a temperature that is not positive.
    """

    kind: ClassVar[Kind] = "spatial"
    paper: ClassVar[str] = "https://arxiv.org/abs/2012.09841"
    title: ClassVar[str] = "Self-attention over positions"

    def __init__(
        self, channels: int, *, groups: int = 32, encoding: nn.Module | None = None, temperature: float = 1.0
    ) -> None:
        super().__init__()
        if channels < 1 or groups < 1 or channels % groups:
            raise ValueError(f"expected channels to be a multiple of groups = {groups}, got {channels}")
        if not temperature > 0:
            raise ValueError(f"expected a temperature above 0, got {temperature}")
        self.channels = channels
        self.temperature = temperature
        self.encoding = encoding
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Output (b, C, h, w); with `return_attention` also the map (b, query, key), whose rows sum to 1.

        Where only the output is asked for, of plain layers and without gradients, a faster way gives it and holds
        nothing of size N × N (`attn.mechanisms.fused`). ValueError if x is not (b, C, h, w) with the block's C and at
        least one position.
        """
        _check(x, self.channels)
        if not return_attention and fused.takes(self, x):
            return fused.output(self, x)
        h, seen = self._normalised(x)
        q = _tokens(self.q(seen))  # (b, N, C): what each position asks for
        k = _tokens(self.k(seen))  # (b, N, C): what each position offers to be found by
        v = _tokens(self.v(h))  # (b, N, C): what each position gives
        attn = attention_from(q * self.scale, k)  # (b, query, key)
        out = (attn @ v).transpose(1, 2).reshape(x.shape)  # (b, C, h, w)
        y = x + self.proj_out(out)
        return (y, attn) if return_attention else y

    @property
    def scale(self) -> float:
        """What a query's product with a key is multiplied by: C^(-1/2) / temperature."""
        return self.channels**-0.5 / self.temperature

    def queries_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys, (b, N, C) each; logits = q @ kᵀ, every scale being already in q."""
        _check(x, self.channels)
        _, seen = self._normalised(x)
        return _tokens(self.q(seen)) * self.scale, _tokens(self.k(seen))

    def _normalised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What v sees, and what q and k see: the same features, unless an encoding tells them where they are."""
        h = self.norm(x)  # (b, C, h, w)
        if self.encoding is None:
            return h, h
        return h, h + self.encoding(x.shape[2], x.shape[3]).to(h)

    def attention_rows(self, x: Tensor, queries: Sequence[int] | Tensor) -> Tensor:
        """Attention of some positions only, (b, len(queries), N), rows summing to 1, without the N × N map.

        `queries` are positions, row · w + column. ValueError if one lies outside 0 … N - 1.
        """
        q, k = self.queries_keys(x)
        index = torch.as_tensor(queries, device=x.device).long()
        if index.ndim != 1:
            raise ValueError(f"expected a flat list of queries, got shape {tuple(index.shape)}")
        outside = index[(index < 0) | (index >= k.shape[1])].tolist()
        if outside:
            raise ValueError(f"expected queries in 0 … {k.shape[1] - 1}, got {outside}")
        return attention_from(q[:, index], k)  # (b, Q, N)

    def transposed(self) -> "TransposedAttnBlock":
        """The block with its product taken over channels, (C, C): the same layers, not copies."""
        from attn.mechanisms.transposed import TransposedAttnBlock

        return TransposedAttnBlock.of_block(self)

    def trace(self, x: Tensor) -> list[TraceStep]:
        """Shape of every step for this input, in the order of the computation; nothing is computed."""
        _check(x, self.channels)
        b, c, h, w = x.shape
        n = h * w
        return [
            TraceStep("input", (b, c, h, w), "the feature map: batch, channels, rows, columns"),
            TraceStep("norm", (b, c, h, w), _norm_note(self.norm)),
            TraceStep("q", (b, c, h, w), "1×1 convolution: what each position asks for"),
            TraceStep("q flattened", (b, n, c), f"{h} × {w} = {n} positions, one query a row"),
            TraceStep("k", (b, c, h, w), "1×1 convolution: what each position offers to be found by"),
            TraceStep("k flattened", (b, c, n), "one key a column"),
            TraceStep("logits", (b, n, n), "every query times every key, scaled by C^(-1/2) / temperature"),
            TraceStep("attention", (b, n, n), "softmax over the keys: positions × positions, rows sum to 1"),
            TraceStep("v", (b, c, h, w), "1×1 convolution: what each position gives"),
            TraceStep("weighted values", (b, c, h, w), "for each query the attention-weighted mean of the values"),
            TraceStep("proj_out", (b, c, h, w), "1×1 convolution that mixes the channels once more"),
            TraceStep("output", (b, c, h, w), "added to the input"),
        ]

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: four 1×1 convolutions and two products with the N × N map."""
        n = height * width
        return 4 * n * self.channels**2 + 2 * n**2 * self.channels


def _build(channels: int) -> AttnBlock:
    return AttnBlock(channels, groups=math.gcd(32, channels))


RECORD = Mechanism.of("spatial", AttnBlock, _build)


def attention_from(queries: Tensor, keys: Tensor) -> Tensor:
    """Attention of queries (…, Q, C) over keys (…, N, C): softmax of their products, (…, Q, N), rows sum to 1."""
    return (queries @ keys.transpose(-2, -1)).softmax(dim=-1)


def _norm_note(norm: nn.Module) -> str:
    if isinstance(norm, nn.GroupNorm):
        return f"GroupNorm over {norm.num_groups} groups of channels"
    return "no normalisation in this layout"


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)  # (b, C, h, w) → (b, N, C), a view


def _check(x: Tensor, channels: int) -> None:
    shape = tuple(x.shape)
    if torch.jit.is_tracing():
        return  # where a size is a tensor, and no branch can depend on it
    if len(shape) != 4 or shape[1] != channels:
        raise ValueError(f"expected (b, {channels}, h, w), got {shape}")
    if 0 in shape[2:]:
        raise ValueError(f"expected a grid of at least 1 × 1 positions, got {shape}")
