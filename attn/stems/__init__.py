"""Pretrained networks cut at a stage: photograph in, feature map out."""

from attn.stems.base import GridTooLarge, Stem
from attn.stems.module import ModuleStem, StemError
from attn.stems.own_gates import GATED_NETWORKS, GatedNetwork, OwnGate, own_gates
from attn.stems.resnet import (
    BUNDLED_STAGES,
    DETAILS,
    MEAN,
    STAGES,
    STD,
    STEMS,
    ResNetStem,
    StemUnavailable,
    dilate,
    stride_px,
    to_image,
    to_tensor,
    trunk,
)

__all__ = [
    "BUNDLED_STAGES",
    "DETAILS",
    "GATED_NETWORKS",
    "MEAN",
    "STAGES",
    "STD",
    "STEMS",
    "GatedNetwork",
    "GridTooLarge",
    "ModuleStem",
    "OwnGate",
    "ResNetStem",
    "Stem",
    "StemError",
    "StemUnavailable",
    "dilate",
    "own_gates",
    "stride_px",
    "to_image",
    "to_tensor",
    "trunk",
]
