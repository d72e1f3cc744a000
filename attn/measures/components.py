"""Features as a colour picture: their three principal components, one basis for before and after.

The view of DINOv2 (Oquab et al., 2023: https://arxiv.org/abs/2304.07193, figure 1), with the signs fixed and the scale
stated, so that two pictures may be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from attn.measures.attention import Array, to_numpy

COMPONENTS = 3
# Of the values before, a component's 1st percentile is drawn as 0 and its 99th as 1.
PERCENTILES = (1.0, 99.0)
# A component varies if its variance exceeds this share of the features' energy: below, there is only float32 rounding.
_FLAT = 1e-12


@dataclass(frozen=True, eq=False)
class Components:
    """A basis in which features are drawn as colours: that of the features before any mechanism.

    mean: (C,), taken off first. basis: (3, C), orthonormal rows, the largest variance first. Signs are fixed: in each
    row, the number with the largest magnitude is positive.
    explained: (3,) each component's share of the variance, nan for features that do not vary.
    low, high: (3,) the values drawn as 0 and as 1: the 1st and 99th percentile of the features before.
    """

    mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    explained: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def scores(self, features: Array) -> NDArray[np.float64]:
        """Where each position of (C, h, w) features stands along the three components, (3, h, w)."""
        values = _checked(features)
        if len(values) != len(self.mean):
            raise ValueError(f"expected features (C, h, w) of {len(self.mean)} channels, got {values.shape}")
        rows = values.reshape(len(values), -1) - self.mean[:, None]
        return (self.basis @ rows).reshape(COMPONENTS, *values.shape[1:])

    def colours(self, features: Array) -> NDArray[np.float32]:
        """(h, w, 3) in [0, 1]: the components as red, green and blue, on the scale of the features before.

        What lies outside that scale is cut off. A component along which the features before do not vary is 0.5.
        """
        scores = self.scores(features).transpose(1, 2, 0)  # (h, w, 3)
        span = self.high - self.low
        varies = span > 0
        scaled = (scores - self.low) / np.where(varies, span, 1.0)
        return np.where(varies, scaled.clip(0, 1), 0.5).astype(np.float32)

    def clipped(self, features: Array) -> float:
        """Share of the positions that `colours` cuts off in at least one component."""
        scores = self.scores(features).reshape(COMPONENTS, -1)
        outside = (scores < self.low[:, None]) | (scores > self.high[:, None])
        return float(outside[self.high > self.low].any(axis=0).mean())


def principal_components(features: Array) -> Components:
    """The basis of (C, h, w) features, fitted on them alone: draw with it what every mechanism made of them.

    Where there are fewer than three components (few channels or positions), the rest of the basis is zero.
    """
    values = _checked(features)
    rows = values.reshape(len(values), -1)  # (C, N)
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    covariance = centred @ centred.T / rows.shape[1]  # (C, C)
    variances, vectors = torch.linalg.eigh(torch.from_numpy(covariance))  # the smallest first
    variances, vectors = variances.flip(0).clamp_min(0)[:COMPONENTS].numpy(), vectors.flip(1)[:, :COMPONENTS].T.numpy()
    total = float(np.trace(covariance))
    real = variances > _FLAT * float((rows**2).sum(axis=0).mean())
    basis, explained = np.zeros((COMPONENTS, len(rows))), np.zeros(COMPONENTS)
    for index in np.flatnonzero(real):
        vector = vectors[index]
        basis[index] = vector * np.sign(vector[np.argmax(np.abs(vector))])
        explained[index] = variances[index] / total
    low, high = np.percentile(basis @ centred, PERCENTILES, axis=1)
    return Components(mean, basis, explained if real.any() else np.full(COMPONENTS, math.nan), low, high)


def _checked(features: Array) -> NDArray[np.float64]:
    values = to_numpy(features).astype(np.float64)
    if values.ndim != 3 or not values.size:
        raise ValueError(f"expected features (C, h, w), got shape {tuple(values.shape)}")
    return values
