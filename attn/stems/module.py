"""Anyone's network as a stem: its stride and its channels are measured."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attn.errors import PlainError
from attn.stems.base import Stem
from attn.stems.resnet import MEAN, STD

PROBES_PX = (128, 256)


class StemError(PlainError, ValueError):
    """A network that cannot be a stem."""


class ModuleStem(Stem):
    """A module (b, 3, H, W) → (b, C, h, w), or a tuple, list or dict of such maps, of which the last is taken.

    The stride is the difference of two probes' sizes over the difference of their grids, so that padding does not
    count; one and two strides more must give one and two positions more. Pixels are normalised by the module's `mean`
    and `std` (three numbers each, for values 0 to 1), else by ImageNet's. The module itself is used, not a copy.

    Raises StemError where it gives no feature map, or its stride is not a whole number.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.eval()
        self.name = type(module).__name__
        self.stage = self.detail = ""
        self.tuned = False
        self.mean, self.std = (_three(getattr(module, name, None)) or d for name, d in (("mean", MEAN), ("std", STD)))
        first, last = PROBES_PX
        (_, self.channels, rows, _), (_, _, last_rows, _) = self._probe(first), self._probe(last)
        self.stride_px = round((last - first) / max(1, last_rows - rows))
        again = [self._probe(first + n * self.stride_px)[2:] for n in (1, 2)]
        if again != [(rows + n, rows + n) for n in (1, 2)]:
            raise StemError(
                "reasons.stem.stride", name=self.name, small=first, small_rows=rows, large=last, large_rows=last_rows
            )

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, H, W) normalised pixels → (b, channels, h, w) features."""
        features = _last_map(self.module(x))
        if features is None:
            raise StemError("reasons.stem.module", name=self.name, got="none")
        return features

    def _probe(self, side: int) -> tuple[int, ...]:
        parameter = next(self.module.parameters(), torch.empty(0, device="cpu"))
        try:
            with torch.no_grad():
                given = self.module(torch.zeros(1, 3, side, side, device=parameter.device, dtype=torch.float32))
        except Exception as error:  # anyone's code raises anything
            got = f"{type(error).__name__}: {error}"[:200]
            raise StemError("reasons.stem.module", name=self.name, got=got) from error
        features = _last_map(given)
        if features is None:
            got = str(tuple(given.shape)) if isinstance(given, Tensor) else type(given).__name__
            raise StemError("reasons.stem.module", name=self.name, got=got)
        return tuple(features.shape)


def _last_map(given: Any) -> Tensor | None:
    several = list(given.values()) if isinstance(given, dict) else given
    last = several[-1] if isinstance(several, list | tuple) and several else several
    return last if isinstance(last, Tensor) and last.ndim == 4 else None


def _three(values: Any) -> Sequence[float] | None:
    if isinstance(values, Tensor):
        values = values.detach().flatten().tolist()
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 3:
        return None
    return tuple(float(value) for value in values)
