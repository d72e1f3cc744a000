"""What a mechanism did to each channel: features before and after in, numbers out.

Features are (C, h, w) or (C, N), torch tensors or NumPy arrays; every statistic runs over a channel's positions and is
summed in float64. nan means "undefined", never a failure: a channel without variance has no fit and no correlation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attn.measures.attention import Array, effective_rank, to_numpy

# A channel varies if its squared deviations exceed this share of its energy: a standard deviation above a millionth of
# the root mean square. Below that, float32 rounding is all there is.
_FLAT = 1e-12


@dataclass(frozen=True)
class ChannelStats:
    """Per-channel numbers before (x) and after (y) a mechanism: (C,) float64 arrays; nan = undefined.

    ``sparsity`` is the share of exact zeros, ``energy_share`` the channel's share of Σ x² over all channels and
    ``importance_shift`` its change. ``change_norm`` is ‖Δ_c‖ with Δ = y − x. ``affine_*`` fits y_c ≈ a x_c + b by least
    squares, ``delta_*`` fits Δ_c ≈ a x_c + b: a residual connection makes the first trivially good, the second shows
    what was added. R² is undefined where the fitted values do not vary; a and b are undefined where x_c does not (R² is
    then 0: a constant explains nothing of what varies).
    """

    mean_before: NDArray[np.float64]
    std_before: NDArray[np.float64]
    min_before: NDArray[np.float64]
    max_before: NDArray[np.float64]
    sparsity_before: NDArray[np.float64]
    energy_share_before: NDArray[np.float64]
    mean_after: NDArray[np.float64]
    std_after: NDArray[np.float64]
    min_after: NDArray[np.float64]
    max_after: NDArray[np.float64]
    sparsity_after: NDArray[np.float64]
    energy_share_after: NDArray[np.float64]
    importance_shift: NDArray[np.float64]
    change_norm: NDArray[np.float64]
    affine_a: NDArray[np.float64]
    affine_b: NDArray[np.float64]
    affine_r2: NDArray[np.float64]
    delta_a: NDArray[np.float64]
    delta_b: NDArray[np.float64]
    delta_r2: NDArray[np.float64]


def channel_stats(x: Array, y: Array) -> ChannelStats:
    """Every per-channel number for features ``x`` before and ``y`` after, of equal shape (C, h, w) or (C, N)."""
    before, after = _pair(x, y)
    change = after - before
    share_before, share_after = _energy_share(before), _energy_share(after)
    # Δ comes from a subtraction, so its rounding noise is in proportion to x and y, not to itself.
    noise = _energy(before) + _energy(after)
    a, b, r2 = _affine(before, after, _energy(after))
    delta_a, delta_b, delta_r2 = _affine(before, change, noise)
    return ChannelStats(
        mean_before=before.mean(axis=1),
        std_before=before.std(axis=1),
        min_before=before.min(axis=1),
        max_before=before.max(axis=1),
        sparsity_before=(before == 0).mean(axis=1),
        energy_share_before=share_before,
        mean_after=after.mean(axis=1),
        std_after=after.std(axis=1),
        min_after=after.min(axis=1),
        max_after=after.max(axis=1),
        sparsity_after=(after == 0).mean(axis=1),
        energy_share_after=share_after,
        importance_shift=share_after - share_before,
        change_norm=np.sqrt(_energy(change)),
        affine_a=a,
        affine_b=b,
        affine_r2=r2,
        delta_a=delta_a,
        delta_b=delta_b,
        delta_r2=delta_r2,
    )


def relative_change(x: Array, y: Array) -> float:
    """‖y − x‖ / ‖x‖ over the whole tensor: 0 = the mechanism did nothing; nan where x is zero."""
    before, after = _pair(x, y)
    norm = float(np.linalg.norm(before))
    return float(np.linalg.norm(after - before)) / norm if norm > 0 else math.nan


def channel_correlation(x: Array) -> NDArray[np.float64]:
    """Pearson correlation between channels over positions, (C, C) in −1 … 1; nan in a dead channel's row and column."""
    values = _matrix(x)
    centred, varies = _centre(values)
    scale = np.full(len(values), math.nan)
    scale[varies] = 1 / np.linalg.norm(centred[varies], axis=1)
    unit = centred * scale[:, None]
    return np.clip(unit @ unit.T, -1, 1)


def feature_effective_rank(x: Array) -> float:
    """`effective_rank` of the features (C, N) with each channel's mean taken off; nan where no channel varies."""
    centred, varies = _centre(_matrix(x))
    return effective_rank(centred[varies]) if varies.any() else math.nan


def median_defined(values: NDArray[np.float64]) -> float:
    """The median of the values that are defined; nan where none is."""
    defined = values[~np.isnan(values)]
    return float(np.median(defined)) if defined.size else math.nan


def _pair(x: Array, y: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if tuple(x.shape) != tuple(y.shape):
        raise ValueError(f"expected features of equal shape, got {tuple(x.shape)} before and {tuple(y.shape)} after")
    return _matrix(x), _matrix(y)


def _matrix(x: Array) -> NDArray[np.float64]:
    values = to_numpy(x)
    if values.ndim not in (2, 3) or not values.size:
        raise ValueError(f"expected features (C, h, w) or (C, positions), got shape {tuple(values.shape)}")
    return values.reshape(len(values), -1).astype(np.float64, copy=False)  # (C, N)


def _energy(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.einsum("cn,cn->c", values, values)


def _energy_share(values: NDArray[np.float64]) -> NDArray[np.float64]:
    energy = _energy(values)
    total = float(energy.sum())
    return energy / total if total > 0 else np.full(len(values), math.nan)


def _centre(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The values without each channel's mean, and which channels vary at all."""
    centred = values - values.mean(axis=1, keepdims=True)
    return centred, _energy(centred) > _FLAT * _energy(values)


def _affine(
    x: NDArray[np.float64], target: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Slope, offset and R² of target_c ≈ a x_c + b; a target varying by less than ``_FLAT · scale`` is constant."""
    centred_x, x_varies = _centre(x)
    centred_t = target - target.mean(axis=1, keepdims=True)
    total = _energy(centred_t)
    t_varies = total > _FLAT * scale
    undefined = np.full(len(x), math.nan)
    a = np.divide(np.einsum("cn,cn->c", centred_x, centred_t), _energy(centred_x), out=undefined.copy(), where=x_varies)
    b = target.mean(axis=1) - a * x.mean(axis=1)
    residual = _energy(centred_t - np.where(x_varies, a, 0.0)[:, None] * centred_x)
    r2 = 1 - np.divide(residual, total, out=undefined.copy(), where=t_varies)
    return a, b, r2
