import math

import numpy as np
import pytest
import torch

from attn.measures.components import principal_components


def features(channels: int = 12, grid: tuple[int, int] = (9, 11), seed: int = 0) -> np.ndarray:
    """Features with three strong directions, and some noise."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(channels, 3)) @ (
        np.array([[9.0], [4.0], [2.0]]) * random.normal(size=(3, math.prod(grid)))
    )
    return (mixed + 0.1 * random.normal(size=mixed.shape) + 5).reshape(channels, *grid).astype(np.float32)


def test_equal_to_the_singular_value_decomposition() -> None:
    x = features()
    rows = x.reshape(12, -1).astype(float)
    centred = rows - rows.mean(axis=1, keepdims=True)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    found = principal_components(x)
    assert np.allclose(np.abs(found.basis @ left[:, :3]), np.eye(3), atol=1e-8)
    assert np.allclose(found.explained, (singular**2 / (singular**2).sum())[:3])
    assert np.allclose(found.basis @ found.basis.T, np.eye(3), atol=1e-10)
    assert np.allclose(found.mean, rows.mean(axis=1))


def test_signs_are_fixed() -> None:
    for seed in range(10):
        basis = principal_components(features(seed=seed)).basis
        largest = basis[np.arange(3), np.abs(basis).argmax(axis=1)]
        assert (largest > 0).all()


def test_positions_in_any_order_give_the_same_basis() -> None:
    x = features()
    order = np.random.default_rng(1).permutation(99)
    shuffled = x.reshape(12, 99)[:, order].reshape(x.shape)
    found, again = principal_components(x), principal_components(shuffled)
    assert np.allclose(found.basis, again.basis, atol=1e-8)
    assert np.allclose(found.low, again.low)
    colours = found.colours(x).reshape(99, 3)
    assert np.allclose(colours[order], again.colours(shuffled).reshape(99, 3), atol=1e-6)


def test_colours_run_from_the_first_percentile_to_the_last() -> None:
    x = features()
    found = principal_components(x)
    colours = found.colours(x)
    assert colours.shape == (9, 11, 3)
    assert colours.dtype == np.float32
    scores = found.scores(x).reshape(3, -1)
    for component in range(3):
        low, high = np.percentile(scores[component], (1, 99))
        expected = ((scores[component] - low) / (high - low)).clip(0, 1)
        assert np.allclose(colours[..., component].ravel(), expected, atol=1e-6)
        assert colours[..., component].min() == 0
        assert colours[..., component].max() == 1


def test_before_and_after_share_one_basis_and_scale() -> None:
    x = features()
    found = principal_components(x)
    assert np.array_equal(found.colours(x), found.colours(x.copy()))
    halfway = found.mean[:, None, None] + 0.5 * (x - found.mean[:, None, None])
    assert np.allclose(found.scores(halfway), 0.5 * found.scores(x), atol=1e-5)
    one = found.basis[1][:, None, None] * 3  # a shift along the second component moves green alone
    moved = found.scores(x + one) - found.scores(x)
    assert np.allclose(moved.reshape(3, -1), np.array([[0], [3], [0]]), atol=1e-5)


def test_share_that_is_cut_off() -> None:
    x = features()
    found = principal_components(x)
    assert 0 < found.clipped(x) <= 6 / 99 + 1e-9  # of 99 positions, one at each end of three components
    assert found.clipped(10 * x) > 0.5


def test_tensors_and_half_precision() -> None:
    x = torch.from_numpy(features())
    assert np.allclose(principal_components(x).basis, principal_components(x.numpy()).basis)
    assert np.allclose(principal_components(x.half()).basis, principal_components(x).basis, atol=1e-2)


@pytest.mark.parametrize(("channels", "grid", "components"), [(2, (4, 4), 2), (1, (3, 3), 1), (8, (1, 2), 1)])
def test_fewer_components_than_three(channels: int, grid: tuple[int, int], components: int) -> None:
    x = np.random.default_rng(0).normal(size=(channels, *grid))
    found = principal_components(x)
    assert (np.linalg.norm(found.basis, axis=1) > 0.5).sum() == components
    assert (found.colours(x)[..., components:] == 0.5).all()
    assert found.explained[:components].sum() == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_flat_features_have_no_components(value: float) -> None:
    x = np.full((5, 3, 4), value, np.float32)
    found = principal_components(x)
    assert np.isnan(found.explained).all()
    assert (found.colours(x) == 0.5).all()
    assert found.clipped(x) == 0


def test_refusals() -> None:
    for shape in ((3, 4), (0, 2, 2), (2, 0, 3), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match=r"expected features \(C, h, w\), got shape"):
            principal_components(np.zeros(shape))
    with pytest.raises(ValueError, match=r"features \(C, h, w\) of 12 channels, got \(3, 9, 11\)"):
        principal_components(features()).colours(np.zeros((3, 9, 11)))
