"""Pretrained networks cut at a stage: photograph in, feature map out."""

from attn.stems.resnet import (
    BUNDLED_STAGES,
    MEAN,
    STAGES,
    STD,
    STEMS,
    GridTooLarge,
    ResNetStem,
    StemUnavailable,
    to_image,
    to_tensor,
    trunk,
)

__all__ = [
    "BUNDLED_STAGES",
    "MEAN",
    "STAGES",
    "STD",
    "STEMS",
    "GridTooLarge",
    "ResNetStem",
    "StemUnavailable",
    "to_image",
    "to_tensor",
    "trunk",
]
