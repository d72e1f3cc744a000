"""Every word a person reads on the page: a folder a language, a JSON file a part of the page, flat keys.

``en/explorer.json`` holds the English of the keys that start with ``explorer.``; the same for every other part. A
folder is a language as soon as it has its own name in ``language.json``. Formulas are the same in all: their LaTeX is
in ``latex.json``, wherever they are shown.
"""

import json
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
# Code → its own name, as the folders tell.
LANGUAGES: dict[str, str] = {
    path.parent.name: json.loads(path.read_text(encoding="utf-8"))["language.name"]
    for path in sorted(_HERE.glob("*/language.json"))
}


@cache
def load_texts(language: str, part: str | None = None) -> dict[str, str]:
    """Key → text in ``language`` ("en", "zh", …), of one part of the page or of all of them."""
    if language not in LANGUAGES:
        raise ValueError(f"expected a language of {', '.join(LANGUAGES)}, got {language!r}")
    texts: dict[str, str] = {}
    for path in sorted((_HERE / language).glob(f"{part or '*'}.json")):
        texts.update(json.loads(path.read_text(encoding="utf-8")))
    return texts


@cache
def _formulas() -> dict[str, list[str]]:
    return json.loads((_HERE / "latex.json").read_text(encoding="utf-8"))


def latex(name: str) -> list[str]:
    """The LaTeX of a mechanism's formula, or of "position" encodings', line by line; empty where there is none."""
    return list(_formulas().get(name, ()))


def text(language: str, key: str, **values: object) -> str:
    """The text for ``key`` with its ``{named}`` places filled in; a list is joined as the language does.

    Raises:
        KeyError: no such key.
    """
    texts = load_texts(language)
    said = {
        name: texts["language.list"].join(map(str, value)) if isinstance(value, list) else value
        for name, value in values.items()
    }
    return texts[key].format(**said)
