"""Queries and keys in few bytes, as exact as is asked for: what a file holds in place of the page's arrays.

Each row of queries and keys is rounded as coarsely as its own attention bears: a flat map bears far more than one with
a peak. Rotated to their common singular vectors and laid out column by column, most of what is left are small numbers,
which compress.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

LARGEST_STEP = 32767
BLOCK_VALUES = 1 << 22  # values of a block of attention rows: 32 MB


def compact_logits(
    queries: Array, keys: Array, largest_error: float | None = None
) -> tuple[dict[str, NDArray[Any]], float]:
    """Arrays for `logitsFrom` of ``ui/web/logits.js``, and the largest error of a map in × uniform that they cause.

    Args:
        queries, keys: (N, C), logits = queries @ keys.T.
        largest_error: in × uniform at temperature 1, what no value of any map may exceed, as far as 16 bits allow;
            None allows N / 5000, which is 1/5000 of a query's attention.

    Returns:
        ``query_planes``, ``key_planes``: (2, R, N) uint8, the low and the high bytes of int16 steps, column by column;
        ``query_scale``, ``key_scale``: (N,) float32, the size of a row's step. The error is measured over all N × N.
    """
    positions = len(queries)
    largest_error = positions / 5000 if largest_error is None else largest_error
    left, right = _balanced(queries.astype(np.float64), keys.astype(np.float64))
    query_step, key_step = _bearable(left, right)
    share = largest_error
    for _ in range(8):
        arrays = {**_rounded("query", left, share * query_step), **_rounded("key", right, share * key_step)}
        error = _map_error(left, right, arrays)
        if error <= largest_error:
            break
        share *= 0.9 * largest_error / error
    return arrays, error


def decode_compact(arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Queries and keys (N, R) as the browser makes them of `compact_logits`'s arrays."""
    both = []
    for name in ("query", "key"):
        low, high = arrays[f"{name}_planes"].astype(np.uint16)
        steps = (low | high << 8).astype(np.uint16).view(np.int16).T  # (N, R)
        both.append(steps * arrays[f"{name}_scale"][:, None])
    return both[0], both[1]


def _balanced(queries: NDArray[np.float64], keys: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Factors of the same logits, less a constant a row, whose columns fall off as fast as any can."""
    keys = keys - keys.mean(axis=0)
    (q_left, q_right), (k_left, k_right) = np.linalg.qr(queries), np.linalg.qr(keys)
    u, singular, v = np.linalg.svd(q_right @ k_right.T)
    return (q_left @ u) * np.sqrt(singular), (k_left @ v.T) * np.sqrt(singular)


def _bearable(left: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """For each row of both, the step at which rounding moves its map by about 1 × uniform."""
    positions = len(left)
    left_length, right_length = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)
    query, key = np.zeros(positions), np.zeros(positions)
    for rows in _blocks(positions):
        attention = _softmax(left[rows] @ right.T)
        slope = attention * (1 - attention) * positions  # of a weight in × uniform, over its logit
        query[rows] = (slope * right_length).max(axis=1)
        key = np.maximum(key, (slope * left_length[rows, None]).max(axis=0))
    tiny = np.finfo(np.float64).tiny
    return 1 / np.maximum(query, tiny), 1 / np.maximum(key, tiny)


def _rounded(name: str, values: NDArray[np.float64], step: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    largest = np.abs(values).max(axis=1)
    # A step beyond the row's largest value would round it all to nothing; one too small would not fit 16 bits.
    scale = np.maximum(np.minimum(step, np.maximum(largest, 1e-30)), largest / LARGEST_STEP).astype(np.float32)
    scale = np.where(scale > 0, scale, np.float32(1))
    steps = np.rint(values / scale[:, None]).clip(-LARGEST_STEP, LARGEST_STEP).astype(np.int16)
    columns = np.ascontiguousarray(steps.T).view(np.uint16)
    planes = np.stack([columns & 255, columns >> 8]).astype(np.uint8)
    return {f"{name}_planes": planes, f"{name}_scale": scale}


def _map_error(left: NDArray[np.float64], right: NDArray[np.float64], arrays: Mapping[str, NDArray[Any]]) -> float:
    queries, keys = decode_compact(arrays)
    return max(
        float(np.abs(_softmax(queries[rows] @ keys.T) - _softmax(left[rows] @ right.T)).max()) * len(left)
        for rows in _blocks(len(left))
    )


def _blocks(positions: int) -> list[slice]:
    step = max(1, BLOCK_VALUES // positions)
    return [slice(start, start + step) for start in range(0, positions, step)]


def _softmax(logits: Array) -> Array:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
