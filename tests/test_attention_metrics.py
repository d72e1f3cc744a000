import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn.measures.attention import (
    effective_rank,
    entropy,
    mass_area,
    mean_attention_distance,
    perplexity,
    positions_px,
    query_metrics,
    query_specificity,
    times_uniform,
    uniform_attention_distance,
)

GRID = (2, 2)


def uniform(positions: int) -> np.ndarray:
    return np.full((positions, positions), 1 / positions)


def softmax_rows(seed: int, queries: int, positions: int, sharpness: float = 3.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(queries, positions)) * sharpness
    weights = np.exp(logits)
    return weights / weights.sum(axis=1, keepdims=True)


maps = st.builds(
    softmax_rows, st.integers(0, 10_000), st.integers(1, 9), st.integers(2, 12), st.sampled_from([0.0, 0.5, 3.0, 30.0])
)


# Entropy and perplexity


def test_entropy_by_hand():
    rows = np.array([[0.5, 0.5, 0.0, 0.0], [0.5, 0.25, 0.25, 0.0]])
    # row 0: −2 · ½ ln ½ = ln 2, over ln 4 = 2 ln 2: a half, and e^(ln 2) = 2 positions.
    # row 1: ½ ln 2 + 2 · ¼ ln 4 = 1.5 ln 2, over 2 ln 2: three quarters, and 2^1.5 = 2.8284 positions.
    np.testing.assert_allclose(entropy(rows), [0.5, 0.75], rtol=0, atol=1e-12)
    np.testing.assert_allclose(perplexity(rows), [2.0, 2.8284271247461903], rtol=0, atol=1e-12)


