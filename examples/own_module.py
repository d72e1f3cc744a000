"""Anyone's attention, seen as the built-in mechanisms are: python examples/own_module.py [photograph]"""

import sys

import torch
from gradio.media import get_image
from timm.layers import EcaModule
from timm.layers.cbam import CbamModule
from torch import nn
from torchvision.ops import SqueezeExcitation

from attn import Inspector


class Sharpen(nn.Module):  # no protocol at all: what it weighs cannot be seen
    def forward(self, x):
        return 2 * x - nn.functional.avg_pool2d(x, 3, 1, 1)


class SpatialGate(nn.Module):  # a sigmoid is seen when it is called
    def forward(self, x):
        return x * torch.sigmoid(x.mean(1, keepdim=True) - x.mean())


class Nearest(nn.Module):  # an attribute named `attention` is found
    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)  # (b, N, C)
        self.attention = torch.softmax(-torch.cdist(tokens, tokens), dim=-1)  # (b, query, key)
        return x + (self.attention @ tokens).transpose(1, 2).view_as(x)


inspector = Inspector(
    mechanisms={
        "se_tv": lambda channels: SqueezeExcitation(channels, channels // 16),
        "eca_timm": EcaModule,
        "cbam_timm": CbamModule,
        "sharpen": Sharpen(),
        "spatial_gate": SpatialGate(),
        "nearest": Nearest(),
    }
)
for name, result in inspector.inspect(sys.argv[1] if len(sys.argv) > 1 else get_image("lion.jpg")).mechanisms.items():
    shape = "" if result.weights is None else str(result.weights.shape)
    print(f"{name:14}{result.title:34}{result.kind:14}{shape:14}change {result.change:.3f}  {result.note or ''}")
