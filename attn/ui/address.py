"""The share link, both ways: what the address holds of the controls, and the controls it asks for."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from attn.errors import PlainError
from attn.texts import text
from attn.ui.answers import explorer_view
from attn.ui.controls import Controls, known_language
from attn.ui.examples import EXAMPLES
from attn.ui.wording import notice, worded

# Name in the link → control. A file is in no link, nor is a photograph that is not one of the page's examples.
LINKED = {
    "example": "example",
    "stem": "stem",
    "stage": "stage",
    "detail": "detail",
    "side": "longest_side",
    "weights": "weights",
    "position": "position",
    "seed": "seed",
}


def address_of(controls: Controls) -> dict[str, Any]:
    """What a share link holds of the controls.

    Weights are those shown; the encoding's switch is as it stands, though weights without one do not use it.
    ``photograph`` is in no link: it tells two uploads apart (the folder of Gradio's cache is named after the content).
    """
    shown = replace(controls, weights=controls.settled().weights)
    values = {name: getattr(shown, control) for name, control in LINKED.items()}
    values = {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}
    return {**values, "photograph": Path(controls.photograph or "").parent.name}


def controls_asked_for(asked: Mapping[str, Any], now: Controls) -> Controls:
    """The controls that a share link or the page's script asks for, the present ones where it does not say.

    Raises:
        ControlError: a value that the controls do not have.
    """
    wanted = {control: asked[name] for name, control in LINKED.items() if asked.get(name, "") != ""}
    for control in ("longest_side", "position", "seed"):
        if control in wanted:
            try:
                wanted[control] = float(wanted[control])
            except (TypeError, ValueError):
                wanted[control] = math.nan
    controls = replace(now, **wanted).checked()
    if controls.example != now.example:
        controls = replace(controls, photograph=EXAMPLES[controls.example])
    return controls


def restore(opening: Controls, language: str, asked: Mapping[str, str]) -> list[Any]:
    """Values of the controls, the explorer, the bridge and the banner that the address asks for.

    Without anything asked for the page stays as it was built.
    """
    opening = replace(opening, language=known_language(language))
    unchanged = [opening.language, *[gr.skip()] * (len(opening.values()) + 2)]
    if not set(asked) & set(LINKED):
        return unchanged
    try:
        controls = controls_asked_for(asked, opening)
        shown = explorer_view(controls, asked.get("view", ""))
    except PlainError as error:
        # Gradio shows no message for an event of the page's loading.
        reason = worded(error, opening.language)
        sentence = text(opening.language, "page.share.broken", reason=reason)
        # The explorer waits for what the link asks for.
        return [*unchanged[:-3], explorer_view(opening), gr.skip(), notice(sentence)]
    sentence = "" if "example" in asked else text(opening.language, "page.share.no_picture")
    return [*controls.values(), shown, address_of(controls), notice(sentence)]


def command(asked: Mapping[str, Any], controls: Controls) -> list[Any]:
    """The controls that the page's script asks for; the photograph only where it changes."""
    wanted = controls_asked_for(asked, controls)
    changed = wanted.photograph != controls.photograph
    return [gr.skip(), wanted.photograph if changed else gr.skip(), *wanted.values()[2:]]
