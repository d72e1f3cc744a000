"""Queries and keys in few bytes: as exact as asked for, and hardly longer than their numbers say."""

import numpy as np
import pytest

from attn.figures.compact import LARGEST_ERROR, compact_logits, decode_compact, pack_compact


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def factors(positions: int, channels: int, scale: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns that fall off, as real features do."""
    generator = np.random.default_rng(seed)
    falling = scale * 0.97 ** np.arange(channels)
    queries, keys = (generator.normal(size=(positions, channels)) * falling for _ in range(2))
    return queries.astype(np.float32), (keys + 3).astype(np.float32)


@pytest.mark.parametrize(("positions", "channels"), [(1, 8), (6, 64), (300, 64), (700, 32)])
@pytest.mark.parametrize("largest", [None, 1e-4, 0.1])
@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_no_map_is_further_off_than_asked_for(
    positions: int, channels: int, largest: float | None, scale: float
) -> None:
    queries, keys = factors(positions, channels, scale)
    arrays, stated = compact_logits(queries, keys) if largest is None else compact_logits(queries, keys, largest)
    true = softmax(queries.astype(np.float64) @ keys.T.astype(np.float64))
    decoded_queries, decoded_keys = decode_compact(arrays)
    off = np.abs(softmax(decoded_queries.astype(np.float64) @ decoded_keys.T.astype(np.float64)) - true)
    # Both within what float32 can say of logits of a hundred.
    assert off.max() * positions == pytest.approx(stated, rel=0.05, abs=1e-4 * positions)
    assert (off.max(axis=1) / true.max(axis=1)).max() <= (LARGEST_ERROR if largest is None else largest) + 5e-5


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_says_nothing_gives_an_even_map(value: float) -> None:
    arrays, error = compact_logits(np.full((6, 4), value, np.float32), np.ones((6, 4), np.float32))
    queries, keys = decode_compact(arrays)
    np.testing.assert_allclose(softmax(queries @ keys.T), 1 / 6, atol=1e-6)
    assert error == pytest.approx(0, abs=1e-6)


def test_finer_costs_more() -> None:
    queries, keys = factors(400, 64)
    coarse, fine, finest = (len(pack_compact(compact_logits(queries, keys, each)[0])) for each in (0.1, 0.01, 0.001))
    assert coarse < fine < finest


def test_one_certain_row_does_not_make_the_others_dear() -> None:
    queries, keys = factors(700, 128)
    flat = len(pack_compact(compact_logits(queries, keys)[0]))
    queries[0] *= 8
    peaked = len(pack_compact(compact_logits(queries, keys)[0]))
    assert peaked < 1.1 * flat
    assert peaked < 0.75 * 2 * queries.size * 2  # as int16


def test_directions_that_reach_no_logit_are_left_out() -> None:
    queries, keys = factors(300, 64)
    keys[:, 20:] = 3
    arrays, _ = compact_logits(queries, keys)
    assert arrays["query_planes"].shape == arrays["key_planes"].shape == (3, 20, 300)
    assert arrays["column_scale"].shape == (20,)


def test_the_bytes_are_close_to_what_the_numbers_say() -> None:
    """Coded by each column's own frequencies they would be little shorter."""
    queries, keys = factors(900, 64)
    arrays, _ = compact_logits(queries, keys, 0.05)
    ideal = 0.0
    for name in ("query_planes", "key_planes"):
        low, middle, high = arrays[name].astype(np.int64)
        for column in low + 256 * middle + 65536 * high:
            shares = np.unique(column, return_counts=True)[1] / len(column)
            ideal -= len(column) * (shares * np.log2(shares)).sum() / 8
    assert ideal < len(pack_compact(arrays)) < 1.3 * ideal + 8 * len(queries)
