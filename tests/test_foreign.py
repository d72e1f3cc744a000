"""Anyone's module as a mechanism, a block or a network: what it weighs is found, what it breaks stays its own."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention
from gradio.media import get_image
from timm.layers import EcaModule
from timm.layers.cbam import CbamModule
from timm.models.vision_transformer import Attention as TokenAttention
from timm.models.xcit import XCA
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from attn import MECHANISMS, AttnBlock, Inspector
from attn.command import parse_settings
from attn.figures.export import channel_csv, npz_bytes
from attn.inspector import Inspection
from attn.measures.shuffle import shuffle_test
from attn.mechanisms.foreign import ForeignMechanism, MechanismError, load_mechanism
from attn.stems import ModuleStem, StemError
from attn.ui import answers
from attn.ui.endpoints import report
from attn.ui.panels.channels.panel import ChannelsView, panel_arrays, panel_facts
from attn.ui.serving import Settings
from tests.test_spatial import PublishedBlock, random_block

C, H, W = 32, 5, 7
N = H * W


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(1, C, H, W)


class Asked(nn.Module):
    """Its weights are to be asked for."""

    def forward(self, x: Tensor, return_attention: bool = False) -> Any:
        gates = torch.linspace(0, 1, x.shape[1])
        y = x * gates[:, None, None]
        return (y, gates[None]) if return_attention else y


class Kept(nn.Module):
    """Its map is an attribute; its rows, for once, are keys."""

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2)
        products = rows.transpose(1, 2) @ rows
        self.attn = (products - products.amax(1, keepdim=True)).exp()
        self.attn = self.attn / self.attn.sum(1, keepdim=True)
        return x + (rows @ self.attn).view_as(x)


class PositionGate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * nn.functional.hardsigmoid(x.mean(1, keepdim=True))


class Plain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - nn.functional.silu(x)


class Masked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        out = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens, is_causal=True)
        return x + out.transpose(1, 2).view_as(x)


FOUND: dict[str, tuple[Any, str, tuple[int, ...], str]] = {
    "torchvision SE": (lambda: SqueezeExcitation(C, 4), "gate", (C,), ""),
    "timm ECA": (lambda: EcaModule(C), "gate", (C,), ""),
    "timm CBAM": (lambda: CbamModule(C), "gate", (C,), "weighs more than once: gate, spatial_gate"),
    "timm XCA": (lambda: XCA(C), "channel_map", (C, C), ""),
    "timm tokens": (lambda: TokenAttention(C, 4), "spatial", (N, N), "has 4 heads: the map is their mean"),
    "diffusers": (lambda: Attention(C, heads=1, dim_head=C), "spatial", (N, N), ""),
    "diffusers, heads": (lambda: Attention(C, heads=2, dim_head=16), "spatial", (N, N), "has 2 heads"),
    "asked": (Asked, "gate", (C,), ""),
    "attribute": (Kept, "spatial", (N, N), ""),
    "position gate": (PositionGate, "spatial_gate", (H, W), ""),
    "plain": (Plain, "none", (), "cannot be seen; it is shown by what it did"),
    "masked": (Masked, "none", (), "cannot be seen"),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_a_module_weighs_is_found(name: str, x: Tensor) -> None:
    make, kind, shape, note = FOUND[name]
    module = make().eval()
    foreign = ForeignMechanism("mine", module)
    with torch.inference_mode():
        seen = foreign.run(x)
        assert foreign.kind == kind
        assert [tuple(seen.weights[k].shape) for k in seen.weights][:1] == ([shape] if shape else [])
        assert note in (seen.note.sentence() if seen.note else "")
        assert bool(seen.note) == bool(note)
        torch.testing.assert_close(foreign(x), seen.output)
        if kind in ("spatial", "channel_map"):
            torch.testing.assert_close(seen.weights[kind].sum(-1), torch.ones(shape[0]), atol=1e-5, rtol=0)
        if kind == "gate" and "CBAM" not in name:
            torch.testing.assert_close(seen.output, x * seen.weights["gate"][:, None, None], atol=1e-5, rtol=0)


def test_our_own_modules_are_seen_as_they_say_themselves(x: Tensor) -> None:
    torch.manual_seed(1)
    for name, record in MECHANISMS.items():
        module: Any = record.build(C).eval()
        seen = ForeignMechanism(name, module).run(x)
        y, weights = module(x, return_attention=True)
        torch.testing.assert_close(seen.output, y)
        torch.testing.assert_close(seen.weights[record.kind], weights[0])


def test_cbam_shows_both_its_halves(x: Tensor) -> None:
    torch.manual_seed(0)
    module = CbamModule(C).eval()
    with torch.inference_mode():
        seen = ForeignMechanism("cbam", module).run(x)
        torch.testing.assert_close(
            seen.output, x * seen.weights["gate"][:, None, None] * seen.weights["spatial_gate"], atol=1e-6, rtol=1e-5
        )


def test_the_maps_of_heads_are_averaged(x: Tensor) -> None:
    torch.manual_seed(0)
    module = TokenAttention(C, 4).eval()
    tokens = x.flatten(2).transpose(1, 2)
    with torch.inference_mode():
        q, k, _ = module.qkv(tokens).reshape(1, N, 3, 4, 8).permute(2, 0, 3, 1, 4)
        expected = (q @ k.transpose(-2, -1) * 8**-0.5).softmax(-1).mean(1)[0]
        found = ForeignMechanism("tokens", module).run(x)
    torch.testing.assert_close(found.weights["spatial"], expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.output.flatten(2).transpose(1, 2), module(tokens), atol=1e-5, rtol=1e-5)


def test_an_explicit_kind_decides_where_the_shape_does_not() -> None:
    square = torch.randn(1, 16, 4, 4)  # sixteen positions, sixteen channels

    class Ambiguous(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            rows = x.flatten(2)
            return x + ((rows @ rows.transpose(1, 2)).softmax(-1) @ rows).view_as(x)

    told = ForeignMechanism("mine", Ambiguous(), "channel_map").run(square)
    guessed = ForeignMechanism("mine", Ambiguous()).run(square)
    assert list(told.weights) == ["channel_map"]
    assert told.note is None
    assert list(guessed.weights) == ["spatial"]
    assert "does not tell their kind: taken as spatial" in guessed.note.sentence()
    assert not ForeignMechanism("mine", Ambiguous(), "gate").run(square).weights
    with pytest.raises(MechanismError, match="kind of the mechanism mine must be one of spatial, gate"):
        ForeignMechanism("mine", Ambiguous(), "colour")  # type: ignore[arg-type]


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("boom")


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(0)


FAILING: dict[str, tuple[Any, str]] = {
    "raises": (Raises(), "The mechanism raises raised RuntimeError: boom"),
    "nan": (lambda _: _module(lambda x: x / 0 * 0), "The mechanism nan gave NaN or infinite values."),
    "shape": (
        lambda _: _module(lambda x: x[:, :, 1:]),
        r"must give the shape it is given: expected \(1, 256, 4, 4\), got",
    ),
    "nothing": (lambda _: _module(lambda x: None), "The mechanism nothing must give a tensor, got NoneType."),
    "unmade": (lambda channels: 1 / 0, "could not be made for 256 channels: ZeroDivisionError"),
}


def _module(function: Any) -> nn.Module:
    class Made(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return function(x)

    return Made()


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    brought = {
        **{name: module for name, (module, _) in FAILING.items()},
        "in_place": InPlace(),
        "cbam_timm": CbamModule,
        "position_gate": PositionGate(),
        "kept": Kept(),
    }
    return Inspector(detail="coarse", weights="similarity", mechanisms=brought).inspect(get_image("lion.jpg"), 64)


def test_what_fails_has_a_sentence_and_spoils_nothing(inspection: Inspection) -> None:
    alone = Inspector(detail="coarse", weights="similarity").inspect(get_image("lion.jpg"), 64)
    for name, (_, sentence) in FAILING.items():
        result = inspection.mechanisms[name]
        with pytest.raises(MechanismError, match=sentence):
            raise result.error
        assert result.error.sentence("zh") != str(result.error)
        assert np.isnan(result.output).all()
        assert result.weights is None
    for name in MECHANISMS:
        ours, theirs = inspection.mechanisms[name], alone.mechanisms[name]
        np.testing.assert_array_equal(ours.output, theirs.output)
    np.testing.assert_array_equal(inspection.features, alone.features)
    assert inspection.mechanisms["in_place"].change == 1


def test_it_appears_wherever_mechanisms_do(inspection: Inspection) -> None:
    cbam, spatial = inspection.mechanisms["cbam_timm"], inspection.mechanisms["kept"]
    assert (cbam.title, cbam.source.source, cbam.kind) == ("CbamModule", "own", "gate")
    assert {kind: weights.shape for kind, weights in cbam.others.items()} == {"spatial_gate": (4, 4)}
    assert cbam.cost.parameters == sum(p.numel() for p in CbamModule(256).parameters())
    # Two layers of 256 × 16 for the mean and the peak, then a convolution of 7 × 7 over two maps of 4 × 4.
    assert cbam.cost.multiply_adds == 2 * 2 * 256 * 16 + 7 * 7 * 2 * 16
    assert spatial.weights.shape == (16, 16)
    assert spatial.specificity[0] > 0
    numbers = report(inspection)["mechanisms"]
    assert numbers["raises"]["error"] == "The mechanism raises raised RuntimeError: boom"
    assert "weighs more than once" in numbers["cbam_timm"]["note"]
    with np.load(io.BytesIO(npz_bytes(inspection))) as arrays:
        assert {"gates_cbam_timm", "spatial_gate_position_gate", "attention_kept"} <= set(arrays.files)
    assert "cbam_timm,255," in channel_csv(inspection)
    view = ChannelsView.from_inspection(inspection)
    names = [mechanism["name"] for mechanism in panel_facts(view)["mechanisms"]]
    assert names == [*MECHANISMS, "in_place", "cbam_timm", "position_gate", "kept"]
    assert any("raises raised" in remark["en"] for remark in view.remarks)
    assert all(remark["zh"] != remark["en"] for remark in view.remarks)
    arrays = panel_arrays(view)
    assert "change_cbam_timm" in arrays  # it does more than its gates say
    assert "change_se" not in arrays


def test_the_shuffle_test_takes_any_kind(x: Tensor) -> None:
    for module in (Kept(), PositionGate(), CbamModule(C).eval(), Plain()):
        foreign = ForeignMechanism("mine", module)
        foreign.run(x)
        result = shuffle_test(x[0], foreign)
        assert result.same == (not isinstance(module, CbamModule))  # whose second half looks at neighbours
        assert np.isnan(result.weights_error) == isinstance(module, Plain)


def test_a_block_of_somebody_elses_takes_the_blocks_place() -> None:
    torch.manual_seed(0)
    published = PublishedBlock(256)
    with torch.no_grad():
        published.q.weight.mul_(30)
    inspection = Inspector(block=published, detail="coarse").inspect(get_image("lion.jpg"), 128)
    with torch.no_grad():
        expected = published(torch.from_numpy(inspection.features)[None])
    np.testing.assert_allclose(inspection.mechanisms["spatial"].output, expected[0], atol=1e-4)
    np.testing.assert_allclose(inspection.attention, published.attention[0], atol=1e-5)
    assert inspection.mechanisms["transposed"].source.source == "own"
    own = random_block(256)
    assert Inspector(block=own, detail="coarse").block is own
    for wrong in (nn.Identity(), AttnBlock(64)):
        with pytest.raises(MechanismError, match="must be a module with norm, q, k, v and proj_out for 256 channels"):
            Inspector(block=wrong, detail="coarse")


def test_a_network_of_ones_own_is_measured() -> None:
    network = nn.Sequential(nn.Conv2d(3, 48, 3, 2), nn.ReLU(), nn.Conv2d(48, 40, 3, 3, 1))  # no multiple of 32 channels
    network.mean = torch.tensor([0.5, 0.5, 0.5])
    network.std = [0.25, 0.25, 0.25]
    inspector = Inspector(stem=network)
    assert (inspector.stem.stride_px, inspector.stem.channels, inspector.stem.name) == (6, 40, "Sequential")
    inspection = inspector.inspect(get_image("lion.jpg"), 120)
    assert inspection.features.shape[0] == 40
    pixels = (torch.from_numpy(inspection.image).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(inspection.features), network(pixels)[0], atol=1e-5, rtol=1e-5)
    plain = ModuleStem(nn.Conv2d(3, 8, 4, 4))
    assert tuple(plain.mean) == (0.485, 0.456, 0.406)
    with pytest.raises(StemError, match="no whole stride: 128 px give 7 rows, 256 px give 7"):
        ModuleStem(nn.AdaptiveAvgPool2d(7))
    with pytest.raises(StemError, match=r"must give one feature map .* got \(1, 49152\)"):
        ModuleStem(nn.Flatten())


def test_names_must_be_names() -> None:
    for name in ("se", "my attention", "../x", ""):
        with pytest.raises(MechanismError, match="must be letters, digits and underscores"):
            Inspector(detail="coarse", mechanisms={name: Plain()})
    with pytest.raises(MechanismError, match=r"must be a torch\.nn\.Module, or a class of them, got int"):
        Inspector(detail="coarse", mechanisms={"mine": lambda channels: channels})  # type: ignore[dict-item]


def test_the_command_brings_a_module_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "brought.py").write_text(
        "import torch\nclass MyGate(torch.nn.Module):\n"
        "    def __init__(self, channels):\n        super().__init__()\n        self.channels = channels\n"
        "    def forward(self, x):\n        return x * torch.sigmoid(x.mean((2, 3), keepdim=True))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings, _ = parse_settings(["--mechanism", "brought:MyGate", "--mechanism", "timm.layers:EcaModule"])
    assert settings.mechanisms == ("brought:MyGate", "timm.layers:EcaModule")
    assert load_mechanism("brought:MyGate")[0] == "my_gate"
    try:
        answers.bring_mechanisms(settings.mechanisms)
        inspection = answers.inspection_of(Settings(longest_side=64).controls())
    finally:
        answers.bring_mechanisms(())
        sys.modules.pop("brought")
    result = inspection.mechanisms["my_gate"]
    assert (result.kind, result.title) == ("gate", "MyGate")
    np.testing.assert_allclose(
        result.weights, 1 / (1 + np.exp(-inspection.features.mean((1, 2)))), rtol=1e-4, atol=1e-5
    )
    assert inspection.mechanisms["eca_module"].kind == "gate"
    with pytest.raises(SystemExit):
        parse_settings(["--mechanism", "no.such.module:Class"])
    assert "no.such.module:Class names no mechanism: expected package.module:Class" in capsys.readouterr().err


def test_an_inspector_does_not_mind_changed_defaults() -> None:
    expected = Inspector(weights="random", seed=3, detail="coarse").inspect(get_image("lion.jpg"), 64)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            found = Inspector(weights="random", seed=3, detail="coarse").inspect(get_image("lion.jpg"), 64)
    finally:
        torch.set_default_dtype(torch.float32)
    for name, result in expected.mechanisms.items():
        np.testing.assert_array_equal(found.mechanisms[name].output, result.output)
    np.testing.assert_array_equal(found.queries, expected.queries)
