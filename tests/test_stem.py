import copy
import functools
import hashlib
import itertools
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from attn import bundled
from attn.images import open_image
from attn.stems.base import GridTooLarge
from attn.stems.resnet import (
    BUNDLED_FILE,
    BUNDLED_STAGES,
    DETAILS,
    DOWNLOAD_PATIENCE_S,
    FINEST_SCALES,
    NETWORKS,
    STAGES,
    STRIDE_PX,
    ResNetStem,
    StemUnavailable,
    dilate,
    stride_px,
    trunk,
)
from tests import corpus
from tests.conftest import put_into_cache

SHARED = os.environ.get("ATTN_SHARED")


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """`network` with BatchNorms that do something, so that folding them wrongly shows."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var):
                values.data.uniform_(0.5, 1.5, generator=generator)
            for values in (module.bias, module.running_mean):
                values.data.normal_(0, 0.2, generator=generator)
    return network.eval()


@functools.cache
def stored_trunk() -> bytes:
    """A bundled network's file, its weights random."""
    torch.manual_seed(0)
    state = lively(trunk("resnet18", "layer3")).state_dict()
    return save({key: tensor.half() for key, tensor in state.items() if "num_batches" not in key})


@pytest.fixture
def weights_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a bundled network and its manifest."""
    (tmp_path / BUNDLED_FILE).write_bytes(stored_trunk())
    digest = hashlib.sha256(stored_trunk()).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps({BUNDLED_FILE: {"sha256": digest}}))
    monkeypatch.setattr(bundled, "WEIGHTS_DIR", tmp_path)
    return tmp_path


@pytest.fixture
def stem(weights_dir: Path) -> ResNetStem:
    return ResNetStem("bundled", "layer3", detail="coarse")


def up_to(network: nn.Module, stage: str, x: Tensor) -> Tensor:
    """What torchvision's own network has after `stage`."""
    features = create_feature_extractor(network, {"maxpool" if stage == "stem" else stage: "features"})
    return features(x)["features"]


def up_to_stage(layers: nn.Sequential, stage: str, x: Tensor) -> Tensor:
    """The features of a whole trunk after an earlier `stage`."""
    for name, layer in layers.named_children():
        x = layer(x)
        if name == ("maxpool" if stage == "stem" else stage):
            break
    return x


class TestTrunk:
    @pytest.mark.parametrize("architecture", NETWORKS)
    def test_names_are_torchvisions_and_nothing_more_is_kept(self, architecture: str) -> None:
        with torch.device("meta"):
            whole = torchvision.models.get_model(architecture).state_dict()
            for stage in STAGES:
                names = set(trunk(architecture, stage).state_dict())
                later = STAGES[STAGES.index(stage) + 1 :]
                assert names == {n for n in whole if not n.startswith((*later, "fc"))}

    def test_unknown_names(self) -> None:
        with pytest.raises(ValueError, match=r"architecture to be one of resnet18, .*, got 'alexnet'"):
            trunk("alexnet", "layer1")
        with pytest.raises(ValueError, match=r"stage to be one of stem, .*, got 'layer5'"):
            trunk("resnet18", "layer5")


