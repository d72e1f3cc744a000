"""Every text exists in every language, has the same places to fill, and is used."""

import ast
import inspect
import math
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

import attn.ui
from attn import Inspector, images
from attn.checkpoints import has_trained
from attn.figures.export import MAX_PINS
from attn.measured import measured_rows, measured_stages, position_gain
from attn.measures.components import PERCENTILES
from attn.mechanisms import MECHANISMS
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.sentence import DIMENSIONS, SELF_LOGIT
from attn.stems import BUNDLED_STAGES, DETAILS, ResNetStem
from attn.stems.own_gates import GATED_NETWORKS
from attn.texts import LANGUAGES, latex, load_texts, text
from attn.ui.examples import EXAMPLES, OPENING
from attn.ui.gate import MOST, MOST_WEIGHTS
from attn.ui.panels.lab.panel import STATEMENTS, formulas, statements
from attn.ui.wording import SECTIONS, contents, figures_table, glossary, labels, shapes_table
from tests.corpus import png

UI = Path(attn.ui.__file__).parent
MEASURED = [(stage, detail) for stage in ("layer2", "layer3") for detail in DETAILS]
LIBRARY = UI.parent


def places(sentence: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", sentence))


def test_languages_have_the_same_keys() -> None:
    keys = {language: set(load_texts(language)) for language in LANGUAGES}
    assert keys["en"]
    assert keys["en"] == keys["zh"]


def test_languages_fill_the_same_places() -> None:
    english, chinese = load_texts("en"), load_texts("zh")
    # Formulas have braces of their own.
    differing = [
        key for key in english if not key.startswith("formula") and places(english[key]) != places(chinese[key])
    ]
    assert differing == []


def test_no_text_is_empty_or_left_in_english() -> None:
    chinese = load_texts("zh")
    assert [key for key, sentence in chinese.items() if not sentence.strip()] == []
    words = {key: sentence for key, sentence in load_texts("en").items() if len(sentence.split()) > 3}
    assert [key for key in words if not re.search(r"[\u4e00-\u9fff]", chinese[key])] == []


def test_every_key_is_used_and_every_used_key_exists() -> None:
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for pattern in ("*.py", "*.js", "*.html")
        for path in sorted(UI.rglob(pattern))
        if path.suffix != ".pyi"
    )
    keys = set(load_texts("en"))
    parts = {key.split(".")[0] for key in keys}
    quoted = set(re.findall(rf"""["'`]((?:{"|".join(parts)})\.[\w. -]+?)["'`]""", sources))
    # Keys put together at run time: `part.name.${choice}` in JavaScript, f"part.name.{choice}" in Python.
    prefixes = set(re.findall(rf"""["'`]((?:{"|".join(parts)})\.[\w.]*)\$?\{{""", sources))
    prefixes |= {"reasons.", "language."}  # raised below the page, see the test after this; read as the folder is
    # Parts that are shown whole.
    prefixes |= {f"{part}." for part in re.findall(r"""load_texts\(\w+, "(\w+)"\)\.(?:values|items)\(\)""", sources)}
    assert {key for key in quoted if key not in keys and not key.endswith((".", ".gz", ".json"))} == set()
    assert {key for key in keys - quoted if not any(key.startswith(prefix) for prefix in prefixes)} == set()


