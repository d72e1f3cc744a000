"""Numbers that describe an attention map: attention in, numbers out.

An attention map holds one row per query: (N, N) for all queries, or (Q, N) for some of them. Its rows sum to 1;
position i of the h × w grid is row ``i // w``, column ``i % w``. Everything takes torch tensors or NumPy arrays, sums
in float64, and works through the rows in blocks, so that no second N × N array appears beside a large map.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.floating] | torch.Tensor

_BLOCK_VALUES = 1 << 20  # values of a block of rows: 8 MB in float64
_ROW_SUM_TOLERANCE = 1e-2  # half precision over a thousand positions stays well inside


@dataclass(frozen=True)
class QueryMetrics:
    """What the page says of each query: (N,) float64 arrays, one value a query.

    ``uniform_distance`` is the yardstick of ``distance``: what uniform attention would score from the same position.
    The yardsticks of the others are constants: entropy 1, perplexity N, mass area the mass itself.
    """

    entropy: NDArray[np.float64]
    perplexity: NDArray[np.float64]
    distance: NDArray[np.float64]
    uniform_distance: NDArray[np.float64]
    mass_area: NDArray[np.float64]


def to_numpy(values: Array) -> NDArray[np.floating]:
    """The values as a NumPy array of floats; tensors come off their device, half precision becomes float32."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values if values.dtype == torch.float64 else values.float()).numpy()
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def query_metrics(
    attention: Array,
    grid: tuple[int, int],
    stride_px: float,
    *,
    queries: Sequence[int] | None = None,
    mass: float = 0.6,
) -> QueryMetrics:
    """Every per-query number of an (N, N) map over the (h, w) ``grid``, or of the rows of ``queries``, (Q, N).

    Distances are in input pixels.
    """
    attention = _check_rows(attention)
    normalised = entropy(attention)
    uniform = uniform_attention_distance(grid, stride_px)
    return QueryMetrics(
        entropy=normalised,
        perplexity=np.exp(normalised * math.log(attention.shape[1])),
        distance=mean_attention_distance(attention, grid, stride_px, queries),
        uniform_distance=uniform if queries is None else uniform[np.asarray(queries, dtype=np.int64)],
        mass_area=mass_area(attention, mass),
    )


def entropy(attention: Array) -> NDArray[np.float64]:
    """Entropy of each row over ln N: 0 looks at one position, 1 looks everywhere alike; (Q,).

    A grid of a single position has nothing to choose between: 0.
    """
    attention = _check_rows(attention)
    positions = attention.shape[1]
    if positions == 1:
        return np.zeros(len(attention))
    return np.concatenate([_entropy_nats(rows) for rows in _blocks(attention)]) / math.log(positions)


def perplexity(attention: Array) -> NDArray[np.float64]:
    """exp of each row's entropy, 1 … N, (Q,): the row attends to about this many positions."""
    return np.concatenate([np.exp(_entropy_nats(rows)) for rows in _blocks(_check_rows(attention))])


def positions_px(grid: tuple[int, int], stride_px: float) -> NDArray[np.float64]:
    """Centres (row, col) of the grid's positions in input pixels, row-major; (N, 2)."""
    height, width = grid
    if height < 1 or width < 1:
        raise ValueError(f"expected a grid of at least 1 × 1 positions, got {height} × {width}")
    rows, cols = np.indices((height, width), dtype=np.float64)
    return np.stack([rows.ravel() + 0.5, cols.ravel() + 0.5], axis=1) * stride_px


