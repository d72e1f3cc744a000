"""A pretrained ResNet cut at a named stage, with its preprocessing: photograph in, feature map out.

Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385
Finer grids by dilation: DeepLab, https://arxiv.org/abs/1606.00915
"""

import contextlib
import itertools
import socket
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from attn.bundled import TUNED_FILES, WeightsUnavailable, load_bundled
from attn.errors import PlainError
from attn.stems.base import Stem

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
NETWORKS = ("resnet18", "resnet34", "resnet50", "resnet101", "wide_resnet50_2", "resnext50_32x4d")
STEMS = ("bundled", *NETWORKS)
BUNDLED_FILE = "stem.safetensors"
BUNDLED_ARCHITECTURE = "resnet18"
BUNDLED_STAGES = STAGES[: STAGES.index("layer3") + 1]
STRIDE_PX = {"stem": 4, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}
DETAILS = ("coarse", "fine", "finest")
# The output stride of "fine" and "finest", where the network's own is larger.
FINE_STRIDE_PX = 8
# What "finest" averages over, beside the mirror image; 1 = as for "fine".
FINEST_SCALES = (0.5, 0.75, 1.0, 1.25)
# ImageNet's, which every network here was trained with.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
DOWNLOAD_PATIENCE_S = 30.0

# Two visitors who ask for the same network must not download it twice at once.
_downloading = threading.Lock()


class StemUnavailable(PlainError, RuntimeError):  # noqa: N818 - the name says what happened
    """The network's weights cannot be had; the sentence says what to do."""


def trunk(architecture: str, stage: str) -> nn.Sequential:
    """A torchvision ResNet with fresh random weights, without what follows `stage`.

    Its children have torchvision's names (`conv1`, `bn1`, `relu`, `maxpool`, `layer1` …), and so has its state
    dict. Stage `stem` ends after the max-pooling. To load weights, build it under `torch.device("meta")`.
    """
    _check(architecture, NETWORKS, "architecture")
    _check(stage, STAGES, "stage")
    network = torchvision.models.get_model(architecture, weights=None)
    names = ["conv1", "bn1", "relu", "maxpool", *STAGES[1 : STAGES.index(stage) + 1]]
    return nn.Sequential(OrderedDict((name, getattr(network, name)) for name in names))


def stride_px(stage: str, detail: str) -> int:
    """Image pixels from one position of a stage's feature map to the next."""
    _check(stage, STAGES, "stage")
    _check(detail, DETAILS, "detail")
    return STRIDE_PX[stage] if detail == "coarse" else min(STRIDE_PX[stage], FINE_STRIDE_PX)


def dilate(layers: nn.Module, output_stride: int = FINE_STRIDE_PX) -> None:
    """Changes a `trunk` in place: no stage has a larger stride than `output_stride` px.

    What a later stage would skip is kept, and its further convolutions reach as far apart as before: the new map holds
    the old one, number for number, at every second (fourth) position. torchvision's own
    `replace_stride_with_dilation` does the same for bottleneck blocks and refuses basic ones.
    """
    dilation = 1
    for name in (name for name, stride in STRIDE_PX.items() if stride > output_stride and hasattr(layers, name)):
        for conv in (module for module in getattr(layers, name).modules() if isinstance(module, nn.Conv2d)):
            stride, conv.stride = conv.stride[0], (1, 1)
            if conv.kernel_size[0] > 1:  # the stride sits in a 3×3; a shortcut's 1×1 only goes along with it
                conv.dilation = conv.padding = (dilation, dilation)
                dilation *= stride


def to_tensor(
    image: Image.Image, size: tuple[int, int], mean: Sequence[float] = MEAN, std: Sequence[float] = STD
) -> Tensor:
    """`image` (RGB) at `size` (H, W) as a normalised (1, 3, H, W) tensor in channels_last."""
    height, width = size
    pixels = np.array(image.resize((width, height), Image.Resampling.BILINEAR))  # (H, W, 3)
    x = (torch.from_numpy(pixels).to(torch.float32) / 255 - _numbers(mean)) / _numbers(std)
    return x.permute(2, 0, 1)[None]  # (1, 3, H, W), in memory channels_last


def to_image(x: Tensor) -> NDArray[np.uint8]:
    """The (H, W, 3) uint8 picture that `to_tensor` made `x` (1, 3, H, W) from."""
    pixels = x[0].permute(1, 2, 0) * _numbers(STD) + _numbers(MEAN)
    return (pixels * 255).round().clamp(0, 255).to(torch.uint8).numpy()


def _numbers(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device="cpu")


