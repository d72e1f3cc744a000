"""Nothing a visitor wrote is ever markup on the page, and nothing is shown at more than a sentence's length."""

import html
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from attn.checkpoints import WeightsInfo
from attn.errors import PlainError
from attn.ui.address import LINKED, restore
from attn.ui.answers import explorer_view, weights_badge
from attn.ui.controls import Controls
from attn.ui.examples import EXAMPLES
from attn.ui.wording import as_text, in_short, notice, worded

MARKUP = (
    "<b class=owned>x</b>",
    "<form action='http://127.0.0.1:9/'><input type=password></form>",
    "![](http://127.0.0.1:9/t.png)",
    "[x](javascript:alert(1))",
    "<img src=x onerror=alert(1)>" * 30_000,
    "`x` **x** _x_ # x $$x$$ {x} \\ | x |",
    "\u202e\0\n\n# x",
)
OPENING = Controls(photograph=EXAMPLES["lion"], example="lion", longest_side=64)
LONGEST = 500


def check(shown: str) -> None:
    """Plain letters, their entities, and what makes sentences: nothing that Markdown or HTML takes for more."""
    assert not set(shown.replace("&#", "").replace(";", "")) & set("<>[]!`*#$_|{}\\&\"'\0\n\u202e"), shown[:200]
    assert len(html.unescape(shown)) <= LONGEST


def short(value: object) -> str:
    return in_short(value)[:20]


@pytest.mark.parametrize("markup", MARKUP, ids=short)
@pytest.mark.parametrize("name", LINKED)
def test_nothing_in_a_link_is_markup(name: str, markup: str) -> None:
    answer = restore(OPENING, "en", {name: markup})
    check(answer[-1]["value"])
    assert answer[-1]["visible"]


@pytest.mark.parametrize("markup", MARKUP, ids=short)
def test_a_language_and_a_view_in_a_link_are_never_shown(markup: str) -> None:
    assert restore(OPENING, markup, {"view": "q1.1"})[0] == "en"
    assert explorer_view(OPENING, "q1.1").view == "q1.1"


@pytest.mark.parametrize("markup", MARKUP, ids=short)
def test_nothing_in_a_weights_file_is_markup(markup: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file({f"{markup}.{name}": torch.zeros(1) for name in ("q.weight", "norm.weight")}, path)
    with pytest.raises(PlainError) as refused:
        explorer_view(replace(OPENING, weights="file", file=str(path)))
    check(notice(worded(refused.value, "en"))["value"])
    check(notice(worded(refused.value, "zh"))["value"])


@pytest.mark.parametrize("key", ["reasons.weights.closed", "reasons.image.missing"])
@pytest.mark.parametrize("markup", MARKUP, ids=short)
def test_nothing_in_a_files_name_is_markup(key: str, markup: str) -> None:
    check(notice(worded(PlainError(key, name=markup), "en"))["value"])
    badge = weights_badge(WeightsInfo("file", file=markup, detail={"block": markup}))
    assert max(len(value) for value in (badge["file"], badge["block"])) <= 60  # drawn as text


@pytest.mark.parametrize("value", [*MARKUP, None, 3.5, [1], 10**5000], ids=short)
def test_what_was_sent_is_one_short_line(value: Any) -> None:
    assert len(in_short(value)) <= 60
    assert in_short(value).isprintable()


def test_a_sentence_reads_as_it_was_written() -> None:
    sentence = "Network must be one of a_b, got <b>x</b> & “y”."
    assert html.unescape(as_text(sentence)) == sentence
