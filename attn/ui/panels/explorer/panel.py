"""The explorer: a photograph with the attention of the position under the pointer over it.

What travels to the browser is logits, not probabilities, so that the temperature is exact there: at once those of the
query that the map opens with, then the query and key factors. Every map, number and comparison is then computed in the
browser; pointing asks nothing of the server.
"""

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import gradio as gr
import numpy as np
from gradio.components.base import Component
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from PIL import Image

from attn.figures.compact import compact_logits, pack_compact
from attn.ui.component import cached_file, component_files

MAX_TEMPERATURE = 4.0
# exp(-30) is 1e-13: a logit further below its row's largest adds nothing, even at the highest temperature.
LOGIT_FLOOR = 30.0 * MAX_TEMPERATURE
ROW_STEPS = 65535
KEPT = 4  # maps' arrays: the bench asks for the window's


@dataclass(frozen=True, eq=False)
class ExplorerView:
    """What the explorer shows.

    image: (H, W, 3) uint8, what the network saw. grid: (h, w) positions, N = h·w, row-major.
    stride_px: image pixels from one position to the next.
    queries, keys: (N, C) float32 with logits = queries @ keys.T (before the softmax, every scale included).
    weights: where the weights come from, for the badge: {"source": trained | similarity | random | file,
        "seed": int | None, "file": str | None}.
    key: a name for what is shown, see `Encoding.key`; panels that speak of the same map have the same.
    whole: False leaves the factors for later, when `Explorer.rest` asks for them: see `ExplorerRest`.
    view: the view to open with, as written into share links by `encodeView` in web/view.js; "" for the default.
    query: (row, column) whose logits come first; None for the one that ``view`` says, else the middle.
    overlap: what two queries have in common, see `Encoding.overlap`; None leaves it to the browser, once it has all.
    """

    image: NDArray[np.uint8]
    grid: tuple[int, int]
    stride_px: float
    queries: NDArray[np.float32]
    keys: NDArray[np.float32]
    weights: Mapping[str, Any] = field(default_factory=dict)
    view: str = ""
    key: str = ""
    whole: bool = True
    query: tuple[int, int] | None = None
    overlap: float | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"expected image (H, W, 3) uint8, got {self.image.shape} {self.image.dtype}")
        positions = self.grid[0] * self.grid[1]
        for name in ("queries", "keys"):
            array = getattr(self, name)
            if array.ndim != 2 or len(array) != positions:
                raise ValueError(f"expected {name} ({positions}, C) for grid {self.grid}, got {array.shape}")
        if self.queries.shape != self.keys.shape:
            raise ValueError(f"expected keys {self.queries.shape} like queries, got {self.keys.shape}")


@dataclass(frozen=True, eq=False)
class ExplorerRest:
    """What was left for later of the `ExplorerView` with the same ``key``; for any other map it is nothing."""

    queries: NDArray[np.float32]
    keys: NDArray[np.float32]
    key: str
    overlap: float | None = None


@dataclass(frozen=True)
class ExplorerNotice:
    """A sentence instead of a new map; what the explorer showed before stays.

    message: a sentence, or a key of the page's texts.
    state: "lacking" where it is not the map that cannot be had, but what `Explorer.rest` asked for.
    """

    message: str
    state: Literal["error", "loading", "lacking"] = "error"


class ExplorerData(GradioModel):
    """The value as it travels: small JSON, with the photograph and the arrays as files."""

    state: str
    message: str = ""
    image: FileData | None = None
    row: dict[str, Any] | None = None  # see `encode_row`
    arrays: FileData | None = None  # None: they follow
    size: list[int] | None = None  # image width, height in pixels
    grid: list[int] | None = None  # rows, columns
    stride_px: float = 0.0
    weights: dict[str, Any] | None = None
    # The largest error, in × uniform at temperature 1, that the rounding causes in the maps of `checked` queries.
    tolerance: float = 0.0
    checked: int = 0
    overlap: float | None = None  # at temperature 1
    view: str = ""
    key: str = ""


def encode_row(view: ExplorerView) -> tuple[dict[str, Any], float]:
    """`encode_query` of the one that the map opens with."""
    return encode_query(view.queries, view.keys, view.grid, _opening_cell(view))


