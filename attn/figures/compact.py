"""Queries and keys in few bytes, as exact as is asked for: what the page fetches and what a file holds.

Each row of queries and keys is rounded as coarsely as its own attention bears, and each direction as coarsely as little
of it reaches any logit. What is left are small numbers, column by column, which compress.
"""

import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attn.figures.packing import pack_arrays

Array = NDArray[np.floating[Any]]

LARGEST_ERROR = 1 / 1000  # of a map's largest value, at temperature 1: a quarter of one of 256 colours
HIGHEST = 4.0  # temperature on the page
LARGEST_STEP = (1 << 23) - 1  # three bytes with the sign; float32 is no finer
ROUNDS = 8
BLOCK_VALUES = 1 << 20  # values of a block of attention rows: 4 MB
LEAST_DIRECTION = 1e-12  # of the largest: what is below is the rounding of float64
LEAST_STRETCH = 1e-5
TINY = np.finfo(np.float32).tiny


def compact_logits(
    queries: Array, keys: Array, largest_error: float = LARGEST_ERROR
) -> tuple[dict[str, NDArray[Any]], float]:
    """Arrays from which the browser computes the logits queries @ keys.T, and the largest error that they cause.

    Args:
        queries, keys: (N, C), the logits' scale included.
        largest_error: what no value of any map may be off by at temperature 1, as a share of that map's largest.

    Returns:
        ``query_planes``, ``key_planes``: (3, R, N) uint8, the bytes of 24-bit steps, the lowest first, column by
        column; 0 −1 1 −2 … are written as 0 1 2 3 …; ``query_scale``, ``key_scale``: (N,) float32, the size of a row's
        step; ``column_scale``: (R,) float32, the factor of a column's products. And the largest error of a map's value
        in × uniform, measured over all N × N.
    """
    left, right = _balanced(queries.astype(np.float64), keys.astype(np.float64))
    # A column's rounding reaches a logit as far as the other side's column is long. Stretched by the root of that
    # length, all columns bear the same step (reverse water-filling).
    energy = np.square(left).sum(axis=0)  # the same on both sides: the singular value
    stretch = np.maximum(np.sqrt(energy / max(energy.max(), TINY)), LEAST_STRETCH)
    attention = np.empty((len(left), len(left)), np.float32)
    for rows in _blocks(len(left)):
        attention[rows] = _attention(left, right, rows)
    # A map that is all peak bears nearly anything, but not once a higher temperature has made it flat.
    cold = _bearable(attention.__getitem__, left / stretch, right / stretch)
    warm = _bearable(partial(_attention, left / HIGHEST, right), left / stretch / HIGHEST, right / stretch / HIGHEST)
    query_step, key_step = (largest_error * np.minimum(*each) for each in zip(cold, warm, strict=True))
    for _ in range(ROUNDS):
        arrays = _rounded((left * stretch, query_step), (right * stretch, key_step), stretch)
        error, query_off, key_off = _errors(attention, arrays)
        if query_off.max() <= largest_error:
            break
        # Only what is off too far is rounded more finely.
        query_step *= np.minimum(1, 0.8 * largest_error / np.maximum(query_off, TINY))
        key_step *= np.minimum(1, 0.8 * largest_error / np.maximum(key_off, TINY))
    return arrays, error


