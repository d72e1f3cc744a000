import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.ops import SqueezeExcitation

from attn.stems import StemUnavailable, to_tensor
from attn.stems.own_gates import GATED_NETWORKS, GatedNetwork, own_gates
from tests.conftest import put_into_cache

BLOCKS = {"efficientnet_b0": 16, "regnet_y_400mf": 16, "mobilenet_v3_large": 8}
STRIDES_PX = {"efficientnet_b0": {2, 4, 8, 16, 32}, "regnet_y_400mf": {4, 8, 16, 32}, "mobilenet_v3_large": {8, 16, 32}}


def in_cache(checkpoints: Path, name: str) -> nn.Module:
    """A network with random weights, which torchvision will find where it keeps downloaded ones."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, SqueezeExcitation):
            nn.init.normal_(module.fc2.bias, std=2.0)
    put_into_cache(checkpoints, name, network)
    return network


def photograph(seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((200, 150), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("name", GATED_NETWORKS)
def test_gates_are_those_of_torchvisions_network(checkpoints: Path, name: str) -> None:
    network = in_cache(checkpoints, name)
    paths = [path for path, module in network.named_modules() if isinstance(module, SqueezeExcitation)]
    assert len(paths) == BLOCKS[name]
    gates = own_gates(name, photograph(), 128)
    assert [gate.name for gate in gates] == paths
    assert [gate.depth for gate in gates] == list(range(len(paths)))
    assert {gate.depths for gate in gates} == {len(paths)}
    assert {gate.stride_px for gate in gates} == STRIDES_PX[name]
    assert all(gate.grid == (96 // gate.stride_px, 128 // gate.stride_px) for gate in gates)
    inputs = {}
    for path in paths:
        network.get_submodule(path).register_forward_pre_hook(lambda _, args, path=path: inputs.update({path: args[0]}))
    with torch.inference_mode():
        network(to_tensor(photograph(), (96, 128)))
        expected = {path: network.get_submodule(path)._scale(x) for path, x in inputs.items()}  # torchvision's own
    for gate in gates:
        assert inputs[gate.name].shape[2:] == gate.grid
        assert gate.gates.dtype == np.float32
        assert gate.gates.shape == (expected[gate.name].shape[1],)
        assert np.abs(gate.gates - expected[gate.name].flatten().numpy()).max() < 1e-5
        assert 0 <= gate.gates.min() < gate.gates.max() <= 1
        assert gate.name.startswith(f"{gate.stage}.")


def test_the_global_generator_is_not_touched(checkpoints: Path) -> None:
    in_cache(checkpoints, "regnet_y_400mf")
    before = torch.get_rng_state()
    GatedNetwork("regnet_y_400mf")
    assert torch.equal(torch.get_rng_state(), before)


def test_they_depend_on_the_photograph(checkpoints: Path) -> None:
    in_cache(checkpoints, "mobilenet_v3_large")
    network = GatedNetwork("mobilenet_v3_large")
    one, other = network.gates(photograph(0), 96), network.gates(photograph(1), 96)
    again = own_gates(network, photograph(0), 96)
    assert all(np.array_equal(a.gates, b.gates) for a, b in zip(one, again, strict=True))
    assert not any(np.array_equal(a.gates, b.gates) for a, b in zip(one, other, strict=True))


def test_threads_do_not_hear_each_other(checkpoints: Path) -> None:
    in_cache(checkpoints, "mobilenet_v3_large")
    network = GatedNetwork("mobilenet_v3_large")
    expected = {seed: network.gates(photograph(seed), 64) for seed in range(6)}
    seen = {}

    def ask(seed: int) -> None:
        seen[seed] = network.gates(photograph(seed), 64)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, gates in expected.items():
        assert [gate.name for gate in seen[seed]] == [gate.name for gate in gates]
        assert all(np.array_equal(a.gates, b.gates) for a, b in zip(seen[seed], gates, strict=True))


def test_shapes_of_pictures(checkpoints: Path) -> None:
    in_cache(checkpoints, "mobilenet_v3_large")
    network = GatedNetwork("mobilenet_v3_large")
    assert network.gates(Image.new("RGB", (1000, 10)), 100)[-1].grid == (1, 3)
    with pytest.raises(ValueError, match="at least 32 px, got 31"):
        network.gates(photograph(), 31)


def test_offline_it_says_so(checkpoints: Path) -> None:
    with pytest.raises(StemUnavailable) as caught:
        own_gates("efficientnet_b0", photograph())
    assert str(caught.value) == (
        "The weights of efficientnet_b0 could not be downloaded (no network in tests), so its own gates are not shown: "
        f"connect to the network, or put efficientnet_b0_rwightman-7f5810bc.pth into {checkpoints}."
    )


def test_a_damaged_file(checkpoints: Path) -> None:
    name = Path(torchvision.models.get_model_weights("regnet_y_400mf")["IMAGENET1K_V1"].url).name
    (checkpoints / name).write_bytes(b"words")
    with pytest.raises(StemUnavailable, match="are damaged: please delete the file"):
        GatedNetwork("regnet_y_400mf")


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="network of efficientnet_b0, regnet_y_400mf, mobilenet_v3_large, got 'vgg'"):
        own_gates("vgg", photograph())