def encode_query(
    queries: NDArray[np.float32], keys: NDArray[np.float32], grid: tuple[int, int], cell: list[int]
) -> tuple[dict[str, Any], float]:
    """The logits of the query at ``cell``, in JSON, and the largest error that they cause in × uniform.

    ``cell``, and logits = -steps · ``scale`` with ``steps`` uint16 in base64; the largest is at 0.
    """
    logits = queries[cell[0] * grid[1] + cell[1]] @ keys.T
    depth = np.minimum(logits.max() - logits, LOGIT_FLOOR)
    scale = float(depth.max()) / ROW_STEPS or 1.0
    steps = np.rint(depth / scale).astype("<u2")
    error = np.abs(_softmax(-scale * steps) - _softmax(logits.astype(np.float64))).max() * len(logits)
    return {"cell": cell, "scale": scale, "steps": base64.b64encode(steps.tobytes()).decode()}, float(error)


def logits_file(
    queries: NDArray[np.float32], keys: NDArray[np.float32], key: str, cache: str
) -> tuple[FileData, float]:
    """`compact_logits`'s arrays as a file for the browser, and their error: made once for a ``key``."""
    kept = _kept.get(key)
    if kept is None:
        arrays, error = compact_logits(queries, keys)
        kept = pack_compact(arrays), error
        if key:
            _kept[key] = kept
            for old in list(_kept)[:-KEPT]:
                _kept.pop(old, None)
    return cached_file(kept[0], "logits.safetensors.gz", cache, "application/gzip"), kept[1]


_kept: dict[str, tuple[bytes, float]] = {}


def _opening_cell(view: ExplorerView) -> list[int]:
    """The query that ``view`` opens with, as the panel's script has it: its own, or the middle."""
    named = re.search(r"(?:^|~)q(\d{1,3})\.(\d{1,3})(?:~|$)", view.view)
    wanted = view.query or (map(int, named.groups()) if named else (side // 2 for side in view.grid))
    return [min(place, side - 1) for place, side in zip(wanted, view.grid, strict=True)]


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


class Explorer(gr.HTML):
    """The explorer component. Its value is an `ExplorerView`, its `ExplorerRest`, an `ExplorerNotice`, or None.

    Listen with `.export(...)`: the event's data is {"kind": figure-png | figure-svg | figure-pdf | arrays | metrics |
    snippet, "view": the view as in share links, "lang": en | zh} beside the view's parts by name (see VIEW in
    web/view.js); with `.rest(...)`, where a view came that is not whole: {"key": the view's}; and with `.shown(...)`,
    once a new map is painted. In the page, `attn:query` and `attn:state` fire on the document.
    """

    data_model = ExplorerData

    def __init__(self, value: ExplorerView | ExplorerNotice | None = None, **arguments: Any) -> None:
        super().__init__(
            value, apply_default_css=False, **component_files("explorer", ["export", "rest", "shown"]), **arguments
        )

    def preprocess(self, payload: ExplorerData | None) -> ExplorerData | None:
        """The value as it travels, for callbacks that take the explorer as an input."""
        return payload

    def postprocess(self, value: ExplorerView | ExplorerRest | ExplorerNotice | None) -> ExplorerData | None:
        """Writes the photograph and the logits to Gradio's cache and returns what the browser needs to find them."""
        if value is None:
            return None
        if isinstance(value, ExplorerNotice):
            return ExplorerData(state=value.state, message=value.message)
        if isinstance(value, ExplorerRest):
            arrays, tolerance = logits_file(value.queries, value.keys, value.key, self.GRADIO_CACHE)
            return ExplorerData(
                state="rest",
                arrays=arrays,
                tolerance=tolerance,
                checked=len(value.queries),
                overlap=value.overlap,
                key=value.key,
            )
        photograph = io.BytesIO()
        Image.fromarray(value.image).save(photograph, "JPEG", quality=92)
        row, tolerance = encode_row(value)
        arrays = None
        if value.whole:
            arrays, tolerance = logits_file(value.queries, value.keys, value.key, self.GRADIO_CACHE)
        return ExplorerData(
            state="ready",
            image=cached_file(photograph.getvalue(), "photograph.jpg", self.GRADIO_CACHE, "image/jpeg"),
            row=row,
            arrays=arrays,
            size=[value.image.shape[1], value.image.shape[0]],
            grid=list(value.grid),
            stride_px=value.stride_px,
            weights=dict(value.weights),
            tolerance=tolerance,
            checked=len(value.queries) if value.whole else 1,
            overlap=value.overlap,
            view=value.view,
            key=value.key,
        )

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value (gr.HTML says "string")."""
        return Component.api_info(self)

    def example_payload(self) -> None:
        """None: an empty explorer."""

    def example_value(self) -> None:
        """None: an empty explorer."""
