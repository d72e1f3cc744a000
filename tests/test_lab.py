import base64
import gzip
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from attn.inspector import Inspection, Inspector
from attn.measures.attention import entropy, mean_attention_distance, uniform_attention_distance
from attn.measures.shuffle import encoded_queries, shuffle_positions, with_encoding
from attn.mechanisms import MECHANISMS
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.sentence import shuffle_sentence
from attn.texts import LANGUAGES, latex, load_texts, text
from attn.ui.component import HERE, pack_arrays
from attn.ui.panels.lab.panel import (
    SHOWN_AT,
    STATEMENTS,
    STRENGTHS,
    Lab,
    LabView,
    filled,
    formulas,
    grouping_figures,
    lab_arrays,
    lab_facts,
    lab_view,
    statements,
)
from attn.ui.panels.text_lane.panel import text_view

PARTS = ("lab", "text_lane", "formulas", "statements")


@pytest.fixture(scope="module")
def inspector() -> Inspector:
    return Inspector(weights="similarity")


@pytest.fixture(scope="module")
def inspection(inspector: Inspector) -> Inspection:
    rng = np.random.default_rng(5)
    picture = np.kron(rng.integers(0, 255, (6, 7, 3), dtype=np.uint8), np.ones((16, 16, 1), dtype=np.uint8))
    return inspector.inspect(picture, 112)


@pytest.fixture(scope="module")
def view(inspection: Inspection, inspector: Inspector) -> LabView:
    return lab_view(inspection, inspector, seed=3)


def test_only_the_encoding_notices_the_shuffle(view: LabView) -> None:
    assert [name for name, result in view.shuffles.items() if not result.same] == ["spatial_position"]
    assert list(view.shuffles) == ["spatial", "spatial_position", *(name for name in MECHANISMS if name != "spatial")]


def test_means_are_those_of_the_block_at_that_strength(
    view: LabView, inspection: Inspection, inspector: Inspector
) -> None:
    assert STRENGTHS[0] == 0
    features = torch.from_numpy(inspection.features)[None]
    for at in (0, 10, 20):
        encoding = SinusoidalEncoding2d(inspector.block.channels, amplitude=0.5 * STRENGTHS[at])
        _, attention = with_encoding(inspector.block, encoding)(features, return_attention=True)
        attention = attention[0].detach()
        assert view.entropy[at] == pytest.approx(entropy(attention).mean(), abs=1e-5)
        distance = mean_attention_distance(attention, inspection.grid, inspection.stride_px).mean()
        assert view.distance_px[at] == pytest.approx(distance, abs=1e-3)
    uniform = uniform_attention_distance(inspection.grid, inspection.stride_px).mean()
    assert view.uniform_distance_px == pytest.approx(uniform)
    assert view.queries_measured == inspection.features[0].size


def test_arrays_give_the_queries_back(view: LabView) -> None:
    arrays = lab_arrays(view)
    for name in ("queries", "query_steps", "keys", "key_steps"):
        rows = getattr(view.parts, name)
        decoded = arrays[name] * arrays[f"{name}_scale"][:, None]
        assert abs(decoded - rows).max() <= abs(rows).max() / 65000


def test_a_constant_picture_has_finite_arrays(inspector: Inspector) -> None:
    flat = lab_view(inspector.inspect(np.full((64, 64, 3), 128, np.uint8), 64), inspector)
    assert all(np.isfinite(array).all() for array in lab_arrays(flat).values())
    json.dumps(lab_facts(flat), allow_nan=False)


def test_facts_are_plain_json(view: LabView) -> None:
    facts = json.loads(json.dumps(lab_facts(view), allow_nan=False))
    assert facts["seed"] == 3
    assert sorted(facts["permutation"]) == list(range(math.prod(view.grid)))
    assert [row["name"] for row in facts["mechanisms"]] == list(view.shuffles)