def raised() -> list[tuple[str, set[str]]]:
    """Every call in the library whose first argument is a key of `reasons.json`, with the names of its values."""
    calls = [
        node
        for path in sorted(LIBRARY.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
    ]
    return [
        (str(call.args[0].value), {str(keyword.arg) for keyword in call.keywords})
        for call in calls
        if str(call.args[0].value).startswith("reasons.")  # type: ignore[attr-defined]
    ]


def test_every_error_has_its_sentence_and_fills_it() -> None:
    reasons = load_texts("en", "reasons")
    assert {key for key, _ in raised()} == set(reasons)
    assert [key for key, values in raised() if values != places(reasons[key])] == []


@pytest.mark.parametrize("size", [(9000, 9000), (20000, 20000)])
def test_a_picture_too_large_is_said_without_english(size: tuple[int, int]) -> None:
    with pytest.raises(images.ImageError) as refused:
        images.open_image(png(*size, 8, 2, b""))
    assert not re.search("[A-Za-z]{2}", refused.value.sentence("zh"))


def test_several_values_are_listed_as_the_language_does() -> None:
    values = {"name": "m", "kinds": ["spatial", "gate"], "kind": "x"}
    assert "spatial, gate" in text("en", "reasons.mechanism.kind", **values)
    assert "spatial、gate" in text("zh", "reasons.mechanism.kind", **values)


def test_text_fills_in_values() -> None:
    assert "7" in text("en", "page.error.number", name="Seed", low=0, high=9, value=7)
    with pytest.raises(KeyError):
        text("en", "page.nothing")
    with pytest.raises(ValueError, match="expected a language of en, zh, got 'fr'"):
        load_texts("fr")


def test_the_readme_types_no_figure_that_is_measured() -> None:
    """Figures of the weights stand where they are written by their command: figures.json and the model card."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    assert "assets/weights/README.md" in readme
    scores = [f"{row['auc']:.3f}" for stage, detail in MEASURED for row in measured_rows(stage, detail).values()]
    assert scores
    assert [score for score in scores if score in readme] == []


def test_the_page_quotes_the_figures_that_ship() -> None:
    for language in LANGUAGES:
        table, told = figures_table(language), statements(language)
        for (stage, detail), weights in product(MEASURED, ("trained", "tuned")):
            assert all(f"{row['auc']:.3f}" in table for row in measured_rows(stage, detail, weights).values())
            gain = position_gain(stage, DETAILS[1])
            assert gain is not None
            assert f"{gain:.3f}" in told


def test_sentences_about_the_figures_hold() -> None:
    """What texts say in words of the figures that ship: “both kinds help”, “place adds”, “almost nothing”."""
    for stage, detail in MEASURED:
        rows = measured_rows(stage, detail)
        aucs = {name: row["auc"] for name, row in rows.items()}
        assert min(aucs["attn"], aucs["se"]) > aucs["features"]
        assert aucs["attn_position"] > aucs["attn"]
        assert abs(aucs["random"] - 0.5) < 0.05
        assert aucs["people"] == max(aucs.values())
        assert rows["people"]["photographs"] == rows["attn"]["photographs"]
        assert str(measured_stages()[stage]["longest_side"]) in figures_table("en")


def constant(module: str, name: str) -> int:
    """A whole number that a module of the page names."""
    found = re.search(rf"\bconst {name} = (\d+);", (LIBRARY / module).read_text(encoding="utf-8"))
    assert found
    return int(found[1])


def spelled(number: int, language: str) -> str:
    """A whole number to ten, in words."""
    words = {"en": "one two three four five six seven eight nine ten", "zh": "一 二 三 四 五 六 七 八 九 十"}
    return words[language].split()[number - 1]


def test_one_number_has_one_value_wherever_the_page_names_it() -> None:
    high = constant("ui/web/colourise.js", "FIXED_HIGH")
    assert constant("ui/panels/explorer/strip.js", "HIGH") == high
    assert constant("ui/panels/lane/weights.js", "OF_UNIFORM") == high
    assert constant("ui/panels/story/picture.js", "HIGH") == high
    assert constant("ui/web/view.js", "MAX_PINS") == MAX_PINS == constant("ui/panels/pair/index.js", "MOST_PINS")


@pytest.mark.parametrize("name", MECHANISMS)
def test_costs_grow_as_the_table_says(name: str) -> None:
    """The terms of `channels.growth`, each times a number of its own, make up the multiply-adds at any size."""
    said = {text(language, f"channels.growth.{name}") for language in LANGUAGES}
    assert len(said) == 1
    written = [term.partition("/") for term in said.pop().split(" + ")]
    terms = [factors.split("·") for factors, _, _ in written]
    sizes = [(n, c) for n in (256, 1024, 4096) for c in (256, 512, 1024)]
    degree = {"N": (1, 0), "C": (0, 1), "N²": (2, 0), "C²": (0, 2)}
    powers = [np.sum([degree[factor] for factor in term], axis=0) for term in terms]
    parts = np.array([[float(n) ** p * float(c) ** q for p, q in powers] for n, c in sizes])
    with torch.device("meta"):
        counted = np.array([MECHANISMS[name].build(c).multiply_adds(1, n) for n, c in sizes], dtype=float)
    scaled = parts / counted[:, None]
    factors, *_ = np.linalg.lstsq(scaled, np.ones(len(sizes)), rcond=None)
    assert factors.min() > 0
    for factor, (_, _, divisor) in zip(factors, written, strict=True):
        assert not divisor or factor == pytest.approx(factors[0] / int(divisor), rel=0.05)
    np.testing.assert_allclose(scaled @ factors, 1, atol=0.02)


def test_the_story_takes_as_long_as_it_says() -> None:
    """Its words, in English, at 238 a minute (Brysbaert 2019, https://doi.org/10.1016/j.jml.2019.104047)."""
    parts = r"story\.(lead|\w+\.(title|ask|text|reveal|picture|option\.\d))"
    said = " ".join(words for key, words in load_texts("en", "story").items() if re.fullmatch(parts, key))
    minutes = round(len(re.findall(r"[A-Za-z{]\w*", said)) / 238)
    assert all(f"{spelled(minutes, language)}" in text(language, "story.lead") for language in LANGUAGES)


def test_typed_numbers_are_those_of_the_code() -> None:
    for language in LANGUAGES:
        say = load_texts(language).__getitem__
        for network in GATED_NETWORKS:
            size = torchvision.models.get_model_weights(network)["IMAGENET1K_V1"].meta["_file_size"]
            assert f"{size:.0f} MB" in say(f"bench.own.network.{network}")
        assert str(DIMENSIONS) in say("text_lane.how.body")
        assert f"√{math.sqrt(DIMENSIONS) * SELF_LOGIT:.0f}" in say("text_lane.how.body")
        assert f"$D = {DIMENSIONS}$" in say("formulas.position")
        encoding = inspect.signature(SinusoidalEncoding2d).parameters
        assert f"${encoding['extent'].default / math.pi:.0f}\\pi$" in say("formulas.position")
        assert f"$b = {encoding['base'].default:.0f}$" in say("formulas.position")
        assert (encoding["amplitude"].default, "½" in say("formulas.position")) == (0.5, True)
        trained = [stage for stage in BUNDLED_STAGES if has_trained("bundled", stage)]
        assert all(stage in say("page.weights.info") for stage in trained)
        assert len(re.findall(r"layer\d", say("page.weights.info"))) == len(trained)
        assert MOST_WEIGHTS == 3 * MOST  # "three times that"
        high = constant("ui/web/colourise.js", "FIXED_HIGH")
        assert re.search(f"[^0-9]0 (to|到) {high}$", say("explorer.scale.uniform"))
        assert say("explorer.help.digits.key").split()[::2] == ["1", str(MAX_PINS)]
        assert spelled(MAX_PINS, language) in say("explorer.pins.hint").lower()
        assert spelled(constant("ui/panels/explorer/gestures.js", "JUMP"), language) in say("explorer.help.shift.does")
        assert all(
            re.search(rf"(?<!\d){percentile:.0f}(?!\d)", say("bench.colours.note")) for percentile in PERCENTILES
        )
        depths = (UI / "panels/own_gates/depths.js").read_text(encoding="utf-8")
        assert re.findall(r"gate [<>] (0\.\d)", depths) == re.findall(r"0\.\d", say("bench.own.tip"))
        for network in GATED_NETWORKS:
            shown = torchvision.models.get_model_weights(network)["IMAGENET1K_V1"].transforms()
            assert str(shown.crop_size[0]) in say("bench.own.note")
        coarse, fine = (ResNetStem(stage="layer3", detail=detail).stride_px for detail in DETAILS[:2])
        assert spelled((coarse // fine) ** 2, language) in say("page.detail.info")
        assert spelled(len(STATEMENTS), language) in say("story.lead")
        assert spelled(MAX_PINS, language) in say("explorer.pins.hint.touch")
        encoded = Inspector().encode(EXAMPLES[OPENING])  # what the link's picture shows
        assert str(encoded.keys.shape[1]) in say("page.preview.picture")


def test_formulas_have_one_source() -> None:
    """Those on lines of their own stand in latex.json alone: for every language, the bench and what is written."""
    named = [*MECHANISMS, "position"]
    assert all(latex(name) for name in named)
    assert latex("mine") == []
    for language in LANGUAGES:
        texts = load_texts(language, "formulas")
        assert [key for key in texts if "{formula}" in texts[key]] == [f"formulas.{name}" for name in named]
        assert not any("$$" in section for section in texts.values())
        shown = formulas(language)
        assert "{formula}" not in shown
        assert all(f"$${line}$$" in shown for name in named for line in latex(name))
    for written in ("README.md", "assets/weights/README.md", "benchmarks/RESULTS.md"):
        said = (LIBRARY.parent / written).read_text(encoding="utf-8")
        assert not re.search(r"\$\$|\\frac|\\sum|softmax_|```math", said), f"{written} has a formula of its own"


def test_formulas_between_words_are_the_same_in_every_language() -> None:
    english, chinese = load_texts("en", "formulas"), load_texts("zh", "formulas")
    for key in english:
        named = [set(re.findall(r"\$([^$]+)\$", texts[key])) for texts in (english, chinese)]
        assert named[0] == named[1], key


def test_details_with_the_same_features_share_a_table() -> None:
    tables = [table.splitlines()[0] for table in figures_table("en").split("\n\n") if "px" in table]
    assert len(tables) == len(set(tables)) > 1
    coarse, fine = (measured_rows("layer2", detail) for detail in DETAILS[:2])
    shared = f"{text('en', 'page.detail.coarse')} = {text('en', 'page.detail.fine')}"
    assert any("layer2" in table and shared in table for table in tables) == (coarse == fine)


def test_contents_lead_to_headings_that_are_there() -> None:
    for language in LANGUAGES:
        titles = re.findall(r"\[([^\]]+)\]\(#attn-(\w+)\)", contents(language))
        assert [name for _, name in titles] == list(SECTIONS)
        written = labels(language)
        for title, name in titles:
            table = shapes_table([], language) if name == "shapes" else written[name]["value"]
            assert table.startswith(f"## {title}\n")


def terms(sentence: str) -> list[str]:
    """The names of the glossary's terms that a text marks."""
    return re.findall(r"\(#term-(\w+)\)", sentence)


def test_marked_terms_exist_and_every_entry_is_used() -> None:
    for language in LANGUAGES:
        texts = load_texts(language)
        entries = {key.removeprefix("glossary.") for key in load_texts(language, "glossary") if key.count(".") == 1}
        marked = {name for sentence in texts.values() for name in terms(sentence)}
        assert marked <= entries
        assert entries - marked == set()
        assert all(f"glossary.{name}.means" in texts for name in entries)


def test_the_reference_lists_every_term_once() -> None:
    for language in LANGUAGES:
        entries = load_texts(language, "glossary")
        listed = glossary(language)
        assert listed.count("\n- ") == len(entries) / 2
        assert all(sentence in listed for sentence in entries.values())
