"""What every custom component of the page shares: its files, its texts, and the way arrays travel to the browser.

A component is a `gr.HTML` subclass with files beside its module (`name.html`, `name.js`, `name.css`) and texts in
`texts/name.en.json` and `texts/name.zh.json`. Nothing is built: `common.js`, the texts and `name.js` are joined into
the function body Gradio runs once per mount.
"""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache
from numpy.typing import NDArray

from attn.texts import LANGUAGES, load_texts

HERE = Path(__file__).parent
DTYPES = {"uint8": "u8", "int8": "i8", "int16": "i16", "uint16": "u16", "float32": "f32"}


def component_files(name: str) -> dict[str, str]:
    """Arguments for `gr.HTML.__init__`: `html_template`, `css_template`, `js_on_load`.

    Gradio evaluates both templates as JavaScript template strings, so they hold no `${`, backtick or backslash;
    data enters through `js_on_load` only.
    """
    texts = {language: load_texts(language, name) for language in LANGUAGES}
    script = [
        (HERE / "common.js").read_text("utf-8"),
        f"attn.addTexts({json.dumps(texts, ensure_ascii=False)});",
        (HERE / f"{name}.js").read_text("utf-8"),
    ]
    return {
        "html_template": (HERE / f"{name}.html").read_text("utf-8"),
        "css_template": (HERE / f"{name}.css").read_text("utf-8"),
        "js_on_load": "\n".join(script),
    }


def pack_arrays(arrays: Mapping[str, NDArray[Any]], level: int = 1) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """One gzip file of all arrays (little-endian, C order) and its layout {name: {dtype, shape, offset}}.

    Offsets are bytes in the inflated file, multiples of 4 so that the browser can view the arrays in place.
    `level` 0 stores: right for quantised noise, on which compression costs more time than it saves.
    """
    layout: dict[str, dict[str, Any]] = {}
    parts: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES:
            raise ValueError(f"expected one of {', '.join(DTYPES)} for {name!r}, got {array.dtype.name}")
        data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        layout[name] = {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape), "offset": offset}
        padding = -len(data) % 4
        parts.append(data + b"\0" * padding)
        offset += len(data) + padding
    return gzip.compress(b"".join(parts), compresslevel=level, mtime=0), layout


def cached_file(data: bytes, name: str, cache: str, mime_type: str) -> FileData:
    """`data` as a file the browser can fetch; the same bytes give the same address."""
    return FileData(path=save_bytes_to_cache(data, name, cache), orig_name=name, mime_type=mime_type)
