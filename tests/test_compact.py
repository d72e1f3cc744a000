"""Queries and keys in few bytes: as exact as asked for, smaller than the page's arrays."""

import numpy as np
import pytest

from attn.figures.compact import compact_logits, decode_compact
from attn.figures.packing import pack_arrays
from attn.ui.panels.explorer.panel import encode_logits


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
@pytest.mark.parametrize("largest", [None, 0.01, 1.0])
def test_no_map_is_further_off_than_asked_for(positions: int, channels: int, largest: float | None) -> None:
    queries, keys = factors(positions, channels)
    arrays, stated = compact_logits(queries, keys, largest)
    true = softmax(queries.astype(np.float64) @ keys.T.astype(np.float64))
    decoded_queries, decoded_keys = decode_compact(arrays)
    error = np.abs(softmax(decoded_queries @ decoded_keys.T) - true).max() * positions
    assert error == pytest.approx(stated, rel=1e-3, abs=1e-4)
    if largest != 0.01:  # finer than 16 bits can be where a map is all peak; then the error is stated all the same
        assert stated <= (positions / 5000 if largest is None else largest)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_says_nothing_gives_an_even_map(value: float) -> None:
    arrays, error = compact_logits(np.full((6, 4), value, np.float32), np.ones((6, 4), np.float32))
    queries, keys = decode_compact(arrays)
    np.testing.assert_allclose(softmax(queries @ keys.T), 1 / 6, atol=1e-6)
    assert error == pytest.approx(0, abs=1e-6)


def test_one_certain_row_does_not_make_the_others_dear() -> None:
    queries, keys = factors(700, 128)
    flat = len(pack_arrays(compact_logits(queries, keys)[0], level=6))
    queries[0] *= 8
    peaked = len(pack_arrays(compact_logits(queries, keys)[0], level=6))
    assert peaked < 1.1 * flat
    assert peaked < 0.85 * len(pack_arrays(encode_logits(queries, keys), level=6))
