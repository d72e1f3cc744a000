"""grouping_auc: the judge of every attention map."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import nn

from attn.measures.attention import positions_px
from attn.mechanisms.spatial import AttnBlock
from attn.training import grouping_auc as judge


def test_by_hand() -> None:
    # Four positions, segments A A B B. Query 0: its partner 1 (score 5) against 2 (5, a tie) and 3 (1) → (½ + 1) / 2.
    scores = torch.tensor([[9.0, 5, 5, 1], [3, 0, 2, 1], [1, 2, 0, 0.5], [1, 0, 2, 0]])
    segments = torch.tensor([[0, 0, 1, 1]])
    torch.testing.assert_close(judge.query_aucs(scores, segments), torch.tensor([[0.75, 1.0, 0.0, 1.0]]))
    assert judge.grouping_auc(scores, segments) == pytest.approx(2.75 / 4)


def test_skips_segments_of_one_and_of_all() -> None:
    scores = torch.rand(3, 3, generator=torch.Generator().manual_seed(0))
    aucs = judge.query_aucs(scores, torch.tensor([[0, 1, 1], [4, 4, 4]]))
    assert aucs.isnan().tolist() == [[True, False, False], [True, True, True]]
    # The annotator who has only skipped queries does not count.
    assert judge.grouping_auc(scores, torch.tensor([[0, 1, 1], [4, 4, 4]])) == pytest.approx(aucs[0, 1:].mean().item())
    assert np.isnan(judge.grouping_auc(scores, torch.tensor([[4, 4, 4]])))


@pytest.mark.parametrize("levels", [3, 10**6])
def test_equals_sklearn(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "CHUNK", 7)
    rng = np.random.default_rng(levels)
    scores = rng.integers(levels, size=(40, 40)).astype(np.float32)
    segments = rng.integers(5, size=(3, 40))
    ours = judge.query_aucs(torch.from_numpy(scores), torch.from_numpy(segments))
    for annotator, segment in enumerate(segments):
        for query in range(40):
            others = np.arange(40) != query
            expected = roc_auc_score((segment == segment[query])[others], scores[query, others])
            assert ours[annotator, query].item() == pytest.approx(expected, abs=1e-6)


def test_nested_averages() -> None:
    # One annotator has many queries, the other few that count: each weighs the same.
    scores = torch.rand(6, 6, generator=torch.Generator().manual_seed(1))
    segments = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 2, 3, 4]])
    each = [judge.grouping_auc(scores, row[None]) for row in segments]
    assert judge.grouping_auc(scores, segments) == pytest.approx(np.mean(each))


def test_scores_do_not_change() -> None:
    scores = torch.rand(5, 5, generator=torch.Generator().manual_seed(2))
    before = scores.clone()
    judge.grouping_auc(scores, torch.tensor([[0, 0, 1, 1, 1]]))
    assert torch.equal(scores, before)


@pytest.mark.parametrize(
    ("scores", "segments", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(1, 3), r"expected scores \(N, N\)"),
        (torch.zeros(3, 3), torch.zeros(3), r"expected scores \(N, N\)"),
        (torch.full((3, 3), torch.nan), torch.zeros(1, 3), "expected finite scores"),
    ],
)
def test_refuses(scores: torch.Tensor, segments: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge.query_aucs(scores, segments)


def test_a_position_has_the_segment_with_most_pixels_of_its_cell() -> None:
    segmentation = np.array([[7, 7, 9, 9, 9, 2], [7, 9, 9, 9, 2, 2], [4, 4, 4, 4, 4, 4], [4, 4, 7, 7, 7, 4]], np.uint16)
    assert judge.grid_segments(segmentation, (2, 3)).tolist() == [7, 9, 2, 4, 4, 4]
    # Rows 0–2 and 3–4 where the grid does not divide the picture; on a finer grid a cell is one pixel.
    assert judge.grid_segments(np.array([[1], [1], [2], [2], [2]], np.uint16), (2, 1)).tolist() == [1, 2]
    assert judge.grid_segments(segmentation, (4, 6)).tolist() == segmentation.ravel().tolist()


def test_people_by_hand() -> None:
    alike = torch.tensor([[0, 0, 1, 1], [5, 5, 2, 2]])
    assert judge.people_auc(alike) == 1
    # A A B B against A B A B: what one joins the other parts, so both partners are ranked below one of two others.
    crossed = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]])
    assert judge.people_auc(crossed) == pytest.approx(0.25)
    assert np.isnan(judge.people_auc(alike[:1]))


def test_bootstrap_interval() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.1, size=400)
    low, high = judge.bootstrap_interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=1e-3)
    assert high == pytest.approx(values.mean() + half, abs=1e-3)
    assert judge.bootstrap_interval(np.full(5, 0.7)) == pytest.approx((0.7, 0.7))


def test_affinity_of_an_attn_block_orders_as_its_map() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 32, 3, 4)
    block = AttnBlock(32)
    scores = judge.affinity(block, x)
    torch.testing.assert_close(scores.softmax(-1), block(x, return_attention=True)[1])


def test_affinity_of_a_channel_mechanism_is_the_cosine_of_its_output() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 32, 3, 4)
    module = judge.build("xca", 32)
    y = module(x).flatten(2)
    expected = nn.CosineSimilarity(dim=1)(y[:, :, :, None], y[:, :, None, :])
    torch.testing.assert_close(judge.affinity(module, x), expected)


@pytest.mark.parametrize("mechanism", judge.TRAINED)
def test_load_reads_its_own_tensors(mechanism: str) -> None:
    torch.manual_seed(0)
    weights = {f"{mechanism}.{name}": t.half() for name, t in judge.build(mechanism, 32).state_dict().items()}
    module = judge.load(mechanism, 32, weights | {"other.weight": torch.zeros(1)})
    assert not module.training
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, weights[f"{mechanism}.{name}"].float())


class ColourStem(nn.Module):
    """Mean colours as features: a stem small enough for a test."""

    stride_px = 8
    std = (1.0, 1.0, 1.0)
    channels = 64

    def preprocess(self, image: Image.Image, longest_side: int) -> torch.Tensor:
        return torch.from_numpy(np.array(image, np.float32) / 255).permute(2, 0, 1)[None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tile(nn.functional.avg_pool2d(x, 8), (1, 22, 1, 1))[:, :64]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Two photographs: a red and a blue half, and two annotators who see just that."""
    for name in ("one", "two"):
        pixels = np.zeros((32, 48, 3), np.uint8)
        pixels[:, :24, 0] = pixels[:, 24:, 2] = 200
        Image.fromarray(pixels).save(tmp_path / f"{name}.jpg", quality=100)
        halves = np.zeros((32, 48), np.uint16)
        halves[:, 24:] = 1
        np.savez(tmp_path / f"{name}.npz", halves, halves)
    Image.new("RGB", (8, 8)).save(tmp_path / "without_segments.jpg")
    return tmp_path


