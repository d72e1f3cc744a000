"""Channel attention that networks were trained with: the gates of every SE block on a photograph, as published.

EfficientNet, https://arxiv.org/abs/1905.11946 · RegNet, https://arxiv.org/abs/2003.13678 · MobileNetV3,
https://arxiv.org/abs/1905.02244
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.ops import SqueezeExcitation

from attn.device import best_device
from attn.images import ImageSource, open_image
from attn.stems.resnet import StemUnavailable, load_weights, to_tensor, torchvision_weights

GATED_NETWORKS = ("efficientnet_b0", "regnet_y_400mf", "mobilenet_v3_large")
_INITIALISERS = (
    nn.init.kaiming_uniform_,
    nn.init.kaiming_normal_,
    nn.init.uniform_,
    nn.init.normal_,
    Tensor.uniform_,
    Tensor.normal_,
)
# The smallest features of all three are 32 times smaller than the picture.
_MULTIPLE_PX = 32


@dataclass(frozen=True, eq=False)
class OwnGate:
    """The gates of one SE block of a network, on one photograph.

    depth: 0 for the first block of the network, then 1, 2, …; depths: how many there are.
    name: of the block in torchvision's network, as in "features.4.1.block.2"; stage: the part that it belongs to.
    gates: (C,) float32, 0 to 1. stride_px: input pixels from one position of its features to the next.
    grid: (h, w) positions of its features.
    """

    depth: int
    depths: int
    name: str
    stage: str
    gates: NDArray[np.float32]
    stride_px: int
    grid: tuple[int, int]


class GatedNetwork:
    """One of GATED_NETWORKS with torchvision's ImageNet weights, frozen, that tells its gates.

    As published, but for the size: the whole photograph, scaled bilinearly, not a crop of 224 px. Many threads may ask.

    The weights (20, 17 and 21 MB) are downloaded once into TORCH_HOME, as a `ResNetStem`'s. Raises StemUnavailable
    where they cannot be had, ValueError for another name.
    """

    def __init__(self, name: str, *, device: str | torch.device | None = None) -> None:
        if name not in GATED_NETWORKS:
            raise ValueError(f"expected a network of {', '.join(GATED_NETWORKS)}, got {name!r}")
        self.name = name
        self.device = best_device() if device is None else torch.device(device)
        with _Uninitialised():
            network = torchvision.models.get_model(name, weights=None)
        try:
            weights = torchvision_weights(name)
        except StemUnavailable as error:
            if error.key != "reasons.stem.download":
                raise
            raise StemUnavailable(
                "reasons.stem.gates",
                name=name,
                reason=error.values["reason"],
                file=error.values["file"],
                folder=error.values["folder"],
            ) from error
        load_weights(network, weights, name)
        self.network = network.eval().requires_grad_(False).to(self.device)
        self._seen = threading.local()
        for path, module in network.named_modules():
            if isinstance(module, SqueezeExcitation):
                self._listen(path, module)

    @torch.inference_mode()
    def gates(self, image: ImageSource, longest_side: int = 320) -> list[OwnGate]:
        """The gates of every SE block, in the order of the network, on the whole of a photograph.

        ``longest_side`` in px is rounded down to a multiple of 32, the other side keeps the photograph's shape. Raises
        ImageError for a picture that cannot be used, ValueError for a longest side below 32.
        """
        photograph = open_image(image)
        pixels = to_tensor(photograph, _input_size(photograph.size, longest_side)).to(self.device)
        self._seen.blocks = []
        self.network(pixels)
        blocks: list[tuple[str, Tensor, tuple[int, int]]] = self._seen.blocks
        del self._seen.blocks
        return [
            OwnGate(
                depth=depth,
                depths=len(blocks),
                name=path,
                stage=".".join(path.split(".")[:2]),
                gates=gates.flatten().float().cpu().numpy(),
                stride_px=round(pixels.shape[2] / grid[0]),
                grid=grid,
            )
            for depth, (path, gates, grid) in enumerate(blocks)
        ]

    def _listen(self, path: str, block: SqueezeExcitation) -> None:
        """Notes what the block's last activation gives, for the thread that asks."""

        def note_grid(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._seen.grid = tuple(inputs[0].shape[2:])

        def note_gates(_: nn.Module, __: tuple[Tensor, ...], gates: Tensor) -> None:
            self._seen.blocks.append((path, gates, self._seen.grid))

        block.register_forward_pre_hook(note_grid)
        block.scale_activation.register_forward_hook(note_gates)


class _Uninitialised(TorchFunctionMode):
    """Layers made inside keep whatever their memory held: no time spent, and the global generator not touched.

    The meta device would do the same, but RegNet computes its widths with tensors.
    """

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _INITIALISERS:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def own_gates(network: str | GatedNetwork, image: ImageSource, longest_side: int = 320) -> list[OwnGate]:
    """`GatedNetwork.gates` of a network or of its name: every SE block's gates on this photograph, by depth."""
    return (GatedNetwork(network) if isinstance(network, str) else network).gates(image, longest_side)


def _input_size(image_size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """(H, W) px, multiples of 32: the longer within `longest_side`, the other as near as the photograph's shape."""
    width, height = image_size
    cells = int(longest_side) // _MULTIPLE_PX
    if cells < 1:
        raise ValueError(f"expected a longest side of at least {_MULTIPLE_PX} px, got {longest_side}")
    scale = cells / max(width, height)
    return max(1, round(height * scale)) * _MULTIPLE_PX, max(1, round(width * scale)) * _MULTIPLE_PX
