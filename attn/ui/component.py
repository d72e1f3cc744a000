"""What every panel of the page shares: its files as Gradio takes them, and the way arrays travel to the browser.

A panel is a folder ``panels/NAME`` with a `gr.HTML` subclass in ``panel.py``, its markup ``panel.html``, its looks
``panel.css`` and its ES module ``index.js``, which exports ``mount(element, host)``. The host is where the panel lives:
``host.value`` (what it shows now), ``host.watch(callback)`` (called when that changes), ``host.trigger(name, detail)``
(something for the program behind the page) and ``host.ask(name, argument)`` (a promise of its answer). Here Gradio is
the host; a notebook or a file without Gradio gives another.
"""

import json
import re
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from gradio import component_meta
from gradio.data_classes import FileData

from attn.errors import PlainError
from attn.figures.packing import pack_arrays
from attn.texts import LANGUAGES, text
from attn.ui.modules import base_expression, imports
from attn.ui.storage import store

__all__ = ["cached_file", "component_files", "pack_arrays", "refusal"]

HERE = Path(__file__).parent
# On the first screen. The others' modules wait for the first map, and until they are two screens away or nearer; those
# in a place that is not open, until it is.
FIRST = ("head", "page", "explorer", "lane")
AHEAD = ("head", "explorer", "lane", "page")  # drawn before Gradio has made their places, see ahead.html
NEAR = "2000px"
LONGEST_WAIT_MS = 30_000  # should nothing be heard of it
LOOK_MS = 1_000  # by then the window would be there, if the page has one
_refusals = count()

# Gradio writes a stub for editors beside the source of every component, anew at each start, which takes a tenth of a
# second and leaves what a type checker then reads in place of the source.
component_meta.create_or_modify_pyi = lambda *_: None


def component_files(name: str, events: Sequence[str] = ()) -> dict[str, str]:
    """Arguments for `gr.HTML.__init__`: ``html_template``, ``css_template``, ``js_on_load``.

    Gradio evaluates both templates as JavaScript template strings, so they hold no `${`, backtick or backslash; data
    enters through JavaScript only.

    Args:
        name: the panel's folder.
        events: what the panel triggers; a component has an event only if ``js_on_load`` names it in quotes.
    """
    folder = HERE / "panels" / name
    # Gradio keeps a panel's looks inside of it; the glossary's are the whole page's (see `attn.ui.serving.CSS`).
    shared = [path.read_text("utf-8") for path in sorted((HERE / "web").glob("*.css")) if path.stem != "glossary"]
    return {
        "html_template": (folder / "panel.html").read_text("utf-8"),
        "css_template": "\n".join([*shared, (folder / "panel.css").read_text("utf-8")]),
        "js_on_load": _glue(name, events),
    }


# What a panel says before its modules and texts have come, in the language that web/texts.js will find.
_EARLY = """const early = %s;
const codes = Object.keys(early);
const spoken = [new URLSearchParams(location.search).get('lang'), ...(navigator.languages ?? [])]
  .map((asked) => codes.find((code) => asked?.toLowerCase().split('-')[0] === code.split('-')[0]))
  .find(Boolean) ?? 'en';
for (const node of element.querySelectorAll('[data-early]')) node.textContent = early[spoken][node.dataset.early];
"""

# Where its first screen was drawn before Gradio had made the places, a panel is there already.
_AHEAD = """const ahead = document.querySelector('#attn-ahead .ahead-panel') && import(at('ui/web/ahead.js'));
Promise.resolve(ahead).then((module) => module?.adopted('NAME', element, host), () => false)
  .then((there) => there || start());"""


def early_words(*names: str) -> dict[str, dict[str, str]]:
    """Language → key → text of what these panels say before their texts have come."""
    markup = "".join((HERE / "panels" / name / "panel.html").read_text("utf-8") for name in names)
    keys = re.findall(r'data-early="([^"]+)"', markup)
    return {code: {key: text(code, key) for key in keys} for code in LANGUAGES}


def _glue(name: str, events: Sequence[str]) -> str:
    """The function body that Gradio runs once per mount: it fetches the panel's modules and makes Gradio their host."""
    main, texts = f"ui/panels/{name}/index.js", "ui/web/texts.js"
    paths = json.dumps(list(imports(main)))
    early = early_words(name)
    return f"""// triggers: {", ".join(map(json.dumps, events)) or "nothing"}
const base = {base_expression()};
const at = (path) => new URL(path, base).href;
const host = {{
  get value() {{ return props.value; }},
  watch: (callback) => watch('value', callback),
  trigger,
  ask: (name, argument) => server[name](argument),
}};
{_EARLY % json.dumps(early) if early["en"] else ""}const turn = new Promise((done) => {{
  if ({json.dumps(name in FIRST)} || window.attn?.latest('attn:map')) return done();
  document.addEventListener('attn:map', () => setTimeout(done), {{ once: true }});
  setTimeout(done, {LONGEST_WAIT_MS});
  setTimeout(() => {{ if (!document.querySelector('.attn-explorer')) done(); }}, {LOOK_MS});
}});
const start = () => turn.then(() => new Promise((done) => {{
  if ({json.dumps(name in FIRST)}) return done();
  const watcher = new IntersectionObserver((entries) => {{
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    done();
  }}, {{ rootMargin: '{NEAR}' }});
  watcher.observe(element);
}})).then(() => {{
  for (const path of {paths}) {{
    const link = Object.assign(document.createElement('link'), {{ rel: 'modulepreload', href: at(path) }});
    if (!document.head.querySelector(`link[href="${{link.href}}"]`)) document.head.append(link);
  }}
  return Promise.all([import(at('{main}')), import(at('{texts}'))]);
}}).then(([panel, texts]) => {{
  texts.offerLanguages({json.dumps(list(LANGUAGES))});
  return panel.mount(element, host);
}}).catch((error) => console.error('Error executing js_on_load of {name}:', error));
{_AHEAD.replace("NAME", name) if name in AHEAD else "start();"}
"""


def cached_file(data: bytes, name: str, cache: str, mime_type: str) -> FileData:
    """``data`` as a file the browser can fetch; the same bytes give the same address."""
    return FileData(path=store(data, name, cache), orig_name=name, mime_type=mime_type)


def refusal(error: PlainError) -> dict[str, Any]:
    """What a panel gets for what cannot be shown: "error", language → sentence.

    "number" is another each time: a browser is not told of a value that equals the last one.
    """
    return {"error": {language: error.sentence(language) for language in LANGUAGES}, "number": next(_refusals)}
