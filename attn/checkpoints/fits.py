"""Which network, at which stage, has how many channels: where a block of a given width fits."""

from functools import cache

import torch
from torch import nn

from attn.stems import STAGES, STEMS, trunk

_TITLES = {
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "wide_resnet50_2": "Wide ResNet-50-2",
    "resnext50_32x4d": "ResNeXt-50 32x4d",
}


@cache
def stage_widths() -> dict[tuple[str, str], int]:
    """(network, stage) → channels of its feature map, for every network that can be downloaded; taken from its layers.

    The bundled network has ResNet-18's widths.
    """
    widths = {}
    for name in STEMS:
        if name == "bundled":
            continue
        with torch.device("meta"):
            layers = trunk(name, STAGES[-1])
        for stage in STAGES:
            part = layers.get_submodule("bn1" if stage == "stem" else stage)
            norms = [module for module in part.modules() if isinstance(module, nn.BatchNorm2d)]
            # A stage's last block ends in its last normalisation; the shortcut's stands in the first block.
            widths[name, stage] = norms[-1].num_features
    return widths


def places(channels: int) -> list[tuple[str, str]]:
    """(network, stage) where features have this many channels, in the order of the networks."""
    return [place for place, width in stage_widths().items() if width == channels]


def places_in_words(channels: int) -> str:
    """The first network of every stage where this width fits: "ResNet-18 layer4, ResNet-50 layer2"; "–" for none."""
    first: dict[str, str] = {}
    for network, stage in places(channels):
        first.setdefault(stage, f"{_TITLES.get(network, network)} {stage}")
    return ", ".join(first.values()) or "–"
