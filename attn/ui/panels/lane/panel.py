"""The right half of the window: what a channel mechanism weighs on the features that the AttnBlock's map is made of.

The same photograph once a channel, lit where that channel answers, as bright as its weight; under it the weights. They
travel once a photograph: choosing a mechanism or a channel asks nothing of the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import gradio as gr
from gradio.components.base import Component
from gradio.data_classes import FileData, GradioModel
from PIL import Image

from attn.errors import PlainError
from attn.figures.lane import LaneView, lane_arrays, lane_facts
from attn.ui.component import cached_file, component_files, pack_arrays, refusal


@dataclass(frozen=True, eq=False)
class LaneRefused:
    """What belongs to the map cannot be shown; the lane says why."""

    error: PlainError


class LaneData(GradioModel):
    """What the browser receives: the photograph, the packed arrays and the plain numbers.

    Without files ``facts`` is a `refusal`.
    """

    image: FileData | None = None
    arrays: FileData | None = None
    facts: dict[str, Any]


class ChannelLane(gr.HTML):
    """The lane as a component without a build step; its value is a `LaneView`, or None while there is nothing;
    a `LaneRefused` says why it stays so.

    `.again()` is for what was refused, asked for once more.
    """

    data_model = LaneData

    def __init__(self, value: LaneView | LaneRefused | None = None, **arguments: Any) -> None:
        super().__init__(value, apply_default_css=False, **component_files("lane", ["again"]), **arguments)

    def postprocess(self, value: LaneView | LaneRefused | None) -> LaneData | None:
        """The view as a file in Gradio's cache and what stands beside it."""
        if value is None:
            return None
        if isinstance(value, LaneRefused):
            return LaneData(facts=refusal(value.error))
        data = pack_arrays(lane_arrays(value), level=6)
        photograph = BytesIO()
        Image.fromarray(value.image).save(photograph, "JPEG", quality=92)  # the same file as the explorer's
        return LaneData(
            image=cached_file(photograph.getvalue(), "photograph.jpg", self.GRADIO_CACHE, "image/jpeg"),
            arrays=cached_file(data, "lane.safetensors.gz", self.GRADIO_CACHE, "application/gzip"),
            facts=lane_facts(value),
        )

    def preprocess(self, payload: LaneData | None) -> None:
        """Nothing: the lane only shows."""

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value, as `data_model` has it."""
        return Component.api_info(self)