class ResNetStem(Stem):
    """The first layers of a pretrained ResNet, frozen and in eval mode.

    `bundled` is the network kept in this repository. The others come through torchvision's weights API:
    IMAGENET1K_V1, the same recipe for all, downloaded once into TORCH_HOME with its hash checked. Only the
    layers up to `stage` are kept, each BatchNorm folded into its convolution. Raises StemUnavailable where the
    weights cannot be had.

    `detail` sets how fine the grid of positions is:

    - "coarse": the network as published; layer3 has one position per 16 × 16 px, layer4 per 32 × 32.
    - "fine": layer3 and layer4 give one per 8 × 8 px, by dilation (see `dilate`), at about twice the cost for layer3.
      At an earlier stage it is the same as "coarse".
    - "finest": the grid of "fine"; the features are the mean over the photograph at several scales (FINEST_SCALES) and
      the mirror images. About seven times slower than "fine": for figures.

    `tuned` takes the weights of the last stages that learnt together with its attention, past the frozen ImageNet
    features; the bundled network alone has them, layer2's and layer3's for stage layer3.
    """

    def __init__(
        self, name: str = "bundled", stage: str = "layer3", *, detail: str = "fine", tuned: bool = False
    ) -> None:
        super().__init__()
        _check(name, STEMS, "network")
        _check(stage, BUNDLED_STAGES if name == "bundled" else STAGES, f"stage of {name}")
        self.name = name
        self.stage = stage
        self.detail = detail
        self.tuned = tuned
        self.stride_px = stride_px(stage, detail)
        self.mean = MEAN
        self.std = STD
        with torch.device("meta"):
            self.layers = trunk(BUNDLED_ARCHITECTURE if name == "bundled" else name, stage)
        changed = _tuned_weights(name, stage) if tuned else {}
        weights = _bundled(BUNDLED_FILE) if name == "bundled" else torchvision_weights(name)
        load_weights(self.layers, {**weights, **changed}, name)
        self.eval()
        _fold_batch_norms(self.layers)
        if detail != "coarse":
            dilate(self.layers)
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)
        self.channels = int(
            self(torch.zeros(1, 3, self.stride_px, self.stride_px, dtype=torch.float32, device="cpu")).shape[1]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, H, W) normalised pixels → (b, channels, H / stride_px, W / stride_px) features, rounded up."""
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(f"expected (b, 3, H, W), got {tuple(x.shape)}")
        x = x.contiguous(memory_format=torch.channels_last)
        return self._averaged(x) if self.detail == "finest" else self.layers(x)

    def _averaged(self, x: Tensor) -> Tensor:
        """The mean of the features of x at every scale of FINEST_SCALES and of the mirror images, on the grid of x."""
        both = torch.cat([x, x.flip(-1)])
        grid = [-(-side // self.stride_px) for side in x.shape[2:]]
        total = torch.zeros(())
        for scale in FINEST_SCALES:
            size = [max(1, round(scale * cells)) * self.stride_px for cells in grid]
            scaled = F.interpolate(both, size, mode="bilinear", antialias=True)
            y = self.layers(scaled.contiguous(memory_format=torch.channels_last))
            total = total + F.interpolate(y, grid, mode="bilinear", antialias=True)  # (2b, C, h, w)
        seen, mirrored = (total / len(FINEST_SCALES)).chunk(2)
        return (seen + mirrored.flip(-1)) / 2

    def preprocess(self, image: Image.Image, longest_side: int = 320) -> Tensor:
        """The whole of `image` (RGB, not cropped) as (1, 3, H, W), resized to `input_size` and normalised."""
        if image.mode != "RGB":
            raise ValueError(f"expected an RGB image, got mode {image.mode}: use attn.images.open_image")
        return to_tensor(image, self.input_size(image.size, longest_side), self.mean, self.std)

    def to_image(self, pixels: Tensor) -> NDArray[np.uint8]:
        """The (H, W, 3) uint8 picture behind `preprocess`'s (1, 3, H, W): what the network saw."""
        return to_image(pixels)


def _check(value: str, allowed: Collection[str], what: str) -> None:
    if value not in allowed:
        raise ValueError(f"expected {what} to be one of {', '.join(allowed)}, got {value!r}")


def _tuned_weights(name: str, stage: str) -> dict[str, Tensor]:
    """Those of the stages that learnt for the attention at `stage`, under torchvision's names."""
    if name != "bundled" or stage not in TUNED_FILES:
        raise StemUnavailable("reasons.bundled.untuned", stem=name, stage=stage)
    stored = _bundled(TUNED_FILES[stage])
    return {key.removeprefix("stem."): tensor for key, tensor in stored.items() if key.startswith("stem.")}


def _bundled(file: str) -> dict[str, Tensor]:
    try:
        return load_bundled(file)
    except WeightsUnavailable as error:
        raise StemUnavailable(error.key, **error.values) from error


def torchvision_weights(name: str) -> Mapping[str, Tensor]:
    weights = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        with _downloading, _patience(DOWNLOAD_PATIENCE_S):
            return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except Exception as error:  # a download fails in many ways, reading a damaged file in as many
        if cached.exists():
            raise StemUnavailable("reasons.stem.damaged", name=name, path=cached) from error
        raise StemUnavailable(
            "reasons.stem.download", name=name, reason=_reason(error), file=cached.name, folder=cached.parent
        ) from error


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """New sockets give up after this long without an answer; torch.hub takes no timeout and would wait forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: Exception) -> str:
    """The plain part of a URLError or OSError."""
    reason = getattr(error, "reason", None) or error
    return str(getattr(reason, "strerror", None) or reason)


def load_weights(layers: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Fills `layers`, built without numbers, with the matching `weights` as float32."""
    needed = {key: tensor for key, tensor in layers.state_dict().items() if not key.endswith("num_batches_tracked")}
    for key, tensor in needed.items():
        if key not in weights or weights[key].shape != tensor.shape:
            raise StemUnavailable("reasons.stem.shape", name=name, tensor=key, shape=tuple(tensor.shape))
    layers.load_state_dict({key: weights[key].float() for key in needed}, strict=False, assign=True)


def _fold_batch_norms(module: nn.Module) -> None:
    """Replaces every convolution followed by BatchNorm by one convolution with the same result (eval mode)."""
    for (conv_name, conv), (norm_name, norm) in itertools.pairwise(list(module.named_children())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(module, norm_name, nn.Identity())
    for child in module.children():
        _fold_batch_norms(child)
