"""A reader's weights file: every block found in it, where each fits, and which one is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from attn.checkpoints import BlockFound
from attn.errors import PlainError
from attn.stems import BUNDLED_STAGES
from attn.texts import LANGUAGES
from attn.ui.component import component_files


@dataclass(frozen=True)
class BlocksView:
    """What the panel shows.

    file: its name. blocks: what was found, usable ones first; empty where it could not be read, which ``error`` says.
    channels, stem, stage: of the features on the page. used: label of the block in use, "" for none.
    """

    file: str
    channels: int
    stem: str
    stage: str
    blocks: Sequence[BlockFound] = ()
    used: str = ""
    error: PlainError | None = None


class Blocks(gr.HTML):
    """The chooser as a component without a build step; its value is a `BlocksView`, or None without a file.

    `.choose(...)` carries {"block": a label}, with "stem" and "stage" where the network must change for it.
    """

    def __init__(self, value: BlocksView | None = None, **arguments: Any) -> None:
        super().__init__(value, apply_default_css=False, **component_files("blocks", ["choose"]), **arguments)

    def postprocess(self, value: BlocksView | None) -> Any:
        """The view as JSON."""
        if value is None:
            return None
        return {
            "file": value.file,
            "channels": value.channels,
            "stem": value.stem,
            "stage": value.stage,
            "used": value.used,
            "error": _said(value.error),
            "blocks": [
                {
                    "label": block.label,
                    "layout": block.layout,
                    "mechanism": block.mechanism,
                    "channels": block.channels,
                    "dtype": block.dtype,
                    "heads": block.heads,
                    "fits": block.fits(value.channels),
                    "places": _places(block),
                    "refusal": _said(block.refusal),
                }
                for block in value.blocks
            ],
        }

    def preprocess(self, payload: Any) -> None:
        """Nothing: the panel only shows."""

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value (gr.HTML says "string")."""
        return {"type": "object"}


def block_taken(blocks: Sequence[BlockFound], channels: int, wanted: str = "") -> str:
    """Label of the block that is used: the one wanted, else the first usable that fits; "" where none does."""
    usable = [block for block in blocks if block.refusal is None and block.fits(channels)]
    named = [block for block in usable if block.label == wanted]
    return (named or usable)[0].label if usable else ""


def _places(block: BlockFound) -> list[list[str]]:
    """(network, stage) where it fits, the bundled network first: it has ResNet-18's widths, and needs no download."""
    bundled = [stage for stem, stage in block.places if stem == "resnet18" and stage in BUNDLED_STAGES]
    return [*(["bundled", stage] for stage in bundled), *(list(place) for place in block.places)]


def _said(error: PlainError | None) -> dict[str, str] | None:
    return None if error is None else {language: error.sentence(language) for language in LANGUAGES}