class TestFeatures:
    @pytest.mark.parametrize(
        ("name", "stage"), [*itertools.product(["resnet18"], STAGES), ("resnext50_32x4d", "layer2")]
    )
    def test_equal_to_the_unfolded_torchvision_network(self, checkpoints: Path, name: str, stage: str) -> None:
        torch.manual_seed(1)
        network = lively(torchvision.models.get_model(name, weights=None))
        put_into_cache(checkpoints, name, network)
        stem = ResNetStem(name, stage, detail="coarse")
        x = torch.randn(2, 3, 64, 96)
        with torch.inference_mode():
            expected = up_to(network, stage, x)
            y = stem(x)
        assert y.shape == (2, stem.channels, 64 // stem.stride_px, 96 // stem.stride_px)
        assert (y - expected).abs().max() < 1e-4 * max(1.0, float(expected.abs().max()))
        assert expected.std() > 0.1

    @pytest.mark.parametrize("stage", BUNDLED_STAGES)
    def test_bundled_is_the_stored_trunk(self, weights_dir: Path, stage: str) -> None:
        stem = ResNetStem("bundled", stage, detail="coarse")
        network = trunk("resnet18", stage)
        stored = {k: v.float() for k, v in load_file(weights_dir / BUNDLED_FILE).items()}
        network.load_state_dict(stored, strict=False)
        x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            assert (stem(x) - network.eval()(x)).abs().max() < 1e-4
        assert stem.channels == {"stem": 64, "layer1": 64, "layer2": 128, "layer3": 256}[stage]

    @pytest.mark.skipif(not bundled.is_bundled(BUNDLED_FILE), reason="no bundled network in assets/weights")
    def test_the_repositorys_own_file(self) -> None:
        stem = ResNetStem()
        assert (stem.name, stem.stage, stem.channels, stem.stride_px) == ("bundled", "layer3", 256, 8)
        y = stem(stem.preprocess(corpus.card(), 64))
        assert y.isfinite().all()
        assert y.std() > 0.01

    def test_frozen_folded_and_unmoved_by_train(self, stem: ResNetStem) -> None:
        assert not any(p.requires_grad for p in stem.parameters())
        assert not any(isinstance(m, nn.BatchNorm2d) for m in stem.modules())
        assert not any(t.is_meta for t in (*stem.parameters(), *stem.buffers()))
        x = torch.randn(1, 3, 32, 32)
        assert torch.equal(stem.train()(x), stem.eval()(x))

    def test_items_of_a_batch_do_not_interact_and_the_input_is_unchanged(self, stem: ResNetStem) -> None:
        x = torch.randn(2, 3, 32, 48)
        before = x.clone()
        assert torch.allclose(stem(x)[1:], stem(x[1:]), atol=1e-5)
        assert torch.equal(x, before)

    @pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 32)])
    def test_wrong_input(self, stem: ResNetStem, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=re.escape(f"expected (b, 3, H, W), got {shape}")):
            stem(torch.zeros(shape))


