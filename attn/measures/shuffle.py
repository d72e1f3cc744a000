"""Does a mechanism know where things are? Shuffle the positions and see.

Attention compares contents. Nothing in it says where a position lies, unless an encoding is added: so a feature map
whose positions are shuffled must give the same output, shuffled in the same way, and channel gates and channel maps,
which are made of sums over positions, must not change at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attn.mechanisms.spatial import AttnBlock, attention_from

# Single precision loses about 1e-6 here; an encoding worth having changes maps by more than 0.1.
SAME = 1e-3
ROWS_COMPARED = 64


@dataclass(frozen=True, eq=False)
class ShuffleResult:
    """One mechanism before and after its positions were shuffled.

    permutation: (N,) int64; position i of the shuffled map holds what stood at ``permutation[i]``.
    output_error: ‖y' − y‖ / ‖y‖, y' being the output for the shuffled input with its positions put back.
    change_error: the same for Δ = y − x, which no residual connection can hide; nan where nothing is added.
    weights_error: the same for what the mechanism weighs with: rows of the attention map with both their positions
        and their query put back, or the gates, or the channel map, which need no putting back.
    queries: (Q,) positions whose attention rows were compared; empty for channel mechanisms.
    before, after, restored: those rows, (Q, N): on the map as it is; on the shuffled map, where the query moved along
        with its content; and the latter put back. For a channel mechanism its gates (C,) or map (C, C), after being
        also restored.
    """

    kind: str
    permutation: NDArray[np.int64]
    output_error: float
    change_error: float
    weights_error: float
    queries: NDArray[np.int64]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    restored: NDArray[np.float32]

    @property
    def same(self) -> bool:
        """True if shuffling changed nothing but the order: the mechanism is blind to position."""
        errors = (self.output_error, self.change_error, self.weights_error)
        return all(error < SAME for error in errors if not math.isnan(error))


def shuffle_test(
    features: Tensor | NDArray[Any], module: nn.Module, seed: int = 0, *, queries: Sequence[int] | None = None
) -> ShuffleResult:
    """Run ``module`` on the features and on the same features with their positions shuffled, and compare.

    Args:
        features: (C, h, w) or (1, C, h, w).
        module: an `AttnBlock` or one of `attn.mechanisms`'s mechanisms; used as it is, nothing about it changes.
        seed: of the permutation, see `permutation`.
        queries: positions whose attention rows are compared; None takes up to 64, evenly spaced.

    Raises:
        ValueError: features of another shape, or more than one of them.
    """
    x = torch.as_tensor(features)
    x = x[None] if x.ndim == 3 else x
    if x.ndim != 4 or len(x) != 1:
        raise ValueError(f"expected features (C, h, w) or (1, C, h, w), got {tuple(torch.as_tensor(features).shape)}")
    positions = x.shape[2] * x.shape[3]
    x = x.to(next(module.parameters(), x).device)
    order = permutation(positions, seed)
    back = np.argsort(order)
    shuffled = shuffle_positions(x, order)
    with torch.inference_mode():
        if isinstance(module, AttnBlock):
            compared = np.asarray(queries if queries is not None else evenly_spaced(positions, ROWS_COMPARED))
            y, y_shuffled = module(x), module(shuffled)
            before = module.attention_rows(x, compared.tolist())[0]
            after = module.attention_rows(shuffled, back[compared].tolist())[0]
            restored = after[:, back]
        else:
            compared = np.empty(0, dtype=np.int64)
            (y, before), (y_shuffled, after) = (module(each, return_attention=True) for each in (x, shuffled))
            nothing = torch.empty(0)  # somebody's module whose weights cannot be seen
            before, after = (nothing if weights is None else weights[0] for weights in (before, after))
            restored = _put_back(after, str(module.kind), back)
        y_restored = shuffle_positions(y_shuffled, back)
    return ShuffleResult(
        kind=str(module.kind),
        permutation=order,
        output_error=relative_error(y_restored, y),
        change_error=relative_error(y_restored - x, y - x),
        weights_error=relative_error(restored, before),
        queries=compared,
        before=before.cpu().numpy(),
        after=after.cpu().numpy(),
        restored=restored.cpu().numpy(),
    )


def _put_back(weights: Tensor, kind: str, back: NDArray[np.int64]) -> Tensor:
    """Weights of shuffled features as they would lie had their positions not been shuffled."""
    if not weights.numel():
        return weights
    if kind == "spatial":
        return weights[back][:, back]
    if kind == "spatial_gate":
        return weights.flatten()[torch.from_numpy(back)].view_as(weights)
    return weights


def permutation(length: int, seed: int) -> NDArray[np.int64]:
    """A permutation of 0 … length − 1 that depends on the seed alone; never the identity where there is another."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(length)
    while length > 1 and (order == np.arange(length)).all():
        order = generator.permutation(length)
    return order


def shuffle_positions(x: Tensor, order: NDArray[np.int64]) -> Tensor:
    """(b, C, h, w) with position i, row by row, holding what stood at ``order[i]``."""
    return x.flatten(2)[:, :, torch.from_numpy(order).to(x.device)].view_as(x)


def with_encoding(block: AttnBlock, encoding: nn.Module | None) -> AttnBlock:
    """The same block, sharing its parameters, with this encoding (None: without any)."""
    twin = copy(block)
    twin._modules = dict(block._modules)
    twin.encoding = encoding
    return twin


def evenly_spaced(length: int, count: int) -> NDArray[np.int64]:
    """At most ``count`` of 0 … length − 1, in order, first and last among them."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(np.int64))


def relative_error(value: Tensor, reference: Tensor) -> float:
    """‖value − reference‖ / ‖reference‖ over all entries, summed in float64; nan if the reference is 0."""
    original = reference.cpu().numpy().astype(np.float64)
    norm = np.linalg.norm(original)
    return float(np.linalg.norm(value.cpu().numpy() - original) / norm) if norm > 0 else math.nan


@dataclass(frozen=True, eq=False)
class EncodedQueries:
    """Queries and keys as straight lines in the encoding's strength s: q(s) = queries + s · query_steps, keys alike.

    They are straight because q and k are 1×1 convolutions of features + s · encoding. (N, C) each; at s = 0 there is no
    encoding, at s = 1 it has its own amplitude. Logits = q(s) k(s)ᵀ, every scale being in q.
    """

    queries: NDArray[np.float32]
    query_steps: NDArray[np.float32]
    keys: NDArray[np.float32]
    key_steps: NDArray[np.float32]

    def rows(self, strength: float, queries: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Attention of these positions at this strength, (len(queries), N), rows sum to 1."""
        index = np.asarray(queries)
        q = torch.from_numpy(self.queries[index] + np.float32(strength) * self.query_steps[index])
        k = torch.from_numpy(self.keys + np.float32(strength) * self.key_steps)
        return attention_from(q, k).numpy()


def encoded_queries(features: Tensor | NDArray[Any], block: AttnBlock, encoding: nn.Module) -> EncodedQueries:
    """What this block's queries and keys are without the encoding, and what each unit of it adds; (C, h, w) in."""
    x = torch.as_tensor(features)[None].to(block.q.weight.device)
    with torch.inference_mode():
        q, k = (part[0] for part in with_encoding(block, None).queries_keys(x))
        q_encoded, k_encoded = (part[0] for part in with_encoding(block, encoding).queries_keys(x))
    parts = (q, q_encoded - q, k, k_encoded - k)
    return EncodedQueries(*(part.cpu().numpy() for part in parts))
