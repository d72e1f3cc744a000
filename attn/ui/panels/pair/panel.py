"""Two photographs: queries of the first meet keys of the second, under the pointer, with no request."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import gradio as gr
import numpy as np
from gradio.components.base import Component
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from PIL import Image

from attn.errors import PlainError
from attn.inspector import Encoding
from attn.ui.component import cached_file, component_files, pack_arrays, refusal

STEPS = 32767  # of int16, to the largest magnitude of a row


@dataclass(frozen=True, eq=False)
class PairView:
    """Two encodings of one inspector, and where they come from.

    first_name, second_name: of the page's examples, "" for a photograph that somebody brought. key: of the page's own
    encoding when this was asked for. position: whether the block has its encoding; None where its weights have none.
    """

    first: Encoding
    second: Encoding
    first_name: str = ""
    second_name: str = ""
    key: str = ""
    position: bool | None = None


@dataclass(frozen=True, eq=False)
class PairRefused:
    """What was asked for cannot be shown; the panel keeps what it shows and says why."""

    error: PlainError


class PairData(GradioModel):
    """What the browser receives: both photographs, queries and keys, and what is said of them.

    Without files ``facts`` is a `refusal`.
    """

    first: FileData | None = None
    second: FileData | None = None
    arrays: FileData | None = None
    facts: dict[str, Any]


class Pair(gr.HTML):
    """The two photographs as a component without a build step; its value is a `PairView`, or None;
    a `PairRefused` says why there is no other.

    `.ask(...)` carries {"first", "second": names of examples or "", "position"}: which two are wanted.
    """

    data_model = PairData

    def __init__(self, value: PairView | PairRefused | None = None, **arguments: Any) -> None:
        super().__init__(value, apply_default_css=False, **component_files("pair", ["ask"]), **arguments)

    def postprocess(self, value: PairView | PairRefused | None) -> PairData | None:
        """The view as files in Gradio's cache."""
        if value is None:
            return None
        if isinstance(value, PairRefused):
            return PairData(facts=refusal(value.error))
        cache = self.GRADIO_CACHE
        data = pack_arrays(pair_arrays(value.first, value.second), level=0)
        return PairData(
            first=_photograph(value.first, cache),
            second=_photograph(value.second, cache),
            arrays=cached_file(data, "pair.safetensors.gz", cache, "application/gzip"),
            facts={
                "grids": [list(value.first.grid), list(value.second.grid)],
                "sizes": [list(one.image.shape[:2]) for one in (value.first, value.second)],
                "first": value.first_name,
                "second": value.second_name,
                "key": value.key,
                "position": value.position,
            },
        )

    def preprocess(self, payload: PairData | None) -> None:
        """Nothing: the panel only shows."""

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value, as `data_model` has it."""
        return Component.api_info(self)


def pair_arrays(first: Encoding, second: Encoding) -> dict[str, NDArray[Any]]:
    """``queries`` of the first photograph, ``keys_first``, ``keys_second``: (N, C) int16 with NAME_scale, one a row.

    All keys lose their common mean, which shifts each query's logits by one constant and leaves less to round.
    """
    mean = np.concatenate([first.keys, second.keys]).mean(axis=0)
    arrays: dict[str, NDArray[Any]] = {}
    for name, values in (
        ("queries", first.queries),
        ("keys_first", first.keys - mean),
        ("keys_second", second.keys - mean),
    ):
        largest = np.abs(values).max(axis=1) / np.float32(STEPS)
        scale = np.where(largest > 0, largest, np.float32(1)).astype(np.float32)
        arrays[name] = np.rint(values / scale[:, None]).astype(np.int16)
        arrays[f"{name}_scale"] = scale
    return arrays


def _photograph(encoding: Encoding, cache: str) -> FileData:
    data = BytesIO()
    Image.fromarray(encoding.image).save(data, "JPEG", quality=92)
    return cached_file(data.getvalue(), "photograph.jpg", cache, "image/jpeg")
