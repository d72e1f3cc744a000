"""Every text exists in every language, has the same places to fill, and is used."""

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import attn.ui
from attn import bundled, images
from attn.checkpoints import files, sources
from attn.stems import resnet as stem
from attn.texts import LANGUAGES, load_texts, text, translated
from attn.ui.callbacks import figures_table
from attn.ui.lab import statements
from tests.corpus import png

UI = Path(attn.ui.__file__).parent


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
    prefixes |= {"reasons.", "language."}  # found by their English; read as the folder is
    # Parts that are shown whole.
    prefixes |= {f"{part}." for part in re.findall(r"""load_texts\(\w+, "(\w+)"\)\.values\(\)""", sources)}
    assert {key for key in quoted if key not in keys and not key.endswith((".", ".gz", ".json"))} == set()
    assert {key for key in keys - quoted if not any(key.startswith(prefix) for prefix in prefixes)} == set()


def sentences(node: ast.AST) -> list[str]:
    """Every sentence in a module but its docstrings, with 7 for its values."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return []
    if isinstance(node, ast.JoinedStr):
        found = "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        found = node.value
    else:
        return [each for child in ast.iter_child_nodes(node) for each in sentences(child)]
    return [found] if re.fullmatch(r"[A-Z7].* .*\.", found) else []


@pytest.mark.parametrize("module", [images, sources, files, bundled, stem], ids=lambda module: module.__name__)
def test_every_sentence_of_an_error_is_translated(module: ModuleType) -> None:
    errors = [each for each in sentences(ast.parse(inspect.getsource(module))) if not each.startswith("A grid of")]
    assert len(errors) >= 3
    assert [each for each in errors if not re.search(r"[\u4e00-\u9fff]", translated("zh", each))] == []
    assert [each for each in errors if translated("en", each) != each] == []


@pytest.mark.parametrize("size", [(9000, 9000), (20000, 20000)])
def test_a_picture_too_large_is_said_without_english(size: tuple[int, int]) -> None:
    with pytest.raises(images.ImageError) as refused:
        images.open_image(png(*size, 8, 2, b""))
    assert not re.search("[A-Za-z]{2}", translated("zh", str(refused.value)))


def test_an_unknown_sentence_stays() -> None:
    assert translated("zh", "The moon is made of cheese.") == "The moon is made of cheese."
    assert translated("zh", "The weights file a.b cannot be opened.") == "权重文件 a.b 打不开。"


def test_text_fills_in_values() -> None:
    assert "7" in text("en", "page.error.number", name="Seed", low=0, high=9, value=7)
    with pytest.raises(KeyError):
        text("en", "page.nothing")
    with pytest.raises(ValueError, match="expected a language of en, zh, got 'fr'"):
        load_texts("fr")


def test_the_readme_quotes_the_figures_that_ship() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    assert figures_table("en") in readme
    assert statements("en") in readme