class TestDetail:
    @pytest.mark.parametrize("architecture", NETWORKS)
    def test_every_network_reaches_stride_8_and_keeps_the_coarse_positions(self, architecture: str) -> None:
        torch.manual_seed(2)
        network = lively(trunk(architecture, "layer4"))
        fine = copy.deepcopy(network)
        dilate(fine)
        # Not a multiple of 32: the last coarse position sees beyond the border.
        x = torch.randn(1, 3, 72, 88)
        with torch.inference_mode():
            for stage in STAGES:
                coarse, y = up_to_stage(network, stage, x), up_to_stage(fine, stage, x)
                step = STRIDE_PX[stage] // stride_px(stage, "fine")
                assert y.shape[2:] == (72 // stride_px(stage, "fine"), 88 // stride_px(stage, "fine"))
                assert (y[..., ::step, ::step] - coarse).abs().max() < 1e-4 * max(1.0, float(coarse.abs().max()))

    def test_one_basic_block_by_hand(self) -> None:
        """All weights one, one lit position: stride 2 then a 3×3, against stride 1 then a 3×3 two apart."""
        block = torchvision.models.resnet.BasicBlock(1, 1)
        block.conv1.stride = (2, 2)
        for conv in (block.conv1, block.conv2):
            nn.init.ones_(conv.weight)
        layers = nn.Sequential()
        layers.layer3 = nn.Sequential(block)
        dilate(layers)
        assert (block.conv1.stride, block.conv1.dilation, block.conv1.padding) == ((1, 1), (1, 1), (1, 1))
        assert (block.conv2.stride, block.conv2.dilation, block.conv2.padding) == ((1, 1), (2, 2), (2, 2))
        lit = torch.zeros(1, 1, 1, 9)
        lit[..., 4] = 1
        assert block.conv2(block.conv1(lit)).flatten().tolist() == [0, 1, 1, 2, 1, 2, 1, 1, 0]  # [::2] as strided

    @pytest.mark.parametrize("stage", ["layer2", "layer3"])
    @pytest.mark.parametrize("detail", DETAILS)
    def test_the_grid_is_true_to_the_picture(self, weights_dir: Path, stage: str, detail: str) -> None:
        stem = ResNetStem("bundled", stage, detail=detail)
        assert stem.detail == detail
        assert stem.stride_px == (16 if (stage, detail) == ("layer3", "coarse") else 8)
        x = stem.preprocess(Image.new("RGB", (97, 55)), 160)
        grid = stem.grid((97, 55), 160)
        assert x.shape[2:] == (grid[0] * stem.stride_px, grid[1] * stem.stride_px) == stem.input_size((97, 55), 160)
        assert stem(x).shape == (1, stem.channels, *grid)
        assert stem.grid((97, 55), stem.largest_side_for((97, 55), 5, 5)) == (3, 5)
        with pytest.raises(GridTooLarge, match=f"a longest side of {5 * stem.stride_px} px fits"):
            stem.check_grid((97, 55), 160, 5, 5)

    @pytest.mark.parametrize("stage", BUNDLED_STAGES)
    def test_finest_does_not_tell_left_from_right(self, weights_dir: Path, stage: str) -> None:
        finest, fine = (ResNetStem("bundled", stage, detail=detail) for detail in ("finest", "fine"))
        x = torch.randn(2, 3, 32, 56, generator=torch.Generator().manual_seed(3))
        y = finest(x)
        assert y.shape == fine(x).shape
        scale = float(y.abs().max())
        assert (finest(x.flip(-1)).flip(-1) - y).abs().max() < 1e-5 * scale
        assert (fine(x.flip(-1)).flip(-1) - fine(x)).abs().max() > 1e-2 * scale
        assert torch.allclose(finest(x[1:]), y[1:], atol=1e-5 * scale)

    def test_finest_is_the_mean_over_scales_and_mirror_images(self, weights_dir: Path) -> None:
        finest, fine = (ResNetStem("bundled", "layer3", detail=detail) for detail in ("finest", "fine"))
        x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(4))
        views = []
        for scale in FINEST_SCALES:
            scaled = nn.functional.interpolate(x, scale_factor=scale, mode="bilinear", antialias=True)
            for image, back in ((scaled, False), (scaled.flip(-1), True)):
                y = nn.functional.interpolate(fine(image), (8, 12), mode="bilinear", antialias=True)
                views.append(y.flip(-1) if back else y)
        assert torch.allclose(finest(x), torch.stack(views).mean(0), atol=1e-4 * float(views[0].abs().max()))

    def test_earlier_stages_are_as_fine_as_they_get(self, weights_dir: Path) -> None:
        x = torch.randn(1, 3, 32, 32)
        for stage in ("stem", "layer1", "layer2"):
            coarse, fine = (ResNetStem("bundled", stage, detail=detail) for detail in ("coarse", "fine"))
            assert torch.equal(coarse(x), fine(x))

    def test_tuned_changes_the_stages_of_its_file_alone(self, weights_dir: Path) -> None:
        tuned = {
            f"stem.{key}": 2 * tensor
            for key, tensor in load_file(weights_dir / BUNDLED_FILE).items()
            if key.startswith(("layer2.", "layer3."))
        }
        content = save(tuned)
        (weights_dir / "tuned_layer3.safetensors").write_bytes(content)
        manifest = json.loads((weights_dir / "manifest.json").read_text())
        manifest["tuned_layer3.safetensors"] = {"sha256": hashlib.sha256(content).hexdigest()}
        (weights_dir / "manifest.json").write_text(json.dumps(manifest))
        frozen, stem = (ResNetStem("bundled", "layer3", tuned=tuned) for tuned in (False, True))
        assert (frozen.tuned, stem.tuned) == (False, True)
        same = {
            name: torch.equal(getattr(frozen.layers, name)[1].conv2.weight, getattr(stem.layers, name)[1].conv2.weight)
            for name in ("layer1", "layer2", "layer3")
        }
        assert same == {"layer1": True, "layer2": False, "layer3": False}
        # What layer2 itself gives stays frozen: it has no tuned attention.
        earlier = ResNetStem("bundled", "layer2")
        assert torch.equal(earlier.layers.layer2[1].conv2.weight, frozen.layers.layer2[1].conv2.weight)
        for name, stage in (("bundled", "layer2"), ("resnet18", "layer3")):
            with pytest.raises(StemUnavailable, match=f"{name} has no tuned weights at {stage}"):
                ResNetStem(name, stage, tuned=True)

    def test_an_unknown_detail(self) -> None:
        with pytest.raises(ValueError, match="expected detail to be one of coarse, fine, finest, got 'sharp'"):
            ResNetStem(detail="sharp")
        with pytest.raises(ValueError, match="expected stage to be one of"):
            stride_px("layer9", "fine")