def pack_compact(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """`compact_logits`'s arrays as `pack_arrays` has them: their numbers repeat, sequences of them hardly do."""
    return pack_arrays(arrays, level=6, strategy=zlib.Z_RLE)


def decode_compact(arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Queries and keys (N, R) as the browser makes them of `compact_logits`'s arrays."""
    both = []
    for name in ("query", "key"):
        low, middle, high = arrays[f"{name}_planes"].astype(np.int32)
        codes = (low | middle << 8 | high << 16).T  # (N, R)
        steps = (codes >> 1) ^ -(codes & 1)
        both.append(steps.astype(np.float32) * arrays[f"{name}_scale"][:, None])
    return both[0] * arrays["column_scale"], both[1]


def _balanced(queries: NDArray[np.float64], keys: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Factors of the same logits, less a constant a row, whose columns fall off as fast as any can."""
    keys = keys - keys.mean(axis=0)
    (q_root, q_inverse), (k_root, k_inverse) = _roots(queries), _roots(keys)
    u, singular, v = np.linalg.svd(q_root @ k_root.T, full_matrices=False)
    return queries @ (q_inverse @ (u * np.sqrt(singular))), keys @ (k_inverse @ (v.T * np.sqrt(singular)))


def _roots(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A (R, C) with AᵀA = rowsᵀ rows, and its inverse (C, R): rows @ inverse has orthonormal columns."""
    values, vectors = np.linalg.eigh(rows.T @ rows)
    held = values > LEAST_DIRECTION * max(values[-1], np.finfo(np.float64).tiny)
    held[-1] = True  # one direction at least, of length 0 where all rows are 0
    root, vectors = np.sqrt(np.maximum(values[held], 0)), vectors[:, held]
    return root[:, None] * vectors.T, vectors / np.where(root > 0, root, 1)


def _bearable(
    attention_of: Callable[[slice], NDArray[np.float32]], left: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """For each row of both, the step at which rounding moves its map by about its largest value."""
    left_length, right_length = (np.linalg.norm(each, axis=1).astype(np.float32) for each in (left, right))
    query, key = np.zeros(len(left)), np.zeros(len(left))
    for rows in _blocks(len(left)):
        # Of a weight over its logit, as a share of the map's largest.
        attention = attention_of(rows)
        slope = attention * (1 - attention) / attention.max(axis=1, keepdims=True)
        query[rows] = (slope * right_length).max(axis=1)
        key = np.maximum(key, (slope * left_length[rows, None]).max(axis=0))
    return 1 / np.maximum(query, TINY), 1 / np.maximum(key, TINY)


def _rounded(
    left: tuple[NDArray[np.float64], NDArray[np.float64]],
    right: tuple[NDArray[np.float64], NDArray[np.float64]],
    stretch: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """The arrays of `compact_logits` for stretched rows and their steps, without columns that are 0 on either side."""
    codes, arrays = {}, {}
    for name, (values, step) in (("query", left), ("key", right)):
        largest = np.abs(values).max(axis=1)
        # A step beyond the row's largest value would round it all to nothing; one too small would not fit its bytes.
        scale = np.maximum(np.minimum(step, np.maximum(largest, 1e-30)), largest / LARGEST_STEP).astype(np.float32)
        arrays[f"{name}_scale"] = scale = np.where(scale > 0, scale, np.float32(1))
        steps = np.rint(values / scale[:, None]).clip(-LARGEST_STEP, LARGEST_STEP).astype(np.int32).T
        codes[name] = (steps << 1) ^ (steps >> 31)
    used = codes["query"].any(axis=1) & codes["key"].any(axis=1) | (np.arange(len(stretch)) == 0)  # one at least
    for name, each in codes.items():
        arrays[f"{name}_planes"] = np.stack([each[used] >> shift & 255 for shift in (0, 8, 16)]).astype(np.uint8)
    return {**arrays, "column_scale": (1 / np.square(stretch[used])).astype(np.float32)}


def _errors(
    attention: NDArray[np.float32], arrays: Mapping[str, NDArray[Any]]
) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
    """The largest error in × uniform; the largest of each row's map, and at each key, as shares of maps' largest."""
    queries, keys = decode_compact(arrays)
    positions = len(queries)
    error, query_off, key_off = 0.0, np.zeros(positions, np.float32), np.zeros(positions, np.float32)
    for rows in _blocks(positions):
        off = _attention(queries, keys, rows)
        np.abs(np.subtract(off, attention[rows], out=off), out=off)
        error = max(error, float(off.max()) * positions)
        off /= attention[rows].max(axis=1, keepdims=True)
        query_off[rows] = off.max(axis=1)
        key_off = np.maximum(key_off, off.max(axis=0))
    return error, query_off, key_off


def _blocks(positions: int) -> list[slice]:
    rows = max(1, BLOCK_VALUES // positions)
    return [slice(start, start + rows) for start in range(0, positions, rows)]


def _attention(queries: Array, keys: Array, rows: slice) -> NDArray[np.float32]:
    weights = queries[rows].astype(np.float32, copy=False) @ keys.astype(np.float32, copy=False).T
    weights -= weights.max(axis=1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights
