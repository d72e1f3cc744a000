"""Traced or exported at one size, every mechanism is right at others."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn
from torch.export import Dim

from attn.mechanisms import MECHANISMS
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock
from tests.test_spatial import random_block

C = 32
SIZES = [(6, 7), (9, 12), (4, 3)]  # exported at the first; more positions than channels, and fewer
pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of themselves


def module_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name in ("spatial", "spatial with encoding"):
        return random_block(C, encoding=SinusoidalEncoding2d(C) if "encoding" in name else None)
    module: Any = MECHANISMS[name].build(C)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def traced(module: nn.Module, x: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
    return torch.jit.trace(module, x)


def exported(module: nn.Module, x: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
    return torch.export.export(module, (x,), dynamic_shapes=({2: Dim.AUTO, 3: Dim.AUTO},)).module()


def onnx_old(module: nn.Module, x: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
    axes = {"x": {2: "height", 3: "width"}}
    torch.onnx.export(module, (x,), path / "old.onnx", dynamo=False, input_names=["x"], dynamic_axes=axes)
    return evaluated(path / "old.onnx")


def onnx(module: nn.Module, x: Tensor, path: Path) -> Callable[[Tensor], Tensor]:
    shapes = ({2: Dim.AUTO, 3: Dim.AUTO},)
    torch.onnx.export(module, (x,), path / "new.onnx", dynamo=True, dynamic_shapes=shapes, verbose=False)
    return evaluated(path / "new.onnx")


def evaluated(path: Path) -> Callable[[Tensor], Tensor]:
    session = ReferenceEvaluator(str(path))
    return lambda x: torch.as_tensor(session.run(None, {session.input_names[0]: x.numpy()})[0])


def check(
    module: nn.Module, export: Callable[[nn.Module, Tensor, Path], Callable[[Tensor], Tensor]], path: Path
) -> None:
    with torch.no_grad():
        again = export(module, torch.randn(1, C, *SIZES[0]), path)
        for size in SIZES:
            x = torch.randn(1, C, *size)
            torch.testing.assert_close(again(x), module(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("export", [traced, exported, onnx_old], ids=lambda export: export.__name__)
@pytest.mark.parametrize("name", [*MECHANISMS, "spatial with encoding"])
def test_every_mechanism_is_right_at_other_sizes(name: str, export: Callable[..., Any], tmp_path: Path) -> None:
    check(module_of(name), export, tmp_path)


@pytest.mark.parametrize("name", ["spatial", "spatial with encoding"])
def test_onnx_of_the_block_is_right_at_other_sizes(name: str, tmp_path: Path) -> None:
    check(module_of(name), onnx, tmp_path)


def test_a_traced_block_can_be_saved() -> None:
    block = AttnBlock(C)
    with torch.no_grad():
        saved = io.BytesIO()
        torch.jit.save(torch.jit.trace(block, torch.randn(1, C, 6, 7)), saved)
        saved.seek(0)
        x = torch.randn(2, C, 9, 12)
        torch.testing.assert_close(torch.jit.load(saved)(x), block(x), atol=1e-5, rtol=1e-5)
