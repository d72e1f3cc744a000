"""The one file: everything inside, nothing outside, safe against names, small."""

import base64
import gzip
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio.media import get_image
from safetensors.numpy import load

from attn import Inspection, Inspector
from attn.checkpoints import WeightsInfo
from attn.figures.compact import decode_compact
from attn.figures.document import document, frame
from attn.texts import LANGUAGES, text
from attn.ui.answers import export_file
from attn.ui.serving import Settings

LION = get_image("lion.jpg")


class Reader(HTMLParser):
    """Elements with their attributes, and what stands inside scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] and self.elements[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.words.append(data)

    def held(self, kind: str) -> Any:
        scripts = [attributes for tag, attributes in self.elements if tag == "script"]
        (at,) = (i for i, attributes in enumerate(scripts) if attributes.get("type") == kind)
        return json.loads(self.scripts[at])


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    return Inspector(detail="coarse").inspect(LION)


@pytest.fixture(scope="module")
def page(inspection: Inspection) -> str:
    return document(inspection, title="A lion")


def test_it_holds_the_map_in_every_language(inspection: Inspection, page: str) -> None:
    held = Reader(page).held("application/json")
    value = held["values"]["explorer"]
    packed = base64.b64decode(value["arrays"]["url"].removeprefix("data:application/gzip;base64,"))
    queries, keys = decode_compact(load(gzip.decompress(packed)))
    logits = queries @ keys.T
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = np.abs(weights / weights.sum(axis=1, keepdims=True) - inspection.attention).max() * len(queries)
    assert error < value["tolerance"] + 0.01  # float32
    assert value["tolerance"] <= len(queries) / 5000
    assert value["checked"] == len(queries)
    assert set(held["texts"]) == set(LANGUAGES) == set(held["languages"])
    for language in LANGUAGES:
        assert held["texts"][language]["explorer.name"] == text(language, "explorer.name")


def test_nothing_is_outside(page: str) -> None:
    reader = Reader(page)
    for _, attributes in reader.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")  # type: ignore[union-attr]
    (packed,) = (said for said in reader.scripts if said.startswith("H4sI"))
    inside = json.loads(gzip.decompress(base64.b64decode(packed)))
    modules = inside["modules"]
    code = "\n".join([*modules.values(), inside["main"]])
    assert not re.search(r"""from '\.|import '\.|import\(""", code)
    wanted = set(re.findall(r"""from '(attn/[^']+)'""", code))
    assert wanted == set(modules)
    assert "@import" not in page
    assert not re.search(r"url\((?!['\"]?data:)", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


def test_it_is_small(inspection: Inspection, page: str) -> None:
    assert inspection.grid == (20, 20)
    assert len(page.encode()) < 0.7e6
    fine = Inspector().inspect(LION)
    assert fine.grid == (40, 40)
    assert len(document(fine).encode()) < 1.5e6


def test_names_are_text_wherever_they_stand(inspection: Inspection) -> None:
    evil = """</script><script>alert(1)</script><!--"'><img src=x onerror=alert(1)>"""
    spatial = replace(inspection.mechanisms["spatial"], source=WeightsInfo("file", file=evil))
    hostile = replace(inspection, mechanisms={**inspection.mechanisms, "spatial": spatial})
    reader = Reader(document(hostile, title=evil, view=evil))
    harmless = Reader(document(inspection, title="x"))
    assert [tag for tag, _ in reader.elements] == [tag for tag, _ in harmless.elements]
    value = reader.held("application/json")["values"]["explorer"]
    assert value["weights"]["file"] == value["view"] == evil
    assert evil in reader.words
    framed = Reader(frame(document(hostile, title=evil), evil))
    assert [tag for tag, _ in framed.elements] == ["iframe"]


def test_the_same_inspection_gives_the_same_file(inspection: Inspection, page: str) -> None:
    assert document(inspection, title="A lion") == page


def test_a_language_is_one_that_there_is(inspection: Inspection) -> None:
    assert '<html lang="zh">' in document(inspection, language="zh")
    with pytest.raises(ValueError, match="expected a language of en, zh, got 'xx'"):
        document(inspection, language="xx")


def test_an_inspection_saves_itself_and_shows_itself_in_a_notebook(inspection: Inspection, tmp_path: Path) -> None:
    path = inspection.save_html(tmp_path / "lion.html", language="zh")
    saved = path.read_text("utf-8")
    assert saved == document(inspection, title="lion", language="zh")
    (only,) = Reader(inspection._repr_html_()).elements
    assert only[0] == "iframe"
    assert only[1]["srcdoc"] == document(inspection)
    assert only[1]["sandbox"] == "allow-scripts allow-downloads"
    assert html.unescape(inspection._repr_html_()).count("<iframe") == 1


def test_the_page_saves_it_as_it_is_shown() -> None:
    controls = replace(Settings().controls(), language="zh", detail="coarse")
    lane = {"mechanism": "eca", "row": 3, "other": "x"}
    shown = {"view": "q6.9~p3.4", "pins": [[3, 4]], "cell": [6, 9], "lane": lane}
    saved = Path(export_file({"kind": "html", **shown}, controls))
    page = saved.read_text("utf-8")
    assert saved.name == "attention.html"
    assert '<html lang="zh">' in page
    assert "<title>lion</title>" in page
    held = Reader(page).held("application/json")
    assert held["values"]["explorer"]["view"] == "q6.9~p3.4"
    assert held["values"]["lane"]["opening"] == {"mechanism": "eca"}  # what is no text is not taken
    assert held["texts"]["zh"]["window.headline"] == text("zh", "window.headline")
