"""What the page's events answer where something is refused."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from attn.texts import text
from attn.ui.address import address_of
from attn.ui.answers import show_lane
from attn.ui.controls import Controls
from attn.ui.events import Events
from attn.ui.page import _file_note, _set_back, _show_map
from attn.ui.turns import Turns
from attn.ui.wording import notice

SHOWN = Controls()


def answer(ask: Callable[..., Any], asked: Controls, *shown: Any) -> list[Any]:
    """The answer of an event to controls, beside what is shown."""
    request: Any = SimpleNamespace(client=None, session_hash="one")
    with ThreadPoolExecutor(1) as thread:  # the tests' own thread may have a loop
        return list(thread.submit(lambda: asyncio.run(ask(request, None, *asked.values(), *shown))).result())


@pytest.fixture
def events() -> Events:
    return Events(Turns(8))


@pytest.fixture
def draw(events: Events) -> Callable[..., Any]:
    """The event that draws the map, which gives "map" here."""
    return events.on_controls(lambda controls: ["map", "bar", "photograph"], 3, set_back=_set_back)


@pytest.mark.parametrize("refused", [{"stage": "layer4"}, {"longest_side": 9999}, {"seed": -1}])
def test_a_refused_choice_is_set_back_to_what_is_shown(draw: Callable[..., Any], refused: dict[str, Any]) -> None:
    explorer, bar, photograph, banner, *controls = answer(draw, replace(SHOWN, **refused), address_of(SHOWN))
    assert explorer == bar == photograph == gr.skip()
    assert banner["visible"]
    stem, stage, detail, side, seed = controls
    assert (stem, stage["value"], detail, side) == (SHOWN.stem, SHOWN.stage, SHOWN.detail, SHOWN.longest_side)
    assert seed == SHOWN.seed
    assert SHOWN.stage in stage["choices"]


def test_what_is_granted_stays_as_chosen(draw: Callable[..., Any]) -> None:
    assert answer(draw, SHOWN, address_of(SHOWN)) == ["map", "bar", "photograph", *[gr.skip()] * 6]


def test_without_a_photograph_every_event_says_so_in_one_sentence(events: Events) -> None:
    """They write into one banner, and a map that is shown may ask for its lane when its photograph is gone."""
    nothing = replace(SHOWN, photograph=None)
    *others, banner = answer(events.on_controls(show_lane, 1), nothing)
    assert others == [gr.skip()]
    draw = events.on_controls(_show_map, 3, set_back=_set_back, tells=True)
    *others, again, _, _, _, _, _ = answer(draw, nothing, address_of(SHOWN))
    assert others == [gr.skip()] * 3
    assert banner == again == notice(text("en", "page.notice.no_image"))


@pytest.mark.parametrize("shown", [None, "", {"stem": "nothing"}, {**address_of(SHOWN), "stem": "nothing"}])
def test_where_nothing_is_known_of_what_is_shown_the_choice_stays(draw: Callable[..., Any], shown: Any) -> None:
    *_, banner, a, b, c, d, e = answer(draw, replace(SHOWN, weights="file"), shown)
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