class TestPreprocessing:
    def test_whole_picture_with_imagenets_mean_and_deviation(self, stem: ResNetStem) -> None:
        x = stem.preprocess(corpus.card(), 64)
        assert x.shape == (1, 3, 64, 64)
        assert x.is_contiguous(memory_format=torch.channels_last)
        for (row, col), colour in corpus.COLOURS.items():
            expected = (np.array(colour) / 255 - stem.mean) / stem.std
            assert np.allclose(x[0, :, row * 32 + 16, col * 32 + 16], expected, atol=1e-6)

    def test_agrees_with_torchvisions_own_transform(self, stem: ResNetStem) -> None:
        weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
        image = Image.effect_noise((400, 400), 60).convert("RGB")
        theirs = weights.transforms(crop_size=320, resize_size=320)(image)[None]
        assert (stem.preprocess(image, 320) - theirs).abs().max() < 0.02

    @pytest.mark.parametrize(
        ("size", "expected"), [((640, 480), (240, 320)), ((48, 64), (320, 240)), ((9, 9), (320, 320))]
    )
    def test_shape_is_kept(self, stem: ResNetStem, size: tuple[int, int], expected: tuple[int, int]) -> None:
        assert stem.input_size(size, 320) == expected
        assert stem.preprocess(Image.new("RGB", size), 320).shape[2:] == expected

    def test_longest_side_is_rounded_down_to_whole_positions(self, stem: ResNetStem) -> None:
        assert stem.input_size((100, 100), 330) == (320, 320)
        assert stem.input_size((100, 100), 335) == (320, 320)
        assert stem.input_size((100, 100), 336) == (336, 336)

    @pytest.mark.parametrize(("size", "grid"), [((1, 5000), (20, 1)), ((5000, 1), (1, 20)), ((1, 1), (20, 20))])
    def test_very_thin_pictures_have_at_least_one_position_across(
        self, stem: ResNetStem, size: tuple[int, int], grid: tuple[int, int]
    ) -> None:
        assert stem.grid(size, 320) == grid
        assert stem(stem.preprocess(Image.new("RGB", size), 320)).shape[2:] == grid

    def test_refusals(self, stem: ResNetStem) -> None:
        with pytest.raises(ValueError, match="at least 16 px, got 15"):
            stem.grid((100, 100), 15)
        with pytest.raises(ValueError, match="at least 1 × 1 px, got 0 × 9"):
            stem.grid((0, 9), 320)
        with pytest.raises(ValueError, match="expected an RGB image, got mode L"):
            stem.preprocess(Image.new("L", (9, 9)))

    @given(st.integers(1, 5000), st.integers(1, 5000), st.integers(16, 640), st.sampled_from(sorted(STRIDE_PX)))
    def test_sizes_are_whole_positions_within_the_longest_side(
        self, width: int, height: int, longest_side: int, stage: str
    ) -> None:
        stem = object.__new__(ResNetStem)  # the arithmetic needs no weights
        object.__setattr__(stem, "stride_px", STRIDE_PX[stage])
        if longest_side < stem.stride_px:
            return
        sides = stem.input_size((width, height), longest_side)
        assert longest_side - stem.stride_px < max(sides) <= longest_side
        assert min(sides) >= stem.stride_px
        assert all(side % stem.stride_px == 0 for side in sides)
        assert (sides[0] >= sides[1]) == (height >= width) or sides[0] == sides[1]

    def test_back_to_the_picture(self, stem: ResNetStem) -> None:
        image = Image.effect_noise((64, 48), 60).convert("RGB")
        picture = stem.to_image(stem.preprocess(image, 64))
        assert picture.dtype == np.uint8
        assert np.array_equal(picture, np.asarray(image))


