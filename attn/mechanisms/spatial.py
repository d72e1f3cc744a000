"""Self-attention over the positions of a feature map, and its map.

The block of VQGAN ("Taming Transformers for High-Resolution Image Synthesis", Esser et al., 2020:
https://arxiv.org/abs/2012.09841) and of latent diffusion: every position asks (query) every position (key) what
it holds (value). Its softmax runs over positions, h·w × h·w: this is spatial attention, not channel attention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn.mechanisms.base import Kind, Mechanism

# Query elements asked at a time without a map: enough for the kernel's speed, little (½ MB) beside a large feature map.
ELEMENTS_AT_ONCE = 2**17


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

        Without the map nothing of size N × N is ever held. ValueError if x is not (b, C, h, w) with the block's C
        and at least one position.
        """
        _, _, height, width = self._check(x)
        if not return_attention and height * width > self.channels:
            return self._composed(x)
        h, seen = self._normalised(x)
        v = _affine(h, *_matrix(self.v))
        q, k = self._queries_keys(seen)
        if return_attention:
            attn = attention_from(q, k)  # (b, query, key)
            return self._added(x, attn @ v), attn
        return self._added(x, _fused(q, k, v))

    @property
    def scale(self) -> float:
        """What a query's product with a key is multiplied by: C^(-1/2) / temperature."""
        return self.channels**-0.5 / self.temperature

    def queries_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys, (b, N, C) each; logits = q @ kᵀ, every scale being already in q."""
        _, seen = self._normalised(x)
        return self._queries_keys(seen)

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

    def trace(self, x: Tensor) -> list[TraceStep]:
        """Shape of every step for this input, in the order of the computation; nothing is computed."""
        b, c, h, w = self._check(x)
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

    def _added(self, x: Tensor, out: Tensor) -> Tensor:
        """x + proj_out of the weighted values (b, N, C)."""
        weight, bias = _matrix(self.proj_out)
        added = torch.baddbmm(bias[:, None], weight.expand(len(out), -1, -1), out.transpose(1, 2))  # (b, C, N)
        return x + added.view_as(x)

    def _composed(self, x: Tensor) -> Tensor:
        """The output, where positions outnumber channels: two matrices in a row then cost less as one.

        As rows sum to 1, the mean of W_v h + b_v is W_v (mean of h) + b_v, and proj_out follows. And
        (W_q hᵢ + b_q)·(W_k hⱼ + b_k) is W_kᵀ(W_q hᵢ + b_q)·hⱼ plus what depends on i alone, which no softmax sees.
        So the normalised features serve as keys and values, and beside them and the output only some queries at a
        time take memory.
        """
        h, seen = self._normalised(x)
        h, seen = (h.contiguous(), seen.contiguous()) if self.encoding else (h.contiguous(),) * 2
        y = torch.empty_like(x.flatten(2))  # (b, C, N)
        (w_q, b_q), (w_k, b_k) = _matrix(self.q), _matrix(self.k)
        (w_v, b_v), (w_out, b_out) = _matrix(self.v), _matrix(self.proj_out)
        ask = w_k.T @ (w_q * self.scale), w_k.T @ (b_q * self.scale) + 0 * b_k
        give = w_out @ w_v, w_out @ b_v + b_out
        step = max(1, ELEMENTS_AT_ONCE // self.channels)
        for first in range(0, h.shape[1], step):
            some = slice(first, first + step)
            out = _affine(_fused(_affine(seen[:, some], *ask), seen, h), *give)
            y[:, :, some] = out.transpose(1, 2)
        y += x.flatten(2)
        return y.view_as(x)

    def _normalised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What v sees, and what q and k see, (b, N, C) each."""
        _, _, height, width = self._check(x)
        h = self.norm(x)
        seen = h if self.encoding is None else h + self.encoding(height, width).to(h)
        return _to_tokens(h), _to_tokens(seen)

    def _queries_keys(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        return _affine(seen, *_matrix(self.q), scale=self.scale), _affine(seen, *_matrix(self.k))

    def _check(self, x: Tensor) -> tuple[int, int, int, int]:
        shape = tuple(x.shape)
        if len(shape) != 4 or shape[1] != self.channels:
            raise ValueError(f"expected (b, {self.channels}, h, w), got {shape}")
        b, c, h, w = shape
        if h * w == 0:
            raise ValueError(f"expected a grid of at least 1 × 1 positions, got {shape}")
        return b, c, h, w


RECORD = Mechanism.of("spatial", AttnBlock)


def attention_from(queries: Tensor, keys: Tensor) -> Tensor:
    """Attention of queries (…, Q, C) over keys (…, N, C): softmax of their products, (…, Q, N), rows sum to 1."""
    return (queries @ keys.transpose(-2, -1)).softmax(dim=-1)


def _norm_note(norm: nn.Module) -> str:
    if isinstance(norm, nn.GroupNorm):
        return f"GroupNorm over {norm.num_groups} groups of channels"
    return "no normalisation in this layout"


def _matrix(layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """A 1×1 convolution's weight as a (C, C) matrix, and its bias."""
    assert layer.bias is not None
    return layer.weight.flatten(1), layer.bias


def _fused(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """attention_from(queries, keys) @ values, without the map; all (b, …, C), as rows: the kernel takes no other."""
    return F.scaled_dot_product_attention(queries[:, None], keys[:, None], values[:, None], scale=1.0)[:, 0]


def _affine(tokens: Tensor, weight: Tensor, bias: Tensor, scale: float = 1.0) -> Tensor:
    """(tokens · weightᵀ + bias) · scale, (b, N, C).

    One pass that takes tokens which are a transposed view as they are and writes rows: the fused attention kernel
    takes no other layout.
    """
    return torch.baddbmm(bias, tokens, weight.T.expand(len(tokens), -1, -1), beta=scale, alpha=scale)


def _to_tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)  # (b, C, h, w) → (b, N, C), a view
