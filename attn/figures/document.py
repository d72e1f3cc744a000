"""One file, alive: the window on one photograph as an HTML document that asks nothing of any server.

It opens from a disk, in a course page's frame, in a notebook. Inside are the page's own modules (`ui/web` and
`ui/panels`), compressed, which a few lines of JavaScript put under an import map of ``data:`` addresses; the texts of
every language; the photograph; and the arrays.
"""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from PIL import Image

from attn.figures.compact import compact_logits, pack_compact
from attn.figures.lane import LaneView, lane_arrays, lane_facts
from attn.figures.packing import pack_arrays
from attn.texts import LANGUAGES, load_texts

if TYPE_CHECKING:
    from attn.inspector import Inspection

PACKAGE = Path(__file__).parent.parent
SHELL = "ui/document/index.js"
FRAME_HEIGHT_PX = 760
LANE_PARTS = ("mechanism", "channel", "row")
_IMPORT = re.compile(r"""^((?:import|export)\b[^;]*?from |import )'(\.[^']+)'""", re.MULTILINE)


def document(
    inspection: Inspection,
    *,
    title: str = "",
    language: str | None = None,
    view: str = "",
    lane: Mapping[str, str] | None = None,
) -> str:
    """The HTML document of one inspection.

    Args:
        title: what stands at its top and in the browser's tab, for example the photograph's name.
        language: the language it opens in, of `attn.texts.LANGUAGES`; None leaves that to the reader's browser.
        view: what the map opens with, as in share links ("q6.9~p3.4" is a query and a pin); "" for the default.
        lane: what the channels' side opens with, as in share links: {"mechanism": "eca", "channel": "12"}, or "row" for
            the row of a channel map; what does not fit is left at its default.

    Raises:
        ValueError: an unknown language.
    """
    if language is not None and language not in LANGUAGES:
        raise ValueError(f"expected a language of {', '.join(LANGUAGES)}, got {language!r}")
    values = {"explorer": _explorer_value(inspection, view), "lane": _lane_value(inspection, lane or {})}
    mains = {name: f"ui/panels/{name}/index.js" for name in values}
    modules = _modules([SHELL, *mains.values()])
    markup = _panels(values)
    headline = '<p data-t="window.headline"></p>'
    held = {
        "texts": {code: _texts(code, "\n".join([headline, markup, *modules.values()])) for code in LANGUAGES},
        "languages": LANGUAGES,
        "language": language,
        "photograph": _photograph(inspection),
        "values": values,
    }
    imports = [f"import {{ mount as {name} }} from 'attn/{main}';" for name, main in mains.items()]
    imports += [f"import {{ openDocument }} from 'attn/{SHELL}';", f"openDocument({{ {', '.join(values)} }});"]
    code = {"modules": {f"attn/{name}": text for name, text in modules.items()}, "main": "\n".join(imports)}
    packed = gzip.compress(json.dumps(code, ensure_ascii=False).encode(), mtime=0)
    title = title or "Attention window"
    return f"""<!DOCTYPE html>
<html lang="{language or "en"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{_styles(values)}
</style>
<script>
document.documentElement.classList.toggle('dark', matchMedia('(prefers-color-scheme: dark)').matches);
</script>
</head>
<body>
<header class="attn-document-head"><h1>{html.escape(title)}</h1>{headline}<p>{html.escape(_setting(inspection))}</p>
<nav></nav></header>
<noscript>This file needs JavaScript: it draws the maps as you point.</noscript>
<main class="attn-document-panels">
{markup}
</main>
<script type="application/json" id="attn-held">{_script(json.dumps(held, ensure_ascii=False))}</script>
<script type="text/plain" id="attn-code">{base64.b64encode(packed).decode()}</script>
<script>
{_read("ui/document/start.js")}</script>
</body>
</html>
"""


