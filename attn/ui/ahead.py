"""The first screen before Gradio's page is there: what the HTML holds for web/ahead.js.

Gradio draws nothing before it has fetched and mounted all that all its components need. The window's map, what the page
claims and the bar that takes a photograph need little of that, and most of it is in the HTML already. What is asked of
them before Gradio's page is there is told it then.
"""

import json
import re
from functools import cache
from html import escape
from pathlib import Path

from attn.ui.address import LINKED
from attn.ui.component import AHEAD, early_words
from attn.ui.modules import ADDRESS, base_expression, imports, version

PANELS = ("head", "explorer", "page", "lane")  # what comes first
TEXTS = ("language", "figure", "window", "page", "explorer", "channels")  # what they say
LONGEST_MS = 1500  # that Gradio's script waits for the map
# An embedded window and one for a lecture room are laid out as such before anything is drawn: nothing jumps.
LAID_OUT = """<script>
for (const name of ["embed", "present"]) {
  const value = new URLSearchParams(location.search).get(name);
  if (value !== null) document.documentElement.dataset[name] = value;
}
</script>
<style>[data-present] .gradio-container > .main { max-width: none !important; }</style>"""
_CHARSET = '<meta charset="utf-8" />'
_GRADIOS_SCRIPT = re.compile(r'<script type="module" crossorigin src="([^"]+)"></script>')


def with_first_screen(page: str, address: str, language: str) -> str:
    """Gradio's HTML of the ``page`` with what draws the first screen.

    Args:
        page: a whole HTML document.
        address: the page's, without a slash at its end.
        language: that the reader most likely asks for.
    """
    head, end, rest = page.partition("</head>")
    # After the character set, which must be within the first kilobyte, and before what takes long to arrive.
    first, charset, head = head.partition(_CHARSET)
    head = _GRADIOS_SCRIPT.sub(r'<link rel="modulepreload" crossorigin data-gradio href="\1">', head, count=1)
    opened = rest.find(">", rest.find("<body")) + 1
    return f"{first}{charset}\n{_preloads(address, language)}{head}{end}{rest[:opened]}{_places()}{rest[opened:]}"


def _preloads(address: str, language: str) -> str:
    base = escape(f"{address}/{ADDRESS}/{version()}/")
    lines = [f'<link rel="modulepreload" href="{base}{path}" />' for path in _modules()]
    texts = (f"texts/{language}/{part}.json" for part in TEXTS)
    lines += [f'<link rel="preload" as="fetch" crossorigin="anonymous" href="{base}{path}" />' for path in texts]
    return "\n".join(lines)


@cache
def _modules() -> tuple[str, ...]:
    mains = ["ui/web/ahead.js", *(f"ui/panels/{name}/index.js" for name in PANELS)]
    return tuple(dict.fromkeys(path for main in mains for path in imports(main)))


@cache
def _places() -> str:
    filled = {
        "BASE": base_expression(),
        "LINKED": json.dumps(list(LINKED)),
        "LONGEST_MS": str(LONGEST_MS),
        "WORDS": json.dumps(early_words(*AHEAD)),
    }
    markup = (Path(__file__).parent / "ahead.html").read_text("utf-8")
    return LAID_OUT + re.sub(r"\b[A-Z_]{4,}\b", lambda name: filled[name[0]], markup)