def mean_attention_distance(
    attention: Array, grid: tuple[int, int], stride_px: float, queries: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """How far each query looks on average, in input pixels, (Q,): Σ_j A_ij ‖p_i − p_j‖₂ between position centres.

    ``queries`` names the position each row belongs to; without it the rows are all N positions in order. Read it beside
    `uniform_attention_distance`: a query in the corner is farther from everything. After Dosovitskiy et al.,
    https://arxiv.org/abs/2010.11929, and Raghu et al., https://arxiv.org/abs/2108.08810.
    """
    attention = _check_rows(attention)
    centres = positions_px(grid, stride_px)
    if attention.shape[1] != len(centres):
        raise ValueError(
            f"expected {len(centres)} positions for a {grid[0]} × {grid[1]} grid, got {attention.shape[1]}"
        )
    where = np.arange(len(centres)) if queries is None else np.asarray(queries, dtype=np.int64)
    if len(where) != len(attention):
        raise ValueError(f"expected one query position a row, got {len(where)} for {len(attention)} rows")
    means, start = [], 0
    for rows in _blocks(attention):
        distances = _distances(centres[where[start : start + len(rows)]], centres)  # (block, N)
        means.append(np.einsum("ij,ij->i", rows, distances))
        start += len(rows)
    return np.concatenate(means)


def uniform_attention_distance(grid: tuple[int, int], stride_px: float) -> NDArray[np.float64]:
    """`mean_attention_distance` of a query that attends to every position alike, in input pixels; (N,)."""
    centres = positions_px(grid, stride_px)
    return np.concatenate([_distances(block, centres).mean(axis=1) for block in _split(centres, len(centres))])


def mass_area(attention: Array, mass: float = 0.6) -> NDArray[np.float64]:
    """Smallest share of the positions that holds ``mass`` of each row, above 0 … 1; (Q,).

    After the threshold view of DINO, https://arxiv.org/abs/2104.14294.
    """
    if not 0 < mass <= 1:
        raise ValueError(f"expected a mass in (0, 1], got {mass}")
    attention = _check_rows(attention)
    areas = []
    for rows in _split(attention, attention.shape[1]):
        held = np.cumsum(np.sort(rows, axis=1)[:, ::-1], axis=1, dtype=np.float64)
        # The slack is for sums such as 0.1 + … + 0.1 that fall short of their exact value by a rounding.
        needed = (held < (mass - 1e-9) * held[:, -1:]).sum(axis=1) + 1
        areas.append(needed / attention.shape[1])
    return np.concatenate(areas)


def times_uniform(attention: Array) -> NDArray[np.floating]:
    """The map in units of uniform attention, N · A: 1 is what every position would get if none mattered."""
    attention = to_numpy(attention)
    return attention * attention.dtype.type(attention.shape[-1])


def mean_overlap(rows: Array) -> float:
    """How much of their weight two maps share on average, 0 … 1: Σ_j min(A_ij, A_i'j), the mean over all pairs of rows.

    Exact without forming a pair: sorted, the r-th smallest of Q values of a column (r = 0 … Q − 1) is the lesser of
    Q − 1 − r pairs. `attention.js` has the same for the window's own logits.

    Histogram intersection, Swain & Ballard 1991: https://doi.org/10.1007/BF00130487.
    """
    rows = to_numpy(rows)
    count = len(rows)
    if count < 2:
        return 1.0
    pairs = np.arange(count - 1, -1, -1, dtype=np.float64)
    step = max(1, _BLOCK_VALUES // count)
    columns = (np.sort(rows[:, start : start + step], axis=0) for start in range(0, rows.shape[1], step))
    shared = sum(float((pairs @ block).sum()) for block in columns)
    return min(1.0, 2 * shared / (count * (count - 1)))


def query_specificity(attention: Array | Iterable[Array]) -> tuple[float, float]:
    """Whether it matters where one points: (Jensen–Shannon, mean cosine distance); both 0 if all queries share one map.

    The first is the generalised Jensen–Shannon divergence of the rows (Lin 1991) over ln N, 0 … 1: the entropy of the
    mean row minus the rows' mean entropy. The second is the mean of (1 − cos) / 2 over pairs of different rows,
    0 … 0.5 as attention is never negative. The question is GCNet's, https://arxiv.org/abs/1904.11492, section 3.2.

    A map too large to hold may come as an iterable of (q, N) blocks of rows.
    """
    blocks = [attention] if isinstance(attention, np.ndarray | torch.Tensor) else attention
    queries, entropies = 0, 0.0
    total: NDArray[np.float64] = np.zeros(0)
    directions: NDArray[np.float64] = np.zeros(0)
    for block in blocks:
        checked = _check_rows(block)
        if not queries:
            total, directions = np.zeros(checked.shape[1]), np.zeros(checked.shape[1])
        elif checked.shape[1] != len(total):
            raise ValueError(f"expected blocks of {len(total)} positions, got {checked.shape[1]}")
        for rows in _blocks(checked):
            queries += len(rows)
            entropies += float(_entropy_nats(rows).sum())
            total += rows.sum(axis=0)
            directions += (rows / np.linalg.norm(rows, axis=1, keepdims=True)).sum(axis=0)
    if not queries:
        raise ValueError("expected at least one row of attention, got none")
    if queries == 1 or len(total) == 1:
        return 0.0, 0.0
    divergence = float(_entropy_nats(total[None] / total.sum())[0]) - entropies / queries
    # ‖Σ u_i‖² = Q + Σ_{i≠j} u_i·u_j for unit rows u_i: the mean over all pairs without ever forming a pair.
    cosine = (float(directions @ directions) - queries) / (queries * (queries - 1))
    return max(0.0, divergence / math.log(len(total))), max(0.0, (1 - cosine) / 2)


def effective_rank(matrix: Array) -> float:
    """exp of the entropy of the normalised singular values, 1 … rank; nan ("undefined") for a zero matrix.

    Singular values come from the smaller Gram matrix, in float64: a tenth of the decomposition's time, and what it
    rounds away is 1e-8 of the largest. Roy & Vetterli 2007, https://doi.org/10.5281/zenodo.40264.
    """
    values = to_numpy(matrix)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"expected a matrix, got shape {tuple(values.shape)}")
    # torch's solver: with OpenBLAS the same call takes up to ten times as long beside other busy threads.
    rows = torch.from_numpy(values.astype(np.float64))
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().numpy()
    total = float(singular.sum())
    return float(np.exp(_entropy_nats(singular[None] / total)[0])) if total > 0 else math.nan


def _check_rows(attention: Array) -> NDArray[np.floating]:
    values = to_numpy(attention)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"expected attention rows (queries, positions), got shape {tuple(values.shape)}")
    sums = values.sum(axis=1, dtype=np.float64)
    worst = sums[np.argmax(np.abs(sums - 1))]  # argmax finds a nan first
    if not abs(worst - 1) <= _ROW_SUM_TOLERANCE:
        raise ValueError(f"expected rows that sum to 1, got one that sums to {worst:.6g}")
    return values


def _split(values: NDArray[np.floating], columns: int) -> Iterator[NDArray[np.floating]]:
    step = max(1, _BLOCK_VALUES // columns)
    return (values[start : start + step] for start in range(0, len(values), step))


def _blocks(attention: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    """Blocks of rows in float64, made to sum to 1 exactly: float32 softmax misses it by up to 1e-6."""
    for rows in _split(attention, attention.shape[1]):
        block = rows.astype(np.float64)
        block /= block.sum(axis=1, keepdims=True)
        yield block


def _entropy_nats(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    logs = np.log(rows, out=np.zeros_like(rows), where=rows > 0)  # 0 · ln 0 = 0
    return np.maximum(0.0, -np.einsum("ij,ij->i", rows, logs))


def _distances(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])