def frame(page: str, title: str = "Attention window") -> str:
    """The document in a frame of its own, as part of another page; documents there do not disturb each other."""
    return (
        f'<iframe srcdoc="{html.escape(page)}" title="{html.escape(title)}" sandbox="allow-scripts allow-downloads" '
        f'style="width: 100%; height: {FRAME_HEIGHT_PX}px; border: 0"></iframe>'
    )


def _explorer_value(inspection: Inspection, view: str) -> dict[str, Any]:
    """What the explorer gets as its value, less the photograph: see `ExplorerData` of its panel."""
    arrays, error = compact_logits(inspection.queries, inspection.keys)
    source = inspection.mechanisms["spatial"].source
    height, width = inspection.image.shape[:2]
    return {
        "state": "ready",
        "arrays": {"url": _data("application/gzip", pack_compact(arrays))},
        "size": [width, height],
        "grid": list(inspection.grid),
        "stride_px": inspection.stride_px,
        "weights": {"source": source.source, "seed": source.seed, "file": source.file, **source.detail},
        "tolerance": error,
        "checked": len(inspection.queries),
        "overlap": inspection.overlap,
        "view": view,
    }


def _lane_value(inspection: Inspection, opening: Mapping[str, str]) -> dict[str, Any]:
    """What the channel lane gets as its value, less the photograph: see `LaneData` of its panel."""
    shown = LaneView.from_inspection(inspection)
    return {
        "arrays": {"url": _data("application/gzip", pack_arrays(lane_arrays(shown), level=6))},
        "facts": lane_facts(shown),
        "opening": {name: opening[name] for name in LANE_PARTS if name in opening},
    }


def _photograph(inspection: Inspection) -> dict[str, str]:
    out = io.BytesIO()
    Image.fromarray(inspection.image).save(out, "JPEG", quality=86)
    return {"url": _data("image/jpeg", out.getvalue()), "path": "photograph"}


def _setting(inspection: Inspection) -> str:
    rows, columns = inspection.grid
    stem = "ResNet-18" if inspection.stem == "bundled" else inspection.stem
    return f"{stem}, {inspection.stage}, {inspection.detail}: {rows} × {columns} × {inspection.stride_px} px"


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _script(text: str) -> str:
    """JSON that no markup in a name or a text can end: inside a script element only ``<`` could."""
    return text.replace("<", "\\u003c")


def _modules(mains: Iterable[str]) -> dict[str, str]:
    """Path in the package → code, of these modules and all that they import, each under the name of the import map."""
    found: dict[str, str] = {}
    waiting = list(mains)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        folder = PurePosixPath(name).parent
        code = _read(name)
        waiting += [_joined(folder, relative) for _, relative in _IMPORT.findall(code)]
        found[name] = _IMPORT.sub(lambda m, at=folder: f"{m[1]}'attn/{_joined(at, m[2])}'", code)  # type: ignore[misc]
    return dict(sorted(found.items()))


def _texts(language: str, code: str) -> dict[str, str]:
    """Key → text: those whose key, or what it begins with, stands in the code or the markup."""
    texts = load_texts(language)
    parts = "|".join({key.split(".")[0] for key in texts})
    begun = tuple(set(re.findall(rf"""['"`]((?:{parts})\.[\w.-]*)""", code)))
    return {key: said for key, said in texts.items() if key.startswith(begun)}


def _styles(panels: Iterable[str]) -> str:
    names = [path.relative_to(PACKAGE).as_posix() for path in sorted((PACKAGE / "ui/web").glob("*.css"))]
    names += [f"ui/panels/{name}/panel.css" for name in panels] + ["ui/document/document.css"]
    return "\n".join(map(_read, names))


def _panels(panels: Iterable[str]) -> str:
    return "\n".join(f'<div data-panel="{name}">{_read(f"ui/panels/{name}/panel.html")}</div>' for name in panels)


def _joined(folder: PurePosixPath, relative: str) -> str:
    parts = list(folder.parts)
    for part in PurePosixPath(relative).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


@cache
def _read(name: str) -> str:
    return (PACKAGE / name).read_text("utf-8")
