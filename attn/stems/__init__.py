"""Pretrained networks cut at a stage: photograph in, feature map out."""

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
    "MEAN",
    "STAGES",
    "STD",
    "STEMS",
    "GridTooLarge",
    "ResNetStem",
    "StemUnavailable",
    "dilate",
    "stride_px",
    "to_image",
    "to_tensor",
    "trunk",
]