class TestGridLimit:
    def test_within_the_limit(self, stem: ResNetStem) -> None:
        stem.check_grid((300, 200), 512)

    def test_the_sentence_names_the_side_that_fits(self, stem: ResNetStem) -> None:
        with pytest.raises(
            GridTooLarge, match=r"27 × 40 positions .* limit of 32 × 32: a longest side of 512 px fits\."
        ):
            stem.check_grid((300, 200), 640)

    @pytest.mark.parametrize("size", [(300, 200), (200, 300), (1, 5000), (7, 7)])
    @pytest.mark.parametrize("limit", [(32, 32), (8, 32), (32, 5), (1, 1)])
    def test_it_fits_and_the_next_does_not(
        self, stem: ResNetStem, size: tuple[int, int], limit: tuple[int, int]
    ) -> None:
        side = stem.largest_side_for(size, *limit)
        rows, cols = stem.grid(size, side)
        assert rows <= limit[0]
        assert cols <= limit[1]
        rows, cols = stem.grid(size, side + stem.stride_px)
        assert rows > limit[0] or cols > limit[1]


class TestUnavailable:
    def test_unknown_names(self) -> None:
        with pytest.raises(ValueError, match=r"network to be one of bundled, .*, got 'vgg16'"):
            ResNetStem("vgg16")
        with pytest.raises(
            ValueError, match="stage of bundled to be one of stem, layer1, layer2, layer3, got 'layer4'"
        ):
            ResNetStem("bundled", "layer4")

    def test_missing_bundled_file(self, weights_dir: Path) -> None:
        (weights_dir / BUNDLED_FILE).unlink()
        with pytest.raises(StemUnavailable, match=r"stem\.safetensors are missing"):
            ResNetStem()

    def test_damaged_bundled_file(self, weights_dir: Path) -> None:
        data = bytearray((weights_dir / BUNDLED_FILE).read_bytes())
        data[len(data) // 2] ^= 1
        (weights_dir / BUNDLED_FILE).write_bytes(data)
        with pytest.raises(StemUnavailable, match=r"stem\.safetensors are damaged \(expected SHA-256"):
            ResNetStem()

    @pytest.mark.parametrize("manifest", [None, "", "[]", "{}", '{"stem.safetensors": 1}'])
    def test_manifest_without_the_file(self, weights_dir: Path, manifest: str | None) -> None:
        path = weights_dir / "manifest.json"
        path.unlink() if manifest is None else path.write_text(manifest)
        with pytest.raises(StemUnavailable, match=r"has no SHA-256 for stem\.safetensors"):
            ResNetStem()

    def test_no_network(self, checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(StemUnavailable) as caught:
            ResNetStem("resnet50", "layer1")
        sentence = str(caught.value)
        assert sentence.startswith("The weights of resnet50 could not be downloaded (no network in tests)")
        assert "or choose the bundled network." in sentence
        assert "\n" not in sentence

    def test_a_silent_network_is_not_waited_for(self, checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        patience: list[float | None] = []

        def never_answers(_: object) -> None:
            patience.append(socket.getdefaulttimeout())
            raise TimeoutError("timed out")

        monkeypatch.setattr("torch.hub.urlopen", never_answers)
        with pytest.raises(StemUnavailable, match=r"could not be downloaded \(timed out\)"):
            ResNetStem("resnet34", "layer1")
        assert patience == [DOWNLOAD_PATIENCE_S]
        assert socket.getdefaulttimeout() is None

    def test_a_download_with_the_wrong_hash_is_not_kept(
        self, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Response:
            def __init__(self) -> None:
                self.parts: Iterator[bytes] = iter([b"not the weights"])

            def __enter__(self) -> "Response":
                return self

            def __exit__(self, *_: object) -> None: ...

            def info(self) -> "Response":
                return self

            def get_all(self, _: str) -> list[str]:
                return ["15"]

            def read(self, _: int) -> bytes:
                return next(self.parts, b"")

        monkeypatch.setattr("torch.hub.urlopen", lambda _: Response())
        with pytest.raises(StemUnavailable, match=r"could not be downloaded \(invalid hash value"):
            ResNetStem("resnet34", "layer1")
        assert list(checkpoints.iterdir()) == []

    @pytest.mark.parametrize("damage", ["empty", "truncated", "text"])
    def test_damaged_file_in_the_cache(self, checkpoints: Path, damage: str) -> None:
        path = put_into_cache(checkpoints, "resnet18", torchvision.models.resnet18())
        data = path.read_bytes()
        path.write_bytes({"empty": b"", "truncated": data[: len(data) // 2], "text": b"no"}[damage])
        with pytest.raises(StemUnavailable, match=r"weights of resnet18 in .* are damaged: please delete the file"):
            ResNetStem("resnet18", "layer1")

    def test_another_networks_file_in_the_cache(self, checkpoints: Path) -> None:
        put_into_cache(checkpoints, "resnet50", torchvision.models.resnet18())
        with pytest.raises(StemUnavailable, match=r"weights of resnet50 lack .* please delete"):
            ResNetStem("resnet50", "layer1")


@pytest.mark.skipif(not SHARED, reason="ATTN_SHARED does not name the folder with ImageNet weights and photographs")
class TestImageNet:
    @pytest.fixture
    def network(self, checkpoints: Path) -> nn.Module:
        """ImageNet's ResNet-18 to layer3, behind it fresh layers, in torchvision's cache."""
        network = torchvision.models.resnet18()
        weights = load_file(Path(SHARED or "") / "weights" / "resnet18_imagenet1k_v1_to_layer3.safetensors")
        unexpected = network.load_state_dict(weights, strict=False).unexpected_keys
        assert not unexpected
        put_into_cache(checkpoints, "resnet18", network)
        return network.eval()

    def test_real_features_through_torchvisions_own_path(self, network: nn.Module) -> None:
        stem = ResNetStem("resnet18", "layer3", detail="coarse")
        image = open_image(Path(SHARED or "") / "data" / "bsds500" / "val" / "101085.jpg")
        x = stem.preprocess(image)
        with torch.inference_mode():
            y = stem(x)
            expected = up_to(network, "layer3", x)
        assert (y - expected).abs().max() < 1e-4
        assert (stem.channels, stem.stride_px, y.shape) == (256, 16, (1, 256, 20, 13))
        # As measured once: the folded file's features are ImageNet's, not a random network's.
        assert y[0, :3, 5, 5].tolist() == pytest.approx([0.10654, 0.22649, 0.25409], abs=1e-3)
        assert float(y.mean()) == pytest.approx(0.11758, abs=1e-4)

    def test_hash_check_stays_on_for_downloads(self, network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str | None] = []
        monkeypatch.setattr("torch.hub.download_url_to_file", lambda url, path, prefix, progress: asked.append(prefix))
        with pytest.raises(StemUnavailable):
            ResNetStem("resnet34", "layer1")
        assert asked == ["b627a593"]
