"""Channel attention that networks were trained with, on this photograph: the gates of every SE block, by depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import numpy as np
from gradio.components.base import Component
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray

from attn.errors import PlainError
from attn.stems.own_gates import GATED_NETWORKS, OwnGate
from attn.ui.component import cached_file, component_files, pack_arrays, refusal


@dataclass(frozen=True, eq=False)
class OwnGatesView:
    """What the panel shows.

    network: one of GATED_NETWORKS. blocks: its SE blocks, in its order; empty where it could not be had: ``error`` then
    says why. ours: the gates that this project trained on a ResNet's features, name → (C,). key: of the photograph's
    encoding.
    """

    network: str
    blocks: tuple[OwnGate, ...] = ()
    ours: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    error: PlainError | None = None
    key: str = ""


class OwnGatesData(GradioModel):
    """What the browser receives: all gates in a file, and what is said of each block."""

    arrays: FileData | None = None
    facts: dict[str, Any]


class OwnGates(gr.HTML):
    """The gates by depth as a component without a build step; its value is an `OwnGatesView`, or None.

    `.ask(...)` carries {"network": its name}: the reader wants it, downloading included.
    """

    data_model = OwnGatesData

    def __init__(self, value: OwnGatesView | None = None, **arguments: Any) -> None:
        files = component_files("own_gates", ["ask"])
        files["html_template"] = files["html_template"].replace("NETWORKS", " ".join(GATED_NETWORKS))
        super().__init__(value, apply_default_css=False, **files, **arguments)

    def postprocess(self, value: OwnGatesView | None) -> OwnGatesData | None:
        """The gates as a file in Gradio's cache."""
        if value is None:
            return None
        if value.error is not None:
            return OwnGatesData(facts={"network": value.network, **refusal(value.error), "key": value.key})
        arrays: dict[str, NDArray[Any]] = {str(block.depth): block.gates for block in value.blocks}
        arrays |= {f"ours_{name}": gates.astype(np.float32) for name, gates in value.ours.items()}
        return OwnGatesData(
            arrays=cached_file(pack_arrays(arrays), "gates.safetensors.gz", self.GRADIO_CACHE, "application/gzip"),
            facts={
                "network": value.network,
                "key": value.key,
                "ours": list(value.ours),
                "blocks": [
                    {"name": block.name, "stage": block.stage, "stride_px": block.stride_px, "grid": list(block.grid)}
                    for block in value.blocks
                ],
            },
        )

    def preprocess(self, payload: OwnGatesData | None) -> None:
        """Nothing: the panel only shows."""

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value, as `data_model` has it."""
        return Component.api_info(self)
