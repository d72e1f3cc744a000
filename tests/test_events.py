"""What the page's events answer where something is refused."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from attn.texts import text
from attn.ui.address import address_of
from attn.ui.controls import Controls
from attn.ui.events import Events
from attn.ui.page import _file_note, _set_back
from attn.ui.turns import Turns

SHOWN = Controls()


def answer(asked: Controls, shown: Any) -> list[Any]:
    """The answer of the event that draws the map, which gives "map" here, to controls beside what is shown."""
    events = Events(Turns(8))
    ask = events.on_controls(lambda controls: ["map", "bar", "photograph"], 3, set_back=_set_back)
    request: Any = SimpleNamespace(client=None, session_hash="one")
    with ThreadPoolExecutor(1) as thread:  # the tests' own thread may have a loop
        return list(thread.submit(lambda: asyncio.run(ask(request, None, *asked.values(), shown))).result())


@pytest.mark.parametrize("refused", [{"stage": "layer4"}, {"longest_side": 9999}, {"seed": -1}])
def test_a_refused_choice_is_set_back_to_what_is_shown(refused: dict[str, Any]) -> None:
    explorer, bar, photograph, banner, *controls = answer(replace(SHOWN, **refused), address_of(SHOWN))
    assert explorer == bar == photograph == gr.skip()
    assert banner["visible"]
    stem, stage, detail, side, seed = controls
    assert (stem, stage["value"], detail, side) == (SHOWN.stem, SHOWN.stage, SHOWN.detail, SHOWN.longest_side)
    assert seed == SHOWN.seed
    assert SHOWN.stage in stage["choices"]


def test_what_is_granted_stays_as_chosen() -> None:
    assert answer(SHOWN, address_of(SHOWN)) == ["map", "bar", "photograph", *[gr.skip()] * 6]


@pytest.mark.parametrize("shown", [None, "", {"stem": "nothing"}, {**address_of(SHOWN), "stem": "nothing"}])
def test_where_nothing_is_known_of_what_is_shown_the_choice_stays(shown: Any) -> None:
    *_, banner, a, b, c, d, e = answer(replace(SHOWN, weights="file"), shown)
    assert a == b == c == d == e == gr.skip()
    assert text("en", "page.error.file").split(".")[0] in banner["value"]


def test_while_there_is_no_file_the_settings_say_what_is_shown() -> None:
    for language in ("en", "zh"):
        note = _file_note(language, "file", None, address_of(SHOWN))
        assert note["visible"]
        assert text(language, f"page.weights.{SHOWN.weights}") in note["value"]
    for weights, file, shown in [
        ("file", "block.safetensors", address_of(SHOWN)),
        ("tuned", None, address_of(SHOWN)),
        ("file", None, {"weights": "nothing"}),
        ("file", None, None),
    ]:
        assert not _file_note("en", weights, file, shown)["visible"]