def test_entropy_of_extremes():
    np.testing.assert_allclose(entropy(uniform(7)), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(perplexity(uniform(7)), 7, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(entropy(np.eye(7)), np.zeros(7))  # 0 · ln 0 = 0, with no warning
    np.testing.assert_array_equal(perplexity(np.eye(7)), np.ones(7))


def test_a_single_position_has_nothing_to_choose():
    one = np.ones((1, 1))
    assert entropy(one) == 0
    assert perplexity(one) == 1
    assert mass_area(one) == 1
    assert mean_attention_distance(one, (1, 1), 16) == 0
    assert query_specificity(one) == (0, 0)
    assert effective_rank(one) == pytest.approx(1)


@given(maps)
@settings(deadline=None)
def test_entropy_is_bounded_and_blind_to_order(rows):
    values = entropy(rows)
    assert ((values >= 0) & (values <= 1 + 1e-12)).all()
    np.testing.assert_allclose(entropy(rows[:, ::-1]), values, atol=1e-12)
    np.testing.assert_allclose(perplexity(rows), rows.shape[1] ** values, rtol=1e-9)


def test_float32_uniform_is_not_above_one():
    rows = torch.full((3, 784), 1 / 784)
    assert (entropy(rows) <= 1 + 1e-12).all()
    np.testing.assert_allclose(perplexity(rows), 784, rtol=1e-12)


# Distances


def test_positions_are_centres_row_major():
    np.testing.assert_array_equal(positions_px((2, 3), 16), [[8, 8], [8, 24], [8, 40], [24, 8], [24, 24], [24, 40]])


def test_distance_by_hand():
    # 2 × 2 grid, stride 10: neighbours are 10 px apart, the diagonal is 10·√2 = 14.142136 px.
    rows = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    # query 0: itself, 0. query 1 (top right): ½ · 10 (position 0) = 5. query 2 (bottom left) looks there: 14.142136.
    # query 3: ¼ · (14.142136 + 10 + 10 + 0) = 8.535534.
    expected = [0, 5, 14.142135623730951, 8.535533905932738]
    np.testing.assert_allclose(mean_attention_distance(rows, GRID, 10), expected, rtol=0, atol=1e-12)
    # Every corner of the square sees the same under uniform attention: the value of query 3.
    np.testing.assert_allclose(uniform_attention_distance(GRID, 10), [8.535533905932738] * 4, rtol=0, atol=1e-12)


def test_distance_on_a_long_grid_tells_rows_from_columns():
    # A 1 × 3 grid, stride 4: from the left end the centre is 4 px away and the right end 8, mean (0 + 4 + 8) / 3 = 4.
    np.testing.assert_allclose(uniform_attention_distance((1, 3), 4), [4, 8 / 3, 4], atol=1e-12)
    # On 2 × 3, from position 0 to position 4 (row 1, column 1): 4·√2.
    row = np.eye(6)[[4]]
    np.testing.assert_allclose(mean_attention_distance(row, (2, 3), 4, queries=[0]), [4 * math.sqrt(2)], atol=1e-12)


@given(st.integers(1, 7), st.integers(1, 7), st.floats(0.5, 64))
@settings(deadline=None)
def test_uniform_distance_is_the_distance_of_uniform_attention(height, width, stride):
    measured = mean_attention_distance(uniform(height * width), (height, width), stride)
    np.testing.assert_allclose(measured, uniform_attention_distance((height, width), stride), rtol=1e-9)


def test_distance_of_some_queries_equals_those_of_all():
    rows = softmax_rows(0, 12, 12)
    everything = mean_attention_distance(rows, (3, 4), 8)
    picked = [7, 2]
    np.testing.assert_allclose(mean_attention_distance(rows[picked], (3, 4), 8, queries=picked), everything[picked])


def test_distance_of_more_positions_than_a_block_holds():
    # 40 × 40 = 1600 positions make 2.56 M values: three blocks of rows. Attention to oneself is at no distance, and one
    # column to the right (the last column stays) is one stride.
    shifted = np.arange(1600) + (np.arange(1600) % 40 < 39)
    rows = np.eye(1600, dtype=np.float32)[shifted]
    expected = np.where(np.arange(1600) % 40 < 39, 16.0, 0.0)
    np.testing.assert_allclose(mean_attention_distance(rows, (40, 40), 16), expected, atol=1e-9)


def test_distance_errors():
    with pytest.raises(ValueError, match=r"expected 6 positions for a 2 × 3 grid, got 4"):
        mean_attention_distance(uniform(4), (2, 3), 8)
    with pytest.raises(ValueError, match=r"expected one query position a row, got 4 for 2 rows"):
        mean_attention_distance(uniform(4)[:2], GRID, 8)
    with pytest.raises(ValueError, match=r"expected a grid of at least 1 × 1 positions, got 0 × 3"):
        uniform_attention_distance((0, 3), 8)


# Mass area


def test_mass_area_by_hand():
    rows = np.array([[0.1, 0.5, 0.1, 0.3], [0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]])
    # 60 %: 0.5 + 0.3 = 0.8 → 2 of 4; 0.7 → 1 of 4; 0.25 · 3 = 0.75 → 3 of 4.
    np.testing.assert_array_equal(mass_area(rows), [0.5, 0.25, 0.75])
    # 75 %: 0.8 → 2; 0.7 + 0.1 → 2; exactly 0.75 → 3.
    np.testing.assert_array_equal(mass_area(rows, 0.75), [0.5, 0.5, 0.75])
    np.testing.assert_array_equal(mass_area(rows, 1.0), [1, 1, 1])


def test_mass_area_of_extremes():
    # Twelve times 1/20 falls short of 0.6 in binary; twelve of twenty positions do hold 60 %.
    np.testing.assert_array_equal(mass_area(uniform(20)), [0.6] * 20)
    np.testing.assert_array_equal(mass_area(np.eye(5)), [0.2] * 5)
    with pytest.raises(ValueError, match=r"expected a mass in \(0, 1\], got 1.5"):
        mass_area(uniform(4), 1.5)


@given(maps, st.floats(0.05, 1))
@settings(deadline=None)
def test_mass_area_is_the_smallest_that_holds_the_mass(rows, mass):
    for row, area in zip(rows, mass_area(rows, mass), strict=True):
        count = round(area * rows.shape[1])
        largest = sorted(row, reverse=True)
        assert sum(largest[:count]) >= mass - 1e-6
        assert count == 1 or sum(largest[: count - 1]) < mass + 1e-9


# × uniform


def test_times_uniform_by_hand():
    np.testing.assert_array_equal(times_uniform(np.array([[0.5, 0.25, 0.25, 0.0]])), [[2, 1, 1, 0]])
    assert times_uniform(torch.full((2, 4), 0.25)).dtype == np.float32


# Query specificity


def test_query_specificity_by_hand():
    # Two rows: mean (½, ½), H = ln 2; the rows' own entropies are 0; over ln 2: 1. cos = 0: (1 − 0) / 2 = ½.
    assert query_specificity(np.eye(2)) == pytest.approx((1, 0.5))
    # Three rows a, a, b (one-hot on 0, 0, 1): mean (⅔, ⅓, 0), H = ln 3 − ⅔ ln 2, over ln 3 = 0.579380.
    # Pairs: one alike (cos 1), two unlike (cos 0): mean cos ⅓, distance ⅓.
    divergence, cosine = query_specificity(np.eye(3)[[0, 0, 1]])
    assert divergence == pytest.approx(1 - 2 / 3 * math.log(2) / math.log(3))
    assert divergence == pytest.approx(0.579380, abs=1e-6)
    assert cosine == pytest.approx(1 / 3)


def test_one_shared_map_is_not_specific():
    shared = np.repeat(softmax_rows(0, 1, 9), 9, axis=0)
    divergence, cosine = query_specificity(shared)
    assert divergence == pytest.approx(0, abs=1e-12)
    assert cosine == pytest.approx(0, abs=1e-12)


@given(maps)
@settings(deadline=None)
def test_query_specificity_equals_the_loop_over_pairs(rows):
    divergence, cosine = query_specificity(rows)
    queries = len(rows)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [(1 - unit[i] @ unit[j]) / 2 for i in range(queries) for j in range(i)]
    assert cosine == pytest.approx(np.mean(pairs) if pairs else 0, abs=1e-9)
    # Lin's definition: the mean Kullback–Leibler divergence of the rows from their mean.
    mean = rows.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(rows > 0, rows * np.log(rows / mean), 0)
    assert divergence == pytest.approx(terms.sum() / queries / math.log(rows.shape[1]), abs=1e-9)


def test_query_specificity_of_blocks_equals_the_whole():
    rows = softmax_rows(3, 64, 64)
    blocks = (torch.from_numpy(rows[start : start + 10]) for start in range(0, 64, 10))
    assert query_specificity(blocks) == pytest.approx(query_specificity(rows), rel=1e-12)


def test_query_specificity_errors():
    with pytest.raises(ValueError, match=r"expected at least one row of attention, got none"):
        query_specificity([])
    with pytest.raises(ValueError, match=r"expected blocks of 4 positions, got 9"):
        query_specificity([uniform(4), uniform(9)])


# Effective rank


def test_effective_rank_by_hand():
    # Singular values 3 and 1: p = ¾, ¼; H = ¾ ln (4/3) + ¼ ln 4 = 0.562335; e^H = 1.754765.
    assert effective_rank(np.diag([3.0, 1.0, 0.0])) == pytest.approx(1.754765, abs=1e-6)
    assert effective_rank(np.eye(5)) == pytest.approx(5)
    assert effective_rank(uniform(6)) == pytest.approx(1)
    assert math.isnan(effective_rank(np.zeros((3, 2))))


def test_effective_rank_does_not_change_under_scale_and_transposition():
    rows = softmax_rows(1, 5, 8)
    assert effective_rank(rows * 7) == pytest.approx(effective_rank(rows))
    assert effective_rank(torch.from_numpy(rows).T) == pytest.approx(effective_rank(rows))
    with pytest.raises(ValueError, match=r"expected a matrix, got shape \(2, 2, 2\)"):
        effective_rank(np.zeros((2, 2, 2)))


# All together


def test_query_metrics_holds_what_the_functions_say():
    rows = softmax_rows(5, 12, 12)
    metrics = query_metrics(rows, (3, 4), 8)
    np.testing.assert_allclose(metrics.entropy, entropy(rows))
    np.testing.assert_allclose(metrics.perplexity, perplexity(rows))
    np.testing.assert_allclose(metrics.distance, mean_attention_distance(rows, (3, 4), 8))
    np.testing.assert_allclose(metrics.uniform_distance, uniform_attention_distance((3, 4), 8))
    np.testing.assert_array_equal(metrics.mass_area, mass_area(rows))


def test_query_metrics_of_some_queries_equals_those_of_all():
    rows = softmax_rows(5, 12, 12)
    everything, picked = query_metrics(rows, (3, 4), 8), query_metrics(rows[[7, 2]], (3, 4), 8, queries=[7, 2])
    for name, values in vars(picked).items():
        np.testing.assert_allclose(values, getattr(everything, name)[[7, 2]], err_msg=name)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_give_the_numbers_of_arrays_and_stay_as_they_are(dtype):
    rows = torch.tensor([[0.5, 0.25, 0.25, 0.0]] * 4, dtype=dtype, requires_grad=True)
    before = rows.detach().clone()
    metrics = query_metrics(rows, GRID, 8)
    np.testing.assert_allclose(metrics.entropy, [0.75] * 4, atol=1e-12)
    assert metrics.entropy.dtype == np.float64
    assert torch.equal(rows.detach(), before)


@pytest.mark.parametrize("function", [entropy, perplexity, mass_area, query_specificity])
def test_what_is_no_attention_is_refused(function):
    with pytest.raises(ValueError, match=r"expected attention rows \(queries, positions\), got shape \(2, 2, 2\)"):
        function(np.full((2, 2, 2), 0.5))
    with pytest.raises(ValueError, match=r"expected rows that sum to 1, got one that sums to 2"):
        function(np.array([[0.5, 0.5], [1.0, 1.0]]))
    with pytest.raises(ValueError, match=r"got one that sums to nan"):
        function(np.array([[0.5, 0.5], [np.nan, 1.0]]))