def test_measure(scene: Path) -> None:
    stem = ColourStem()
    rows = judge.measure(scene, stem, {"se": judge.build("se", 64)}, ["rgb", "distance", "se", "people"], 48)  # type: ignore[arg-type]
    assert [row.mechanism for row in rows] == ["rgb", "distance", "se", "people"]
    assert [row.photographs for row in rows] == [2] * 4
    assert rows[0].auc == rows[3].auc == 1
    centres = torch.from_numpy(positions_px((4, 6), 8))
    halves = torch.tensor([[0, 0, 0, 1, 1, 1] * 4])
    assert rows[1].auc == pytest.approx(judge.grouping_auc(-torch.cdist(centres, centres), halves))
    assert (rows[0].parameters, rows[2].parameters) == (None, 64 * 4 * 2 + 4 + 64)
    assert rows[2].multiply_adds == judge.build("se", 64).multiply_adds(4, 6)


def test_measure_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found none"):
        judge.measure(tmp_path, ColourStem(), {}, ["rgb"], 48)  # type: ignore[arg-type]


def test_command_line(scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(judge, "ResNetStem", lambda name, stage, detail: ColourStem())
    monkeypatch.setattr(judge, "has_trained", lambda stem, stage: False)
    judge.main(["--images", str(scene), "--csv", str(scene / "table.csv")])
    printed = capsys.readouterr()
    assert "| rgb | 1.0000 | 1.0000–1.0000 | – | – |" in printed.out
    assert "2/2" in printed.err
    with (scene / "table.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["mechanism"] for row in written] == ["random", "rgb", "distance", "features", "people"]
    assert float(written[1]["auc"]) == 1
    with pytest.raises(SystemExit):
        judge.main(["--images", str(scene), "--mechanism", "se"])
    assert "no trained se for bundled at layer3" in capsys.readouterr().err


def test_some_queries_are_those_of_all() -> None:
    torch.manual_seed(0)
    scores, segments = torch.randn(30, 30), torch.randint(0, 3, (2, 30))
    queries = judge.drawn_queries(30, 7)
    assert len(set(queries.tolist())) == 7
    torch.testing.assert_close(
        judge.query_aucs(scores, segments, queries), judge.query_aucs(scores, segments)[:, queries]
    )
    assert sorted(judge.drawn_queries(5, 7).tolist()) == [0, 1, 2, 3, 4]
