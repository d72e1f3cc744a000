"""Every word a person reads on the page: one JSON file per part of the page and language, flat keys.

``explorer.en.json`` holds the keys that start with ``explorer.``; the same for every other part.
"""

import json
import re
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "zh": "简体中文"}


@cache
def load_texts(language: str, part: str | None = None) -> dict[str, str]:
    """Key → text in ``language`` ("en" or "zh"), of one part of the page or of all of them."""
    if language not in LANGUAGES:
        raise ValueError(f"expected a language of {', '.join(LANGUAGES)}, got {language!r}")
    texts: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob(f"{part or '*'}.{language}.json")):
        texts.update(json.loads(path.read_text(encoding="utf-8")))
    return texts


def text(language: str, key: str, **values: object) -> str:
    """The text for ``key`` with its ``{named}`` places filled in.

    Raises:
        KeyError: no such key.
    """
    return load_texts(language)[key].format(**values)


def translated(language: str, sentence: str) -> str:
    """What a module below the page says in English, in ``language``; as it is where no translation is known.

    The English templates in ``reasons.en.json`` recognise the sentence and its values.
    """
    for key, template in load_texts("en", "reasons").items():
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(template))
        if found := re.fullmatch(pattern, sentence, re.DOTALL):
            return text(language, key, **found.groupdict())
    return sentence
