"""Every published layout, built with its library's own class, gives the same output: `-k parity -s` shows errors."""

import json
import math
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from diffusers import AutoencoderKL, UNet2DModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from safetensors.torch import load_file, save, save_file
from timm.layers import EcaModule, SEModule
from timm.layers.cbam import CbamModule, ChannelAttn
from timm.layers.squeeze_excite import SqueezeExciteCl
from timm.models.xcit import XCA
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from attn import Inspector
from attn.bundled import WEIGHTS_DIR
from attn.checkpoints import WeightsError, build_attention, list_blocks
from attn.checkpoints.files import MAX_HEADER_BYTES, MAX_TENSORS
from attn.checkpoints.fits import places, stage_widths
from attn.checkpoints.modules import read_block
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.stems import ResNetStem
from tests import corpus, published

C = 64
GRIDS = ((5, 7), (9, 10))  # fewer positions than channels, and more: the block computes these in two ways


def lively(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with parameters that leave nothing out: no zero γ, no norm that is the identity."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        is_scale = "norm" in name and name.endswith("weight")
        parameter.data = 1 + 0.3 * noise if is_scale else noise / math.sqrt(max(parameter[0].numel(), 4))
    return module.eval()


def features(channels: int, grid: tuple[int, int]) -> Tensor:
    return torch.randn(2, channels, *grid, generator=torch.Generator().manual_seed(3)) * 1.5 + 0.5


def saved(path: Path, module: nn.Module, prefix: str = "", **metadata: str) -> Path:
    weights = {f"{prefix}{key}": tensor.contiguous() for key, tensor in module.state_dict().items()}
    save_file(weights, path, metadata or None)
    return path


def largest_error(ours: nn.Module, theirs: Callable[[Tensor], Tensor], channels: int) -> float:
    """The largest difference between two modules' outputs, relative to the largest output, in float32."""
    errors = []
    with torch.inference_mode():
        for grid in GRIDS:
            x = features(channels, grid)
            expected = theirs(x)
            errors.append(float((ours(x) - expected).abs().max() / expected.abs().max()))
    return max(errors)


def linear_as_convolutions(module: nn.Module) -> nn.Module:
    """Linear layers' weights as 1×1 convolutions, as autoencoders converted from latent diffusion have them."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.data = layer.weight.data[..., None, None]
    return module


def gate_last(module: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x: module(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def xca_with_input(module: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x: x + module(x.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(x)


def diffusers_attention(**options: object) -> Attention:
    defaults = {
        "heads": 1,
        "dim_head": C,
        "norm_num_groups": 32,
        "eps": 1e-6,
        "residual_connection": True,
        "bias": True,
    }
    return Attention(C, **{**defaults, **options})


def spectral(module: nn.Module, new: bool) -> nn.Module:
    for name in ("query_conv", "key_conv", "value_conv"):
        layer = getattr(module, name)
        if new:
            nn.utils.parametrizations.spectral_norm(layer)
        else:
            nn.utils.spectral_norm(layer)
    module.train()(features(C, GRIDS[0]))  # one step of the power iteration
    return module.eval()


# name → module, prefix, layout, mechanism, what the module computes where it takes another shape.
SINGLE: dict[str, tuple[Callable[[], nn.Module], str, str, str, Callable[[nn.Module], Callable[[Tensor], Tensor]]]] = {
    "VQGAN / CompVis, bare": (lambda: published.CompVisAttnBlock(C), "", "vqgan", "spatial", lambda m: m),
    "latent diffusion, decoder.mid.attn_1": (
        lambda: published.CompVisAttnBlock(C),
        "first_stage_model.decoder.mid.attn_1.",
        "vqgan",
        "spatial",
        lambda m: m,
    ),
    "taming, up.4.attn.2": (lambda: published.CompVisAttnBlock(C), "up.4.attn.2.", "vqgan", "spatial", lambda m: m),
    "diffusers Attention (Linear)": (diffusers_attention, "a.", "diffusers", "spatial", lambda m: m),
    "diffusers Attention without q, k, v biases": (
        lambda: diffusers_attention(bias=False),
        "",
        "diffusers",
        "spatial",
        lambda m: m,
    ),
    "diffusers before 0.15 (query, key, value, proj_attn)": (
        lambda: published.OldDiffusersAttentionBlock(C),
        "decoder.mid_block.attentions.0.",
        "diffusers_old",
        "spatial",
        lambda m: m,
    ),
    "LDM qkv, legacy order": (lambda: published.QkvAttentionBlock(C), "x.", "fused_qkv", "spatial", lambda m: m),
    "LDM qkv, new order": (
        lambda: published.QkvAttentionBlock(C, new_order=True),
        "",
        "fused_qkv",
        "spatial",
        lambda m: m,
    ),
    "SAGAN / DANet PAM": (lambda: published.SaganAttention(C), "attn1.", "sagan", "spatial", lambda m: m),
    "SAGAN under spectral norm (old)": (
        lambda: spectral(lively(published.SaganAttention(C)), new=False),
        "",
        "sagan",
        "spatial",
        lambda m: m,
    ),
    "SAGAN under spectral norm (parametrization)": (
        lambda: spectral(lively(published.SaganAttention(C)), new=True),
        "net.attn.",
        "sagan",
        "spatial",
        lambda m: m,
    ),
    "SE, torchvision": (lambda: SqueezeExcitation(C, 8), "layer.se.", "se", "se", lambda m: m),
    "SE, timm SEModule": (lambda: SEModule(C), "", "se", "se", lambda m: m),
    "SE, timm channels last (Linear)": (lambda: SqueezeExciteCl(C), "s.", "se", "se", gate_last),
    "SE, original (Linear, no biases)": (lambda: published.SELayer(C), "layer1.0.se.", "se_linear", "se", lambda m: m),
    "SE, original with biases": (lambda: published.SELayer(C, 4, bias=True), "", "se_linear", "se", lambda m: m),
    "ECA, timm EcaModule": (lambda: EcaModule(C), "layer1.0.se.", "eca", "eca", lambda m: m),
    "ECA, authors', kernel 7": (lambda: published.ECALayer(7), "", "eca", "eca", lambda m: m),
    "CBAM, authors' ChannelGate": (
        lambda: published.CbamChannelGate(C),
        "layer1.0.cbam.ChannelGate.",
        "cbam",
        "cbam",
        lambda m: m,
    ),
    "CBAM, timm ChannelAttn": (lambda: ChannelAttn(C), "layer1.0.se.channel.", "cbam_convolution", "cbam", lambda m: m),
    "CBAM, timm ChannelAttn with biases": (
        lambda: ChannelAttn(C, mlp_bias=True),
        "channel.",
        "cbam_convolution",
        "cbam",
        lambda m: m,
    ),
    "CAM, DANet": (published.DanetChannelAttention, "head.sc.", "cam", "cam", lambda m: m),
    "XCA, timm, 8 heads": (lambda: XCA(C), "blocks.0.attn.", "xca", "xca", xca_with_input),
    "XCA, timm, 4 heads, qkv bias": (lambda: XCA(C, num_heads=4, qkv_bias=True), "", "xca", "xca", xca_with_input),
}


@pytest.mark.parametrize("name", SINGLE)
def test_parity(tmp_path: Path, name: str) -> None:
    build, prefix, layout, mechanism, call = SINGLE[name]
    module = build() if "spectral" in name else lively(build())
    path = saved(tmp_path / "mine.safetensors", module, prefix)
    ours, found = read_block(path, C)
    assert (found.layout, found.mechanism, found.name) == (layout, mechanism, prefix.removesuffix("."))
    assert found.refusal is None
    assert found.dtype == "float32"
    error = largest_error(ours, call(module), C)
    print(f"\n{name}: {error:.1e}", end="")
    assert error < 1e-5
    exact = largest_error_in_double(ours, call(module.double()))
    print(f" (float64: {exact:.1e})", end="")
    assert exact < 1e-6


def largest_error_in_double(ours: nn.Module, theirs: Callable[[Tensor], Tensor]) -> float:
    x = features(C, GRIDS[1]).double()
    with torch.inference_mode():
        return float((ours.double()(x) - theirs(x)).abs().max())


def test_parity_of_convolutions_of_diffusers(tmp_path: Path) -> None:
    module = lively(diffusers_attention())
    x = features(C, GRIDS[1])
    with torch.inference_mode():
        expected = module(x)
    path = saved(tmp_path / "mine.safetensors", linear_as_convolutions(module), "decoder.mid_block.attentions.0.")
    ours, found = read_block(path, C)
    assert (found.layout, found.heads) == ("diffusers", 1)
    error = float((ours(x) - expected).abs().max() / expected.abs().max())
    print(f"\ndiffusers Attention (1×1 convolutions): {error:.1e}", end="")
    assert error < 1e-5


def test_old_names_are_what_diffusers_itself_takes_them_for() -> None:
    """The block written out in `published` is the one diffusers converts: the same weights, the same output."""
    old = lively(published.OldDiffusersAttentionBlock(C))
    now = diffusers_attention()
    names = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0", "group_norm": "group_norm"}
    now.load_state_dict({f"{names[key.split('.')[0]]}.{key.split('.')[1]}": t for key, t in old.state_dict().items()})
    assert largest_error(now, old, C) < 1e-5


@pytest.fixture(scope="module")
def autoencoder() -> AutoencoderKL:
    torch.manual_seed(0)
    model = AutoencoderKL(
        block_out_channels=(32, 64),
        down_block_types=("AttnDownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "AttnUpDecoderBlock2D"),
        layers_per_block=1,
    )
    return lively(model)  # type: ignore[return-value]


class TestWholeModels:
    """Files as the libraries write them, with everything else that is in them."""

    def test_parity_of_an_autoencoder(self, tmp_path: Path, autoencoder: AutoencoderKL) -> None:
        autoencoder.save_pretrained(tmp_path / "vae")
        blocks = list_blocks(tmp_path / "vae")
        assert [(block.name, block.channels, block.heads) for block in blocks] == [
            ("decoder.mid_block.attentions.0", 64, 1),
            ("decoder.up_blocks.1.attentions.0", 32, 1),
            ("decoder.up_blocks.1.attentions.1", 32, 1),
            ("encoder.down_blocks.0.attentions.0", 32, 1),
            ("encoder.mid_block.attentions.0", 64, 1),
        ]
        for block in blocks:
            assert block.channels
            ours, found = read_block(tmp_path / "vae", block.channels, block.name)
            assert found == block
            error = largest_error(ours, autoencoder.get_submodule(block.name), block.channels)
            print(f"\ndiffusers AutoencoderKL, {block.name}: {error:.1e}", end="")
            assert error < 1e-5

    def test_shards_with_an_index(self, tmp_path: Path, autoencoder: AutoencoderKL) -> None:
        autoencoder.save_pretrained(tmp_path / "vae", max_shard_size="100KB")
        assert len(list((tmp_path / "vae").glob("*.safetensors"))) > 2
        (index,) = (tmp_path / "vae").glob("*.safetensors.index.json")
        name = "encoder.mid_block.attentions.0"
        held = {file for key, file in json.loads(index.read_text())["weight_map"].items() if key.startswith(name)}
        assert len(held) > 1  # the block itself lies in several shards
        for path in (index, tmp_path / "vae"):
            assert len(list_blocks(path)) == 5
            ours, _ = read_block(path, 64, name)
            assert largest_error(ours, autoencoder.get_submodule(name), 64) < 1e-5

    def test_parity_of_a_unet_whose_config_tells_its_heads(self, tmp_path: Path) -> None:
        def unet(width: int | None, folder: str) -> UNet2DModel:
            torch.manual_seed(0)
            model = UNet2DModel(
                block_out_channels=(32, 64),
                down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                up_block_types=("AttnUpBlock2D", "UpBlock2D"),
                layers_per_block=1,
                attention_head_dim=width,
            )
            lively(model).save_pretrained(tmp_path / folder)  # type: ignore[operator]
            return model

        one = unet(None, "one")
        name = "mid_block.attentions.0"
        ours, found = read_block(tmp_path / "one", C, name)
        assert found.heads == 1
        error = largest_error(ours, one.get_submodule(name), C)
        print(f"\ndiffusers UNet2DModel of one head, {name}: {error:.1e}", end="")
        assert error < 1e-5
        unet(8, "eight")
        with pytest.raises(WeightsError, match=rf"{name} has 8 heads, each with a map of its own"):
            read_block(tmp_path / "eight", C, name)
        (tmp_path / "one" / "config.json").unlink()
        with pytest.raises(WeightsError, match=r"the file does not say how many: please bring config\.json"):
            read_block(tmp_path / "one", C, name)

    @pytest.mark.parametrize(
        ("network", "layout", "name", "channels", "part"),
        [
            ("seresnet18", "se", "layer4.1.se", 512, "layer4.1.se"),
            ("ecaresnet26t", "eca", "layer2.0.se", 128, "layer2.0.se"),
            ("regnety_002", "se", "s3.b2.se", 152, "s3.b2.se"),
        ],
    )
    def test_parity_of_timms_networks(
        self, tmp_path: Path, network: str, layout: str, name: str, channels: int, part: str
    ) -> None:
        model = lively(timm.create_model(network))
        path = saved(tmp_path / "mine.safetensors", model)
        ours, found = read_block(path, channels, name)
        assert found.layout == layout
        error = largest_error(ours, model.get_submodule(part), channels)
        print(f"\ntimm {network}, {name}: {error:.1e}", end="")
        assert error < 1e-5

    def test_parity_of_torchvisions_regnet(self, tmp_path: Path) -> None:
        model = lively(torchvision.models.regnet_y_400mf(weights=None))
        path = saved(tmp_path / "mine.safetensors", model)
        names = [name for name, part in model.named_modules() if isinstance(part, SqueezeExcitation)]
        blocks = {block.name: block for block in list_blocks(path)}
        assert blocks.keys() == set(names)
        ours, _ = read_block(path, blocks[names[-1]].channels or 0, names[-1])
        error = largest_error(ours, model.get_submodule(names[-1]), blocks[names[-1]].channels or 0)
        print(f"\ntorchvision regnet_y_400mf, {names[-1]}: {error:.1e}", end="")
        assert error < 1e-5

    def test_a_transformers_xca_among_its_other_attention(self, tmp_path: Path) -> None:
        model = lively(timm.create_model("xcit_nano_12_p16_224"))
        blocks = list_blocks(saved(tmp_path / "mine.safetensors", model))
        assert [block.name for block in blocks] == [f"blocks.{i}.attn" for i in range(12)]
        assert {(block.channels, block.heads, block.kind) for block in blocks} == {(128, 4, "channel_map")}

    def test_whole_cbam_gives_its_channel_half(self, tmp_path: Path) -> None:
        for module, name in ((published.Cbam(C), "ChannelGate"), (CbamModule(C), "channel")):
            lively(module)
            ours, found = read_block(saved(tmp_path / "mine.safetensors", module), C)
            assert found.name == name
            assert largest_error(ours, module.get_submodule(name), C) < 1e-5


class TestOurOwnFiles:
    @pytest.mark.parametrize("stage", ["layer2", "layer3"])
    def test_every_block_of_a_bundle(self, stage: str) -> None:
        path = WEIGHTS_DIR / f"attention_{stage}.safetensors"
        blocks = list_blocks(path)
        assert [(block.name, block.mechanism) for block in blocks] == [
            ("attn", "spatial"),
            ("attn_position", "spatial"),
            ("cam", "cam"),
            ("cbam", "cbam"),
            ("eca", "eca"),
            ("se", "se"),
            ("xca", "xca"),
        ]
        channels = blocks[0].channels or 0
        for position, name in ((False, "attn"), (True, "attn_position")):
            trained, _ = build_attention(channels, "trained", stem="bundled", stage=stage, position=position)
            ours, info = build_attention(channels, "file", stem="bundled", stage=stage, file=path, file_block=name)
            assert isinstance(ours.encoding, SinusoidalEncoding2d) == position
            assert largest_error(ours, trained, channels) == 0
            assert info.detail["block"] == name
            assert info.detail["dtype"] == "float16"

    def test_a_channel_module_takes_its_mechanisms_place(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "mine.safetensors", lively(published.SELayer(256)), "layer3.1.se.")
        image = corpus.card()
        own, default = Inspector(weights="file", file=path), Inspector(weights="trained")
        assert own.sources["se"].source == "file"
        assert own.sources["se"].detail == {"block": "layer3.1.se", "layout": "se_linear", "dtype": "float32"}
        assert own.sources["spatial"].source == own.sources["eca"].source == "trained"
        ours, theirs = own.inspect(image, 64), default.inspect(image, 64)
        x = torch.from_numpy(ours.features)[None]
        expected = lively(published.SELayer(256))(x)[0].detach().numpy()
        assert abs(ours.mechanisms["se"].output - expected).max() < 1e-5 * abs(expected).max()
        assert abs(ours.mechanisms["spatial"].output - theirs.mechanisms["spatial"].output).max() == 0

    def test_a_block_without_norm_is_inspected(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "mine.safetensors", lively(published.SaganAttention(256)))
        inspection = Inspector(weights="file", file=path).inspect(corpus.card(), 64)
        assert inspection.mechanisms["spatial"].source.detail["layout"] == "sagan"
        assert abs(inspection.attention.sum(axis=1) - 1).max() < 1e-5
        assert [step.note for step in inspection.trace if step.name == "norm"] == ["no normalisation in this layout"]


class TestChoice:
    def two(self, path: Path, channels: tuple[int, int] = (C, C)) -> Path:
        names = ("encoder.mid.attn_1.", "decoder.mid.attn_1.")
        save_file(corpus.block_tensors(channels[0], names[0]) | corpus.block_tensors(channels[1], names[1]), path)
        return path

    def test_several_that_fit_need_a_choice(self, tmp_path: Path) -> None:
        path = self.two(tmp_path / "mine.safetensors")
        with pytest.raises(
            WeightsError,
            match=r"holds several blocks that take 64 channels, please choose one: "
            r"decoder\.mid\.attn_1 \(64\), encoder\.mid\.attn_1 \(64\)\.$",
        ):
            read_block(path, C)
        for name in ("encoder.mid.attn_1", "decoder.mid.attn_1"):
            module, found = read_block(path, C, name)
            assert found.name == name
            assert torch.equal(module.get_parameter("q.weight"), load_file(path)[f"{name}.q.weight"])

    def test_the_only_one_that_fits_is_taken(self, tmp_path: Path) -> None:
        path = self.two(tmp_path / "mine.safetensors", (32, C))
        assert read_block(path, C)[1].name == "decoder.mid.attn_1"

    def test_none_fits_says_where_it_would(self, tmp_path: Path) -> None:
        path = self.two(tmp_path / "mine.safetensors", (512, 512))
        with pytest.raises(
            WeightsError,
            match=r"no block that takes 256 channels; it holds decoder\.mid\.attn_1 \(512: ResNet-18 layer4, "
            r"ResNet-50 layer2\), encoder\.mid\.attn_1 \(512\)\.$",
        ):
            read_block(path, 256)
        with pytest.raises(WeightsError, match=r"attn_1 takes 512 channels, not 256; it fits ResNet-18 layer4"):
            read_block(path, 256, "encoder.mid.attn_1")
        assert ("resnet50", "layer2") in list_blocks(path)[0].places

    def test_an_unknown_name(self, tmp_path: Path) -> None:
        path = self.two(tmp_path / "mine.safetensors")
        with pytest.raises(WeightsError, match=r"has no block named mid; it holds decoder\.mid\.attn_1 \(64\)"):
            read_block(path, C, "mid")

    def test_a_block_without_a_name_can_be_chosen(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.safetensors"
        save_file(corpus.block_tensors(C) | corpus.block_tensors(C, "other."), path)
        assert read_block(path, C, "unnamed")[1].name == ""

    def test_modules_of_any_width_fit_everywhere(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "mine.safetensors", lively(published.ECALayer(5)))
        assert {read_block(path, channels)[0].get_parameter("conv.weight").shape for channels in (64, 256)} == {
            (1, 1, 5)
        }
        assert list_blocks(path)[0].places == []

    def test_widths_are_those_of_the_networks(self) -> None:
        assert stage_widths()["resnet18", "layer3"] == ResNetStem("bundled", "layer3").channels
        assert stage_widths()["resnet18", "stem"] == ResNetStem("bundled", "stem").channels
        assert places(2048) == [(n, "layer4") for n in ("resnet50", "resnet101", "wide_resnet50_2", "resnext50_32x4d")]


class TestPrecision:
    @pytest.mark.parametrize(
        ("dtype", "said", "tolerance"),
        [
            (torch.float64, "float64", 1e-6),
            (torch.float16, "float16", 1e-3),
            (torch.bfloat16, "bfloat16", 1e-2),
            (torch.float8_e4m3fn, "float8 e4m3", 0.1),
            (torch.float8_e5m2, "float8 e5m2", 0.2),
        ],
    )
    def test_read_and_said(self, tmp_path: Path, dtype: torch.dtype, said: str, tolerance: float) -> None:
        module = lively(published.CompVisAttnBlock(C))
        weights = {key: tensor.to(dtype) for key, tensor in module.state_dict().items()}
        save_file(weights, tmp_path / "mine.safetensors")
        ours, found = read_block(tmp_path / "mine.safetensors", C)
        assert found.dtype == said
        assert all(torch.equal(t, weights[key].float()) for key, t in ours.state_dict().items())
        assert largest_error(ours, module, C) < tolerance

    def test_mixed(self, tmp_path: Path) -> None:
        weights = corpus.block_tensors(C)
        weights["norm.weight"] = weights["norm.weight"].half()
        save_file(weights, tmp_path / "mine.safetensors")
        assert list_blocks(tmp_path / "mine.safetensors")[0].dtype == "float16 + float32"

    def test_numbers_beyond_float32(self, tmp_path: Path) -> None:
        weights = {key: tensor.double() for key, tensor in corpus.block_tensors(C).items()}
        weights["v.bias"][0] = 1e300
        save_file(weights, tmp_path / "mine.safetensors")
        with pytest.raises(WeightsError, match=r"v\.bias holds NaN or infinite values"):
            read_block(tmp_path / "mine.safetensors", C)


def with_extra(**extra: Tensor) -> Callable[[], dict[str, Tensor]]:
    return lambda: {**corpus.block_tensors(C, "a."), **{f"a.{name}": tensor for name, tensor in extra.items()}}


def state(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{key}": tensor.contiguous() for key, tensor in module.state_dict().items()}


# What is refused → its tensors, metadata, and the sentence after the file's name.
REFUSED: dict[str, tuple[Callable[[], dict[str, Tensor]], dict[str, str], str]] = {
    "heads told by metadata": (
        lambda: state(published.OldDiffusersAttentionBlock(C, heads=8), "a."),
        {"heads": "8"},
        "a has 8 heads, each with a map of its own; only blocks of one head are shown.",
    ),
    "a U-Net's qkv": (
        lambda: state(published.QkvAttentionBlock(C, heads=4), "model.diffusion_model.input_blocks.4.1."),
        {},
        "model.diffusion_model.input_blocks.4.1 is part of a U-Net, whose blocks mostly have several heads, and the "
        "file does not say how many: please bring config.json in the same folder, or write heads into the file's "
        "metadata.",
    ),
    "a transformer": (
        lambda: state(BasicTransformerBlock(C, 8, 8), "down_blocks.0.attentions.0.transformer_blocks.0."),
        {},
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1 is the attention of a transformer, with several heads "
        "and without group norm, not a block over a feature map.",
    ),
    "non-local": (
        lambda: state(published.NonLocalBlock(C), "layer3.nl."),
        {},
        "layer3.nl is a non-local block of theta, phi and g; the file does not say whether its weights pass through a "
        "softmax, nor whether its keys are pooled.",
    ),
    "norms of queries and keys": (
        lambda: state(diffusers_attention(qk_norm="layer_norm"), "a."),
        {},
        "a has norm_k.bias, norm_k.weight, norm_q.bias, norm_q.weight beside the parts of its layout, which would "
        "change what it computes.",
    ),
    "an adapter": (
        with_extra(**{"q.lora_A.weight": torch.zeros(4, C), "q.lora_B.weight": torch.zeros(C, 4)}),
        {},
        "a has q.lora_A.weight, q.lora_B.weight beside the parts of its layout, which would change what it computes.",
    ),
    "scales of numbers in 8 bits": (
        with_extra(**{"q.scale_weight": torch.ones(1)}),
        {},
        "a has q.scale_weight beside the parts of its layout, which would change what it computes.",
    ),
    "a learned scale": (
        with_extra(layer_scale=torch.ones(C)),
        {},
        "a has layer_scale beside the parts of its layout, which would change what it computes.",
    ),
    "a norm of three groups": (
        lambda: state(published.CompVisAttnBlock(C), "a."),
        {"groups": "3"},
        "the 64 channels of a cannot be parted into 3 groups.",
    ),
    "numbers of 8 bits that are no floats": (
        lambda: {key: tensor.to(torch.int8) for key, tensor in corpus.block_tensors(C, "a.").items()},
        {},
        "a holds numbers of type I8; float64, float32, float16, bfloat16 and float8 are read.",
    ),
    "EfficientNet's gates": (
        lambda: state(torchvision.models.efficientnet_b0(weights=None)),
        {},
        "features.1.0.block.1 is a gate with other activations than ReLU and sigmoid, as in EfficientNet and MobileNet,"
        " which the file does not tell.",
    ),
    "MobileNet's gates": (
        lambda: state(torchvision.models.mobilenet_v3_small(weights=None)),
        {},
        "features.1.block.1 is a gate with other activations than ReLU and sigmoid, as in EfficientNet and MobileNet, "
        "which the file does not tell.",
    ),
    "timm's EfficientNet": (
        lambda: state(timm.create_model("efficientnet_b0")),
        {},
        "blocks.0.0.se is a gate with other activations than ReLU and sigmoid, as in EfficientNet and MobileNet, which "
        "the file does not tell.",
    ),
    "a gate with a norm": (
        lambda: state(SEModule(C, norm_layer=nn.BatchNorm2d), "a."),
        {},
        "a has bn.bias, bn.num_batches_tracked, bn.running_mean, bn.running_var, bn.weight beside the parts of its "
        "layout, which would change what it computes.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    build, metadata, sentence = REFUSED[name]
    path = tmp_path / "mine.safetensors"
    save_file(build(), path, metadata or None)
    blocks = list_blocks(path)
    assert all(block.refusal for block in blocks)
    with pytest.raises(WeightsError) as caught:
        read_block(path, blocks[0].channels or C)
    assert str(caught.value) == f"mine.safetensors: {sentence}"
    assert caught.value.sentence("zh") != str(caught.value)
    print(f"\nrefused, {name}: {caught.value}", end="")


def test_several_heads_merged_would_be_wrong() -> None:
    """Why blocks of several heads are refused: with one head the same weights give another output."""
    one, four = published.QkvAttentionBlock(C), published.QkvAttentionBlock(C, heads=4)
    lively(one), lively(four)
    assert largest_error(one, four, C) > 0.01


class TestOverflow:
    @pytest.mark.parametrize(
        "module",
        [
            published.CompVisAttnBlock(C),
            published.SaganAttention(C),
            published.SELayer(C),
            published.ECALayer(3),
            published.CbamChannelGate(C),
            published.DanetChannelAttention(),
            XCA(C),
        ],
        ids=lambda module: type(module).__name__,
    )
    def test_finite_weights_that_overflow(self, tmp_path: Path, module: nn.Module) -> None:
        prefix = "a.ChannelGate." if isinstance(module, published.CbamChannelGate) else "a."
        weights = {f"{prefix}{key}": tensor * 1e36 for key, tensor in lively(module).state_dict().items()}
        assert all(tensor.isfinite().all() for tensor in weights.values())
        save_file(weights, tmp_path / "mine.safetensors")
        with pytest.raises(WeightsError, match=f"the weights of {prefix[:-1]} are finite, but so large that what is"):
            read_block(tmp_path / "mine.safetensors", C)

    @pytest.mark.parametrize("scale", [1e3, 1e6, 1e9])
    def test_what_passes_is_finite(self, tmp_path: Path, scale: float) -> None:
        weights = {key: tensor * scale for key, tensor in lively(published.CompVisAttnBlock(C)).state_dict().items()}
        save_file(weights, tmp_path / "mine.safetensors")
        if scale == 1e9:
            with pytest.raises(WeightsError, match="overflows"):
                read_block(tmp_path / "mine.safetensors", C)
            return
        ours, _ = read_block(tmp_path / "mine.safetensors", C)
        for grid in GRIDS:
            assert ours(100 * features(C, grid)).isfinite().all()


class TestBounds:
    def test_only_the_chosen_blocks_numbers_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.safetensors"
        big = {f"other.{i}": torch.zeros(4_000_000) for i in range(8)}  # 128 MB
        save_file(corpus.block_tensors(C, "decoder.mid.attn_1.") | big, path)
        tracemalloc.start()
        before = resident()
        read_block(path, C)
        assert resident() - before < 20e6
        assert tracemalloc.get_traced_memory()[1] < 4e6
        tracemalloc.stop()

    def hollow(self, path: Path, names: list[str]) -> Path:
        """A file that names many tensors of no numbers."""
        header = {name: {"dtype": "F32", "shape": [0, 0], "data_offsets": [0, 0]} for name in names}
        words = json.dumps(header).encode()
        assert len(words) < MAX_HEADER_BYTES
        path.write_bytes(struct.pack("<Q", len(words)) + words)
        return path

    def test_many_blocks(self, tmp_path: Path) -> None:
        names = [f"b{i}.{name}" for i in range(1500) for name in corpus.block_tensors(32)]
        with pytest.raises(WeightsError, match="holds more than 1024 attention blocks"):
            list_blocks(self.hollow(tmp_path / "mine.safetensors", names))

    def test_many_tensors(self, tmp_path: Path) -> None:
        path = self.hollow(tmp_path / "mine.safetensors", [f"b{i}.q.weight" for i in range(MAX_TENSORS + 1)])
        with pytest.raises(WeightsError, match="holds 20001 tensors; at most 20000 are looked through"):
            list_blocks(path)

    def test_names_are_cut_in_sentences(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.safetensors"
        save_file(corpus.block_tensors(32, "<img src=x>" * 30 + "."), path)
        with pytest.raises(WeightsError) as caught:
            read_block(path, C)
        assert len(str(caught.value)) < 200

    @pytest.mark.parametrize("name", ["a" * 600, ".".join("a" * 200), "..", ""])
    def test_odd_names_are_no_trouble(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "mine.safetensors"
        save_file({**corpus.block_tensors(C), name: torch.zeros(1)}, path)
        assert read_block(path, C)[1].name == ""


class TestIndex:
    def index(self, folder: Path, weight_map: object) -> Path:
        path = folder / "model.safetensors.index.json"
        path.write_text(json.dumps({"weight_map": weight_map}))
        return path

    @pytest.mark.parametrize("file", ["../secret.safetensors", "/etc/passwd", "absent.safetensors", "a.bin", ""])
    def test_only_files_beside_it_are_opened(self, tmp_path: Path, file: str) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        (tmp_path / "secret.safetensors").write_bytes(save(corpus.block_tensors(C)))
        (folder / "a.bin").write_bytes(save(corpus.block_tensors(C)))
        with pytest.raises(WeightsError, match="which is not beside it: please bring the folder with all its shards"):
            list_blocks(self.index(folder, {"q.weight": file}))

    @pytest.mark.parametrize("weight_map", [None, [], {"a": 3}, "x"])
    def test_what_is_no_index(self, tmp_path: Path, weight_map: object) -> None:
        with pytest.raises(WeightsError, match="is not an index of safetensors shards"):
            list_blocks(self.index(tmp_path, weight_map))

    @pytest.mark.parametrize("content", [b"", b"[1", b"[" * 100_000, b"\xff\xfe", b" " * (MAX_HEADER_BYTES + 1)])
    def test_damaged_indices(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "model.safetensors.index.json"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="is not an index of safetensors shards"):
            list_blocks(path)

    def test_a_shard_that_lacks_what_the_index_names(self, tmp_path: Path) -> None:
        weights = corpus.block_tensors(C)
        save_file({key: tensor for key, tensor in weights.items() if key != "k.weight"}, tmp_path / "a.safetensors")
        with pytest.raises(WeightsError, match="is not a readable safetensors file, or it is damaged"):
            read_block(self.index(tmp_path, dict.fromkeys(weights, "a.safetensors")), C)

    def test_folders(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"holds no \.safetensors file"):
            list_blocks(tmp_path)
        for name in ("a", "b"):
            save_file(corpus.block_tensors(C), tmp_path / f"{name}.safetensors")
        with pytest.raises(WeightsError, match=r"please choose one: a\.safetensors, b\.safetensors"):
            list_blocks(tmp_path)


def resident() -> int:
    """Bytes of memory that hold something of this process and no file."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")))
