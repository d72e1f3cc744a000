"""The accelerator is used where there is one, and what comes out is the same."""

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from gradio.media import get_image
from torch import nn
from torch._subclasses import FakeTensorMode

from attn import AttnBlock, Inspector
from attn.device import best_device
from attn.images import open_image
from attn.mechanisms import MECHANISMS
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.stems import trunk
from tests.conftest import ROOT

CHEETAH = get_image("cheetah.jpg")
# Largest error of a float32 map in × uniform, as `Inspector` and the README state it.
STATED_ERROR = 0.01


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_accelerator_is_taken_where_there_is_one(
    cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert best_device() == torch.device(expected)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert best_device() == torch.device("cpu")


def test_the_inspector_asks_once_and_a_given_device_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attn.inspector.best_device", lambda: torch.device("meta"))
    inspector = Inspector()
    modules: list[nn.Module] = [inspector.stem, inspector.block, *inspector.mechanisms.values()]
    assert {p.device.type for module in modules for p in module.parameters()} == {"meta"}
    assert Inspector(device="cpu").device == torch.device("cpu")


def test_importing_asks_nothing_of_cuda() -> None:
    script = "import torch, attn, attn.command; assert not torch.cuda.is_initialized()"
    script = "import torch; torch.cuda.is_available = lambda: 1 / 0\n" + script
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=dict(os.environ), check=True)


def module_of(name: str) -> nn.Module:
    if name == "spatial":
        return AttnBlock(64, encoding=SinusoidalEncoding2d(64))
    if name == "stem":
        return trunk("resnet18", "layer1").eval()
    return MECHANISMS[name].build(64)


@pytest.mark.parametrize("name", ["stem", *MECHANISMS])
def test_no_tensor_stays_on_the_processor(name: str) -> None:
    # Fake tensors know their device and refuse to meet another's, without the device being there.
    with torch.no_grad(), FakeTensorMode():
        with torch.device("cuda:0"):
            module = module_of(name)
        x = torch.zeros(1, 3 if name == "stem" else 64, 12, 10, device="cuda:0")
        calls: list[Callable[[], torch.Tensor]] = [lambda: module(x)]
        if name != "stem":
            calls += [lambda: module(x, return_attention=True)[1]]
        if isinstance(module, AttnBlock):
            calls += [lambda: module.queries_keys(x)[1]]
        assert {call().device.type for call in calls} == {"cuda"}


def test_float32_maps_are_within_the_stated_error() -> None:
    inspector = Inspector(device="cpu")
    encoding = inspector.encode(CHEETAH)
    pixels = inspector.stem.preprocess(open_image(CHEETAH)).double()
    with torch.inference_mode():
        queries, keys = inspector.block.double().queries_keys(inspector.stem.double()(pixels))
    exact = (queries[0] @ keys[0].T).softmax(dim=-1).numpy()
    error = np.abs(encoding.attention - exact).max() * len(exact)
    assert 0 < error < STATED_ERROR


@pytest.mark.skipif(best_device().type == "cpu", reason="no accelerator")
def test_an_accelerator_agrees_with_the_processor() -> None:
    tf32, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        fast, slow = (Inspector(device=device).inspect(CHEETAH) for device in (None, "cpu"))
    finally:
        torch.backends.cudnn.allow_tf32 = tf32
    assert np.abs(fast.attention - slow.attention).max() * len(slow.queries) < 2 * STATED_ERROR
    for name, result in slow.mechanisms.items():
        np.testing.assert_allclose(fast.mechanisms[name].output, result.output, rtol=1e-3, atol=1e-3)
