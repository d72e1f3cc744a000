import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn.measures.attention import effective_rank
from attn.measures.channels import (
    channel_correlation,
    channel_stats,
    feature_effective_rank,
    median_defined,
    relative_change,
)


def features(seed: int, channels: int = 6, positions: int = 20) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(channels, positions)) * generator.uniform(0.1, 5, (channels, 1))


def test_statistics_by_hand():
    x = np.array([[[0.0, 0.0], [2.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]])
    y = np.array([[[0.0, 1.0], [2.0, 3.0]], [[2.0, 2.0], [2.0, 2.0]]])
    stats = channel_stats(x, y)
    # Channel 0 before: mean 6/4 = 1.5; deviations −1.5, −1.5, .5, 2.5: variance (2.25+2.25+.25+6.25)/4 = 2.75.
    np.testing.assert_allclose(stats.mean_before, [1.5, 1])
    np.testing.assert_allclose(stats.std_before, [math.sqrt(2.75), 0])
    np.testing.assert_array_equal(stats.min_before, [0, 1])
    np.testing.assert_array_equal(stats.max_before, [4, 1])
    np.testing.assert_array_equal(stats.sparsity_before, [0.5, 0])
    # Energies before: 0+0+4+16 = 20 and 4, of 24. After: 0+1+4+9 = 14 and 16, of 30.
    np.testing.assert_allclose(stats.energy_share_before, [20 / 24, 4 / 24])
    np.testing.assert_allclose(stats.energy_share_after, [14 / 30, 16 / 30])
    np.testing.assert_allclose(stats.importance_shift, [14 / 30 - 20 / 24, 16 / 30 - 4 / 24])
    np.testing.assert_allclose(stats.mean_after, [1.5, 2])
    np.testing.assert_allclose(stats.std_after, [math.sqrt(1.25), 0])
    np.testing.assert_array_equal(stats.min_after, [0, 2])
    np.testing.assert_array_equal(stats.max_after, [3, 2])
    np.testing.assert_array_equal(stats.sparsity_after, [0.25, 0])
    # Δ: (0, 1, 0, −1) and (1, 1, 1, 1).
    np.testing.assert_allclose(stats.change_norm, [math.sqrt(2), 2])
    # ‖Δ‖² = 2 + 4 and ‖x‖² = 24: √(6/24) = ½.
    assert relative_change(x, y) == pytest.approx(0.5)


def test_affine_fit_by_hand():
    stats = channel_stats(np.array([[0.0, 0, 2, 4]]), np.array([[0.0, 1, 2, 3]]))
    # x − x̄ = (−1.5, −1.5, .5, 2.5), y − ȳ = (−1.5, −.5, .5, 1.5): Sxy = 2.25 + .75 + .25 + 3.75 = 7, Sxx = 11, Syy = 5.
    # a = 7/11, b = 1.5 − 1.5 · 7/11 = 6/11, R² = 49 / (11 · 5) = 0.890909.
    assert stats.affine_a == pytest.approx(7 / 11)
    assert stats.affine_b == pytest.approx(6 / 11)
    assert stats.affine_r2 == pytest.approx(49 / 55)
    # Δ = (0, 1, 0, −1), mean 0: SxΔ = −1.5 − 2.5 = −4, SΔΔ = 2: a = −4/11, b = 6/11, R² = 16 / 22.
    assert stats.delta_a == pytest.approx(-4 / 11)
    assert stats.delta_b == pytest.approx(6 / 11)
    assert stats.delta_r2 == pytest.approx(16 / 22)


@given(st.integers(0, 10_000))
@settings(deadline=None)
def test_a_gate_is_affine_without_offset(seed):
    x = features(seed)
    gates = np.random.default_rng(seed + 1).uniform(0.05, 0.95, len(x))
    stats = channel_stats(x, x * gates[:, None])
    np.testing.assert_allclose(stats.affine_a, gates, rtol=1e-9)
    np.testing.assert_allclose(stats.affine_b, 0, atol=1e-9)
    np.testing.assert_allclose(stats.affine_r2, 1, atol=1e-9)
    np.testing.assert_allclose(stats.delta_a, gates - 1, rtol=1e-9)
    np.testing.assert_allclose(stats.delta_b, 0, atol=1e-9)
    np.testing.assert_allclose(stats.delta_r2, 1, atol=1e-9)


def test_a_float32_gate_on_features_far_from_zero():
    # Rounding y to float32 leaves a residual of 6e-8 · |y|: against a spread of 1 % of the mean, R² misses 1 by ~1e-10.
    x = torch.from_numpy(100 + features(0)).float()
    stats = channel_stats(x, x * 0.3)
    np.testing.assert_allclose(stats.affine_r2, 1, atol=1e-9)
    np.testing.assert_allclose(stats.affine_a, 0.3, rtol=1e-5)


@given(st.integers(0, 10_000))
@settings(deadline=None)
def test_the_slopes_of_the_two_fits_differ_by_one(seed):
    x, y = features(seed), features(seed + 1)
    stats = channel_stats(x, y)
    np.testing.assert_allclose(stats.affine_a - stats.delta_a, 1, rtol=1e-9)
    np.testing.assert_allclose(stats.affine_b, stats.delta_b, rtol=1e-9, atol=1e-9)
    assert ((stats.affine_r2 >= -1e-12) & (stats.affine_r2 <= 1)).all()
    assert stats.energy_share_before.sum() == pytest.approx(1)
    assert stats.importance_shift.sum() == pytest.approx(0, abs=1e-12)
    assert np.hypot.reduce(stats.change_norm) == pytest.approx(relative_change(x, y) * np.linalg.norm(x))


def test_a_residual_makes_the_first_fit_look_good_and_the_second_tells():
    generator = np.random.default_rng(0)
    x, noise = generator.normal(size=(2, 4, 400))
    stats = channel_stats(x, x + 0.1 * noise)
    assert (stats.affine_r2 > 0.98).all()
    assert (stats.delta_r2 < 0.05).all()


def test_undefined_is_nan_without_a_warning():
    varied = np.array([1.0, 2.0, 4.0])
    flat = np.full(3, 0.1)  # 0.1 three times has a mean that is not exactly 0.1
    dead = np.zeros(3)
    stats = channel_stats(np.stack([dead, flat, varied, flat]), np.stack([dead, flat * 2, flat, varied]))
    # dead → dead and constant → constant: nothing to explain and nothing to explain it with.
    assert np.isnan([values[:2] for values in (stats.affine_a, stats.affine_b, stats.affine_r2)]).all()
    assert np.isnan([values[:2] for values in (stats.delta_a, stats.delta_b, stats.delta_r2)]).all()
    # varied → constant: slope 0 and the constant fit exactly, but there was no variance to explain.
    assert stats.affine_a[2] == pytest.approx(0, abs=1e-12)
    assert stats.affine_b[2] == pytest.approx(0.1)
    assert math.isnan(stats.affine_r2[2])
    # constant → varied: any slope does as well as any other, and none explains anything.
    assert math.isnan(stats.affine_a[3])
    assert math.isnan(stats.affine_b[3])
    assert stats.affine_r2[3] == 0


def test_sparsity_counts_exact_zeros_of_either_sign_and_nothing_else():
    x = np.array([[0.0, -0.0, -1.0, 1e-30]])
    assert channel_stats(x, x).sparsity_before == 0.5


def test_the_identity_changes_nothing():
    x = features(2)
    stats = channel_stats(x, x)
    np.testing.assert_array_equal(stats.change_norm, 0)
    np.testing.assert_allclose(stats.affine_r2, 1)
    assert np.isnan(stats.delta_r2).all()  # a change of nothing has no shape to fit
    assert relative_change(x, x) == 0


def test_all_zero_features():
    zero = np.zeros((2, 3, 3))
    stats = channel_stats(zero, zero)
    assert np.isnan(stats.energy_share_before).all()
    np.testing.assert_array_equal(stats.sparsity_before, 1)
    assert math.isnan(relative_change(zero, zero))
    assert np.isnan(channel_correlation(zero)).all()
    assert math.isnan(feature_effective_rank(zero))


def test_a_single_position():
    stats = channel_stats(np.array([[2.0]]), np.array([[1.0]]))
    assert stats.std_before == 0
    assert np.isnan([stats.affine_r2, stats.delta_r2]).all()


def test_correlation_by_hand():
    x = np.array([[1.0, 2, 3], [6.0, 4, 2], [1.0, 3, 1], [5.0, 5, 5]])
    # Channel 1 = 8 − 2 · channel 0: −1. Channel 2 is symmetric about the middle, channel 0 antisymmetric: 0.
    expected = np.array([[1, -1, 0, np.nan], [-1, 1, 0, np.nan], [0, 0, 1, np.nan], [np.nan] * 4])
    np.testing.assert_allclose(channel_correlation(x), expected, atol=1e-12)


def test_correlation_equals_numpys():
    x = features(4)
    np.testing.assert_allclose(channel_correlation(torch.from_numpy(x)), np.corrcoef(x), atol=1e-12)


def test_effective_rank_of_features_ignores_means_and_dead_channels():
    x = features(5, channels=4)
    expected = effective_rank(x - x.mean(axis=1, keepdims=True))
    shifted = np.vstack([x + 100, np.full((2, x.shape[1]), 0.1)])
    assert feature_effective_rank(shifted) == pytest.approx(expected)


def test_median_of_what_is_defined():
    assert median_defined(np.array([1.0, np.nan, 3.0, 4.0])) == 3
    assert math.isnan(median_defined(np.array([np.nan])))


def test_layouts_and_kinds_agree_and_inputs_stay():
    x, y = features(6).reshape(6, 4, 5), features(7).reshape(6, 4, 5)
    kept = x.copy(), y.copy()
    expected = dataclasses.asdict(channel_stats(x, y))
    for name, values in dataclasses.asdict(channel_stats(torch.from_numpy(x), torch.from_numpy(y))).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    for name, values in dataclasses.asdict(channel_stats(x.reshape(6, 20), y.reshape(6, 20))).items():
        np.testing.assert_allclose(values, expected[name], err_msg=name)
        assert values.shape == (6,)
    np.testing.assert_array_equal((x, y), kept)


def test_errors_name_expected_and_actual():
    with pytest.raises(ValueError, match=r"equal shape, got \(2, 3\) before and \(2, 4\) after"):
        channel_stats(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(
        ValueError, match=r"expected features \(C, h, w\) or \(C, positions\), got shape \(1, 2, 3, 3\)"
    ):
        channel_stats(np.zeros((1, 2, 3, 3)), np.zeros((1, 2, 3, 3)))
