"""Pretrained networks cut at a stage: photograph in, feature map out."""

from attn.stems.own_gates import GATED_NETWORKS, GatedNetwork, OwnGate, own_gates
from attn.stems.resnet import (
    BUNDLED_STAGES,
    DETAILS,
    MEAN,
    STAGES,
    STD,
    STEMS,
    GridTooLarge,
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
    "OwnGate",
    "ResNetStem",
    "StemUnavailable",
    "dilate",
    "own_gates",
    "stride_px",
    "to_image",
    "to_tensor",
    "trunk",
]
