import hashlib
import json
import math
import threading
import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from attn import bundled
from attn.checkpoints import (
    SOURCES,
    DamagedWeights,
    WeightsError,
    WeightsInfo,
    WeightsUnavailable,
    build_attention,
    build_mechanism,
    has_trained,
    has_tuned,
)
from attn.checkpoints.sources import TRAINED_SIDES, similarity_temperature
from attn.mechanisms import MECHANISMS
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock
from tests import corpus

C = 64
OTHERS = [name for name in MECHANISMS if name != "spatial"]
HERE = {"stem": "bundled", "stage": "layer3"}


def features(seed: int = 0) -> Tensor:
    return torch.randn(1, C, 5, 7, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def channel_module(name: str) -> nn.Module:
    return MECHANISMS[name].build(C)


@pytest.fixture
def trained_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bundled weights with blocks "trained" for layer3, and its manifest."""
    torch.manual_seed(7)
    modules = {
        "attn": AttnBlock(C),
        "attn_position": AttnBlock(C),
        **{n: channel_module(n) for n in OTHERS},
    }
    tensors = {f"{name}.{key}": t for name, module in modules.items() for key, t in module.state_dict().items()}
    save_file(tensors, tmp_path / "attention_layer3.safetensors")
    digest = hashlib.sha256((tmp_path / "attention_layer3.safetensors").read_bytes()).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps({"attention_layer3.safetensors": {"sha256": digest}}))
    monkeypatch.setattr(bundled, "WEIGHTS_DIR", tmp_path)
    return tmp_path


def test_sources() -> None:
    assert SOURCES == ("trained", "tuned", "similarity", "random", "file")


class TestSimilarity:
    def test_it_computes_what_it_says(self) -> None:
        block, info = build_attention(C, "similarity", **HERE)
        x = features()
        normalised = nn.GroupNorm(32, C, eps=1e-6)(x)[0].flatten(1).T.detach()  # (N, C)
        expected = (8 * normalised @ normalised.T / C).softmax(dim=-1)
        y, attention = block(x, return_attention=True)
        assert torch.allclose(attention[0], expected, atol=1e-5)
        assert torch.allclose(y[0].flatten(1).T, x[0].flatten(1).T + expected @ normalised, atol=1e-4)
        assert info == WeightsInfo("similarity", detail={"temperature": 1.0})

    @pytest.mark.parametrize(("channels", "temperature"), [(64, 1.0), (256, 2.0), (1024, 4.0)])
    def test_temperature_follows_the_channels(self, channels: int, temperature: float) -> None:
        assert similarity_temperature(channels) == temperature
        assert build_attention(channels, "similarity", **HERE)[0].temperature == temperature

    def test_own_temperature(self) -> None:
        block, info = build_attention(C, "similarity", **HERE, temperature=0.25)
        assert block.temperature == info.detail["temperature"] == 0.25


class TestRandom:
    @pytest.mark.parametrize("seed", [0, 3, 2**40])
    def test_numbers_are_pytorchs_own(self, seed: int) -> None:
        block, info = build_attention(C, "random", **HERE, seed=seed)
        torch.manual_seed(seed)
        expected = AttnBlock(C).state_dict()
        assert block.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in block.state_dict().items())
        assert info == WeightsInfo("random", seed=seed, detail={"temperature": 1.0})

    @pytest.mark.parametrize("name", OTHERS)
    def test_channel_numbers_are_pytorchs_own(self, name: str) -> None:
        module, info = build_mechanism(name, C, "random", **HERE, seed=5)
        torch.manual_seed(5)
        expected = channel_module(name).state_dict()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in module.state_dict().items())
        assert info == WeightsInfo("random", seed=5)

    def test_the_global_generator_is_not_touched(self) -> None:
        before = torch.get_rng_state()
        for source in ("random", "similarity"):
            build_attention(C, source, **HERE)
        for name in OTHERS:
            build_mechanism(name, C, "random", **HERE)
        assert torch.equal(torch.get_rng_state(), before)

    def test_threads_do_not_disturb_each_other(self) -> None:
        expected = {seed: build_attention(C, "random", **HERE, seed=seed)[0].q.weight for seed in range(8)}
        seen: dict[int, Tensor] = {}

        def build(seed: int) -> None:
            seen[seed] = build_attention(C, "random", **HERE, seed=seed)[0].q.weight

        threads = [threading.Thread(target=build, args=(seed,)) for seed in expected]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(torch.equal(seen[seed], weight) for seed, weight in expected.items())
        assert not torch.equal(expected[0], expected[1])

    @pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, math.nan])
    def test_seeds_that_are_none(self, seed: float) -> None:
        with pytest.raises(ValueError, match="expected a seed from 0 to"):
            build_attention(C, "random", **HERE, seed=seed)  # type: ignore[arg-type]


class TestTrained:
    def test_there_is_one_for_the_bundled_space_only(self, trained_dir: Path) -> None:
        assert has_trained("bundled", "layer3")
        assert has_trained("resnet18", "layer3")
        assert not has_trained("bundled", "layer2")  # no such file in this folder
        assert not has_trained("resnet50", "layer3")
        assert not has_trained("bundled", "layer1")

    @pytest.mark.parametrize(("position", "mechanism"), [(True, "attn_position"), (False, "attn")])
    def test_with_and_without_position(self, trained_dir: Path, position: bool, mechanism: str) -> None:
        block, info = build_attention(C, "trained", **HERE, position=position)
        stored = load_file(trained_dir / "attention_layer3.safetensors")
        assert all(torch.equal(t, stored[f"{mechanism}.{key}"]) for key, t in block.state_dict().items())
        assert isinstance(block.encoding, SinusoidalEncoding2d) == position
        assert info.file == "attention_layer3.safetensors"
        assert info.detail == {"temperature": 1.0, "position": position, "sides": TRAINED_SIDES}
        assert not block.training

    @pytest.mark.parametrize("name", OTHERS)
    def test_channel_mechanisms(self, trained_dir: Path, name: str) -> None:
        module, info = build_mechanism(name, C, "trained", **HERE)
        stored = load_file(trained_dir / "attention_layer3.safetensors")
        assert all(torch.equal(t, stored[f"{name}.{key}"]) for key, t in module.state_dict().items())
        assert info == WeightsInfo("trained", file="attention_layer3.safetensors")

    def test_none_for_other_networks(self, trained_dir: Path) -> None:
        with pytest.raises(WeightsUnavailable, match="no trained weights for resnet50 at layer3"):
            build_attention(C, "trained", stem="resnet50", stage="layer3")

    def test_tuned_ones_are_their_own_file_and_only_for_the_bundled_network(
        self, trained_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not has_tuned("bundled", "layer3")
        stored = {key: 2 * t for key, t in load_file(trained_dir / "attention_layer3.safetensors").items()}
        save_file(stored, trained_dir / "tuned_layer3.safetensors")
        digest = hashlib.sha256((trained_dir / "tuned_layer3.safetensors").read_bytes()).hexdigest()
        (trained_dir / "manifest.json").write_text(json.dumps({"tuned_layer3.safetensors": {"sha256": digest}}))
        assert has_tuned("bundled", "layer3")
        assert not has_tuned("resnet18", "layer3")
        block, info = build_attention(C, "tuned", **HERE)
        assert torch.equal(block.q.weight, stored["attn_position.q.weight"])
        assert (info.source, info.file, info.detail["position"]) == ("tuned", "tuned_layer3.safetensors", True)
        gate, info = build_mechanism("se", C, "tuned", **HERE)
        assert torch.equal(gate.fc1.weight, stored["se.fc1.weight"])
        assert info == WeightsInfo("tuned", file="tuned_layer3.safetensors")
        for stem, stage in (("resnet18", "layer3"), ("bundled", "layer2")):
            with pytest.raises(WeightsUnavailable, match=f"{stem} has no tuned weights at {stage}"):
                build_attention(C, "tuned", stem=stem, stage=stage)

    def test_missing_file(self, trained_dir: Path) -> None:
        with pytest.raises(WeightsUnavailable, match=r"attention_layer2\.safetensors are missing"):
            build_attention(C, "trained", stem="bundled", stage="layer2")

    def test_damaged_file(self, trained_dir: Path) -> None:
        path = trained_dir / "attention_layer3.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        with pytest.raises(DamagedWeights, match=r"damaged .*please restore"):
            build_attention(C, "trained", **HERE)
        with pytest.raises(DamagedWeights):
            build_mechanism("se", C, "trained", **HERE)

    def test_right_hash_but_no_safetensors(self, trained_dir: Path) -> None:
        path = trained_dir / "attention_layer3.safetensors"
        path.write_bytes(b"words")
        digest = hashlib.sha256(b"words").hexdigest()
        (trained_dir / "manifest.json").write_text(json.dumps({path.name: {"sha256": digest}}))
        with pytest.raises(DamagedWeights, match="not a safetensors file"):
            build_attention(C, "trained", **HERE)

    def test_wrong_channels(self, trained_dir: Path) -> None:
        with pytest.raises(WeightsUnavailable, match="no fitting block attn_position"):
            build_attention(128, "trained", **HERE)


class TestFile:
    @pytest.mark.parametrize("prefix", ["", "encoder.mid.attn_1.", "first_stage_model.decoder.mid.attn_1."])
    def test_a_block_under_any_prefix(self, tmp_path: Path, prefix: str) -> None:
        path = tmp_path / "mine.safetensors"
        others = {
            "encoder.conv_in.weight": torch.zeros(3),
            "seq.weight": torch.zeros(2),
            **corpus.block_tensors(32, "x."),
        }
        save_file(corpus.block_tensors(C, prefix) | others, path)
        block, info = build_attention(C, "file", **HERE, file=path)
        assert all(torch.equal(t, corpus.block_tensors(C)[key]) for key, t in block.state_dict().items())
        assert info.source == "file"
        assert info.file == "mine.safetensors"
        assert info.detail == {
            "temperature": 1.0,
            "block": prefix.removesuffix("."),
            "layout": "vqgan",
            "dtype": "float32",
            "heads": 1,
        }

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_other_precisions(self, tmp_path: Path, dtype: torch.dtype) -> None:
        path = tmp_path / "mine.safetensors"
        save_file({key: t.to(dtype) for key, t in corpus.block_tensors(C).items()}, path)
        block, _ = build_attention(C, "file", **HERE, file=path)
        assert block.q.weight.dtype == torch.float32
        assert torch.allclose(block.q.weight, corpus.block_tensors(C)["q.weight"], atol=0.05)

    @pytest.mark.parametrize("name", corpus.bad_weights())
    def test_bad_files_end_in_one_sentence(self, tmp_path: Path, name: str) -> None:
        marker = tmp_path / "code-ran"
        data, part = corpus.bad_weights(C, str(marker))[name]
        path = tmp_path / "mine.safetensors"
        path.write_bytes(data)
        tracemalloc.start()
        with pytest.raises(WeightsError) as caught:
            build_attention(C, "file", **HERE, file=path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        sentence = str(caught.value)
        assert part in sentence
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert not marker.exists()
        assert peak < 4_000_000

    def test_every_length_of_a_cut_file(self, tmp_path: Path) -> None:
        data = save(corpus.block_tensors(C))
        path = tmp_path / "mine.safetensors"
        for length in (*range(0, 1200, 50), len(data) - 1):
            path.write_bytes(data[:length])
            with pytest.raises(WeightsError):
                build_attention(C, "file", **HERE, file=path)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="No weights file was given"):
            build_attention(C, "file", **HERE)
        for path in (tmp_path / "absent.safetensors", Path("nul\0l")):
            with pytest.raises(WeightsError, match="cannot be opened"):
                build_attention(C, "file", **HERE, file=path)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_temperatures_that_are_none(temperature: float) -> None:
    with pytest.raises(ValueError, match="finite temperature above 0"):
        build_attention(C, "random", **HERE, temperature=temperature)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="source to be one of trained, tuned, similarity, random, file, got 'pickle'"):
        build_attention(C, "pickle", **HERE)
    with pytest.raises(ValueError, match="source to be trained, tuned or random, got 'file'"):
        build_mechanism("se", C, "file", **HERE)
    with pytest.raises(ValueError, match=r"mechanism of spatial, se, eca, .* got 'sge'"):
        build_mechanism("sge", C, "random", **HERE)


def test_modules_are_frozen_and_in_eval_mode() -> None:
    for module in (build_attention(C, "random", **HERE)[0], build_mechanism("xca", C, "random", **HERE)[0]):
        assert not module.training
        assert not any(p.requires_grad for p in module.parameters())