def test_a_new_permutation_needs_no_new_files(view: LabView, inspection: Inspection, inspector: Inspector) -> None:
    lab = Lab()
    again = lab_view(inspection, inspector, seed=4)
    first, second = lab.postprocess(view), lab.postprocess(again)
    assert first is not None
    assert second is not None
    assert first.arrays.path == second.arrays.path
    assert first.image.path == second.image.path
    assert json.loads(first.facts)["permutation"] != json.loads(second.facts)["permutation"]
    assert Path(first.arrays.path).is_file()
    assert lab.postprocess(None) is None


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_browser_draws_pythons_maps(view: LabView, inspection: Inspection, inspector: Inspector) -> None:
    permutation = view.shuffles["spatial"].permutation
    back = np.argsort(permutation)
    questions = [{"query": query, "strength": strength} for query in (0, 17) for strength in (0.0, 1.0, 1.7)]
    sent = {
        "data": base64.b64encode(gzip.decompress(pack_arrays(lab_arrays(view)))).decode(),
        "permutation": permutation.tolist(),
        "questions": questions,
    }
    script = Path(__file__).parent / "js" / "lab.mjs"
    done = subprocess.run(
        [str(shutil.which("node")), str(script)], input=json.dumps(sent), capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    shuffled = shuffle_positions(torch.from_numpy(inspection.features)[None], permutation)[0]
    shuffled_parts = encoded_queries(shuffled, inspector.block, SinusoidalEncoding2d(inspector.block.channels))
    for question, maps in zip(questions, answer["answers"], strict=True):
        query, strength = question["query"], question["strength"]
        after = shuffled_parts.rows(strength, [back[query]])[0]
        np.testing.assert_allclose(maps["before"], view.parts.rows(strength, [query])[0], atol=2e-4)
        np.testing.assert_allclose(maps["after"], after, atol=2e-4)
        np.testing.assert_allclose(maps["restored"], after[back], atol=2e-4)
    assert answer["readable"] == ["0", "0.16", "0.001", "2.1×10⁻⁴", "7.8×10⁻⁷", "–", "–"]
    assert answer["error"] == pytest.approx(0.2)


def test_text_view_is_the_reference() -> None:
    answer = json.loads(json.dumps(text_view({"sentence": "The dog bites the man.", "seed": 4}), allow_nan=False))
    for name, strength in (("without", 0.0), ("with", 1.0)):
        result = shuffle_sentence(answer["tokens"], 4, strength)
        np.testing.assert_allclose(answer[name]["attention"], result.attention, atol=1e-7)
        np.testing.assert_allclose(answer[name]["shuffled"], result.shuffled, atol=1e-7)
        assert answer[name]["output_error"] == result.output_error
        assert answer["order"] == result.order.tolist()


@pytest.mark.parametrize("request_", [{}, {"sentence": " \n", "seed": 1}])
def test_text_view_of_nothing(request_: dict) -> None:
    assert text_view(request_)["tokens"] == []


def test_text_view_bounds_what_it_is_sent() -> None:
    answer = text_view({"sentence": "a " * 100_000, "seed": 10**30})
    assert len(answer["tokens"]) == 48
    assert answer["found"] == 1000
    assert text_view({"sentence": 5, "seed": "7"})["tokens"] == ["5"]


@pytest.mark.parametrize("part", PARTS)
def test_both_languages_say_the_same_things(part: str) -> None:
    said = {language: load_texts(language, part) for language in LANGUAGES}
    assert said["en"].keys() == said["zh"].keys()
    for key, sentence in said["en"].items():
        assert key.startswith(f"{part}.")
        assert set(re.findall(r"\{(\w+)\}", sentence)) == set(re.findall(r"\{(\w+)\}", said["zh"][key])), key
        assert re.search(r"[\u4e00-\u9fff]", said["zh"][key]) or key in UNTRANSLATED, key


UNTRANSLATED = {"text_lane.try.3"}


@pytest.mark.parametrize("name", ["lab", "text_lane"])
def test_every_text_a_template_or_script_names_exists(name: str) -> None:
    keys = load_texts("en", name).keys()
    html = (HERE / "panels" / name / "panel.html").read_text("utf-8")
    script = (HERE / "panels" / name / "index.js").read_text("utf-8")
    named = set(re.findall(rf"[\"']({name}\.[\w.]*\w)[\"']", html + script))
    assert named
    assert named <= keys, named - keys
    assert "${" not in html
    assert "`" not in html
    assert "\\" not in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_formulas_and_statements(language: str) -> None:
    markdown = formulas(language)
    assert markdown.count("$$") == 2 * sum(len(latex(name)) for name in (*MECHANISMS, "position"))
    assert markdown.replace("$$", "").count("$") % 2 == 0
    for paper in ("2012.09841", "1709.01507", "1910.03151", "1807.06521", "1809.02983", "2106.09681", "1706.03762"):
        assert f"https://arxiv.org/abs/{paper}" in markdown
    lines = statements(language).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(STATEMENTS)
    assert {line.count("|") for line in lines} == {5}


@pytest.mark.parametrize("language", LANGUAGES)
def test_statements_cite_sections_by_their_own_titles(language: str) -> None:
    lines = statements(language).splitlines()[2:]
    for number, line in zip(STATEMENTS, lines, strict=True):
        for place, anchor, title in SHOWN_AT[number]:
            assert text(language, title) in line
            assert text(language, place) in line
            assert f"(#{anchor})" in line
    steps = (HERE.parents[1] / "attn/ui/panels/story/steps.js").read_text(encoding="utf-8")
    cited = {
        anchor.removeprefix("story-") for links in SHOWN_AT.values() for _, anchor, _ in links if "story-" in anchor
    }
    assert cited <= set(re.findall(r"id: '(\w+)'", steps))


def test_grouping_figures_are_the_measured_ones_and_only_those(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "figures.json"
    monkeypatch.setattr("attn.measured.FIGURES", file)
    assert grouping_figures("bundled", "layer3", "fine") == {}
    assert "–" in filled("{gain_layer3}")
    rows = [
        {"mechanism": "attn", "auc": 0.8, "photographs": 9},
        {"mechanism": "attn_position", "auc": 0.925, "photographs": 9},
    ]
    file.write_text(json.dumps({"layer3": {"fine": {"rows": rows}, "coarse": {"rows": rows[:1]}}}))
    assert grouping_figures("bundled", "layer3", "fine") == {"without": 0.8, "with": 0.925, "photographs": 9}
    assert filled("a gain of {gain_layer3}") == "a gain of 0.125"
    assert grouping_figures("resnet18", "layer3", "fine") == {}
    assert grouping_figures("bundled", "layer2", "fine") == {}
    assert grouping_figures("bundled", "layer3", "coarse") == {}


def test_no_number_of_a_statement_is_typed_that_was_measured() -> None:
    """Whatever figures.json knows comes from it: a text that types such a number would not follow it."""
    for language in LANGUAGES:
        for key, sentence in load_texts(language, "statements").items():
            assert not re.search(r"0\.\d{3}", sentence), key
