"""The explorer: a photograph with the attention of the position under the pointer over it.

What travels to the browser is logits, not probabilities, so that the temperature is exact there: an N × N table for
small grids, the query and key factors for large ones. Every map, number and comparison is then computed in the
browser; pointing asks nothing of the server.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import gradio as gr
import numpy as np
from gradio.components.base import Component
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from PIL import Image

from attn.ui.component import cached_file, component_files, pack_arrays

MAX_TEMPERATURE = 4.0
# exp(-30) is 1e-13: a logit further below its row's largest adds nothing, even at the highest temperature.
LOGIT_FLOOR = 30.0 * MAX_TEMPERATURE
TABLE_STEPS = 65535
FACTOR_STEPS = 32767
CHECKED_ROWS = 64


@dataclass(frozen=True, eq=False)
class ExplorerView:
    """What the explorer shows.

    image: (H, W, 3) uint8, what the network saw. grid: (h, w) positions, N = h·w, row-major.
    stride_px: image pixels from one position to the next.
    queries, keys: (N, C) float32 with logits = queries @ keys.T (before the softmax, every scale included).
    weights: where the weights come from, for the badge: {"source": trained | similarity | random | file,
        "seed": int | None, "file": str | None}.
    key: a name for what is shown, see `Encoding.key`; panels that speak of the same map have the same.
    view: the view to open with, as written into share links by `encodeView` in web/view.js; "" for the default.
    """

    image: NDArray[np.uint8]
    grid: tuple[int, int]
    stride_px: float
    queries: NDArray[np.float32]
    keys: NDArray[np.float32]
    weights: Mapping[str, Any] = field(default_factory=dict)
    view: str = ""
    key: str = ""

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


@dataclass(frozen=True)
class ExplorerNotice:
    """A sentence instead of a new map; what the explorer showed before stays.

    message: a sentence, or a key of the page's texts.
    """

    message: str
    state: Literal["error", "loading"] = "error"


class ExplorerData(GradioModel):
    """The value as it travels: small JSON, with the photograph and the arrays as files."""

    state: str
    message: str = ""
    image: FileData | None = None
    arrays: FileData | None = None
    size: list[int] | None = None  # image width, height in pixels
    grid: list[int] | None = None  # rows, columns
    stride_px: float = 0.0
    weights: dict[str, Any] | None = None
    # The largest error, in × uniform at temperature 1, that the quantisation causes in the maps of `checked` queries.
    tolerance: float = 0.0
    checked: int = 0
    view: str = ""
    key: str = ""


def encode_logits(queries: NDArray[np.float32], keys: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """The logits queries @ keys.T, up to a constant per row, as small integer arrays.

    Grids with N ≤ 2C positions: `logits` (N, N) uint16 with `logit_scale` (N,): logit = -step · scale, each row's
    largest at 0. Larger ones: `queries` and `keys` (N, C) int16 with one scale a row; the keys lose their mean, which
    shifts every row by a constant and leaves smaller numbers to round.
    """
    keys = keys - keys.mean(axis=0)
    positions, channels = queries.shape
    if positions <= 2 * channels:
        logits = queries @ keys.T  # (query, key)
        depth = np.minimum(logits.max(axis=1, keepdims=True) - logits, LOGIT_FLOOR)
        scale = _row_scale(depth, TABLE_STEPS)
        return {"logits": np.rint(depth / scale).astype(np.uint16), "logit_scale": scale[:, 0]}
    query_scale, key_scale = _row_scale(queries, FACTOR_STEPS), _row_scale(keys, FACTOR_STEPS)
    return {
        "queries": np.rint(queries / query_scale).astype(np.int16),
        "query_scale": query_scale[:, 0],
        "keys": np.rint(keys / key_scale).astype(np.int16),
        "key_scale": key_scale[:, 0],
    }


def logits_file(arrays: Mapping[str, NDArray[Any]], cache: str) -> FileData:
    """`encode_logits`'s arrays as a file for the browser: every panel that asks for the same logits gets the same."""
    # Rounded logits hardly compress: storing them is 10 % larger and saves tens of milliseconds.
    return cached_file(pack_arrays(arrays, level=0), "logits.safetensors.gz", cache, "application/gzip")


def decode_logits(arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """(len(rows), N) logits as the browser computes them from `encode_logits`."""
    if "logits" in arrays:
        return -arrays["logit_scale"][rows, None] * arrays["logits"][rows]
    queries = arrays["queries"][rows] * arrays["query_scale"][rows, None]
    return queries @ (arrays["keys"] * arrays["key_scale"][:, None]).T


def encoding_error(
    queries: NDArray[np.float32], keys: NDArray[np.float32], arrays: Mapping[str, NDArray[Any]], temperature: float = 1
) -> float:
    """Largest absolute difference, in × uniform, between true maps and maps from the encoded logits.

    Taken over all rows of small grids and over `CHECKED_ROWS` evenly spaced rows of larger ones.
    """
    positions = len(queries)
    rows = np.unique(np.linspace(0, positions - 1, min(positions, CHECKED_ROWS)).astype(np.intp))
    true = _softmax(queries[rows] @ keys.T / temperature)
    return float(np.abs(_softmax(decode_logits(arrays, rows) / temperature) - true).max() * positions)


def _row_scale(values: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """(N, 1) size of one integer step such that a row's largest value takes `steps` of them."""
    largest = np.abs(values).max(axis=1, keepdims=True) / np.float32(steps)
    return np.where(largest > 0, largest, np.float32(1))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


class Explorer(gr.HTML):
    """The explorer component. Its value is an `ExplorerView`, an `ExplorerNotice`, or None for an empty one.

    Listen with `.export(...)`: the event's data is {"kind": figure-png | figure-svg | figure-pdf | arrays | metrics |
    snippet, "view": the view as in share links, "lang": en | zh} beside the view's parts by name (see VIEW in
    web/view.js); and with `.shown(...)`, once a new map is painted. In the page, `attn:query` and `attn:state` fire on
    the document.
    """

    data_model = ExplorerData

    def __init__(self, value: ExplorerView | ExplorerNotice | None = None, **arguments: Any) -> None:
        super().__init__(
            value, apply_default_css=False, **component_files("explorer", ["export", "shown"]), **arguments
        )

    def preprocess(self, payload: ExplorerData | None) -> ExplorerData | None:
        """The value as it travels, for callbacks that take the explorer as an input."""
        return payload

    def postprocess(self, value: ExplorerView | ExplorerNotice | None) -> ExplorerData | None:
        """Writes the photograph and the logits to Gradio's cache and returns what the browser needs to find them."""
        if value is None:
            return None
        if isinstance(value, ExplorerNotice):
            return ExplorerData(state=value.state, message=value.message)
        photograph = io.BytesIO()
        Image.fromarray(value.image).save(photograph, "JPEG", quality=92)
        arrays = encode_logits(value.queries, value.keys)
        return ExplorerData(
            state="ready",
            image=cached_file(photograph.getvalue(), "photograph.jpg", self.GRADIO_CACHE, "image/jpeg"),
            arrays=logits_file(arrays, self.GRADIO_CACHE),
            size=[value.image.shape[1], value.image.shape[0]],
            grid=list(value.grid),
            stride_px=value.stride_px,
            weights=dict(value.weights),
            tolerance=encoding_error(value.queries, value.keys, arrays),
            checked=min(len(value.queries), CHECKED_ROWS),
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
