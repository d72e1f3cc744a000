"""Two photographs: ask one, look in the other.

The queries of the first photograph meet the keys of the second, as they would meet their own: attention from a place in
one picture to every place of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attn.images import ImageSource
from attn.inspector import Encoding, Inspector

OVER = ("second", "both")


@dataclass(frozen=True)
class Match:
    """A position of the second photograph that a query of the first attends to.

    position: row · w + column of its grid; row, column: the same as two numbers; weight: its share of the attention.
    """

    position: int
    row: int
    column: int
    weight: float


def encode_pair(
    first: ImageSource, second: ImageSource, *, position: bool = False, longest_side: int = 320, **settings: Any
) -> tuple[Encoding, Encoding]:
    """Both photographs, encoded by one `Inspector` with these ``settings``.

    The block *without* position encoding is the default here: with it, queries also ask for places near their own, and
    the place of a thing in one photograph says nothing about its place in another. Raises as `Inspector` and
    `Inspector.encode` do.
    """
    inspector = Inspector(position=position, **settings)
    return inspector.encode(first, longest_side), inspector.encode(second, longest_side)


def cross_attention_rows(
    first: Encoding, second: Encoding, queries: Sequence[int], over: str = "second"
) -> NDArray[np.float32]:
    """Attention of some queries of the first photograph over the keys of the second; rows sum to 1.

    ``queries`` are positions of the first, row · w + column. ``over="second"``: (Q, N₂), the softmax runs over the
    second photograph's positions alone, so something is always found. ``over="both"``: (Q, N₁ + N₂), the first's own
    positions compete and stand first: what the second gets says how much of the answer lies there.

    Both must come from one inspector, best without position encoding: see `encode_pair`. Raises ValueError for
    encodings of different widths, queries outside the first grid, and another ``over``.
    """
    if over not in OVER:
        raise ValueError(f"expected over to be one of {', '.join(OVER)}, got {over!r}")
    if first.queries.shape[1] != second.keys.shape[1]:
        raise ValueError(f"expected keys of {first.queries.shape[1]} channels, got {second.keys.shape[1]}")
    index = np.asarray(queries, dtype=np.int64)
    if index.ndim != 1 or ((index < 0) | (index >= len(first.queries))).any():
        raise ValueError(f"expected a flat list of queries in 0 … {len(first.queries) - 1}, got {list(queries)}")
    keys = torch.from_numpy(second.keys)
    if over == "both":
        keys = torch.cat([torch.from_numpy(first.keys), keys])
    return (torch.from_numpy(first.queries[index]) @ keys.T).softmax(dim=-1).numpy()


def best_matches(first: Encoding, second: Encoding, query: int, count: int = 5) -> list[Match]:
    """The ``count`` positions of the second photograph that a query of the first attends to most, the best first.

    Arguments and errors as for `cross_attention_rows`, over the second's positions alone.
    """
    (row,) = cross_attention_rows(first, second, [query])
    width = second.grid[1]
    best = np.argsort(-row, kind="stable")[:count]
    return [Match(int(at), int(at) // width, int(at) % width, float(row[at])) for at in best]
