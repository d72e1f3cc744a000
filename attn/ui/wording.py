"""What Gradio's own components say: labels, tables and errors, in the language of whoever reads them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from itertools import groupby
from typing import Any

import gradio as gr

from attn.checkpoints import SOURCES
from attn.errors import PlainError
from attn.measured import measured_records
from attn.mechanisms.spatial import TraceStep
from attn.stems import DETAILS, STEMS
from attn.texts import load_texts, text
from attn.ui.panels.lab.panel import formulas, statements

# Of the reference, in their order; ``attn-NAME`` is the id of a section on the page.
SECTIONS = ("shapes", "figures", "statements", "formulas", "glossary")
# Values of errors that are the page's own and may be longer than what a visitor sent.
_OWN = ("allowed", "formats", "folder", "path")
# What Markdown or HTML could take for markup.
_MARKUP = re.compile(r"[^\w\s.,:;?%/×…–—“”‘’·()（）。，：；、]|_")


def in_short(value: object, length: int = 60) -> str:
    """What was sent, on one line and at a length that fits a sentence."""
    try:
        shown = value if isinstance(value, str) else repr(value)
    except ValueError:  # Python does not write down integers of more than 4300 digits
        return "a number of thousands of digits"
    shown = "".join(letter if letter.isprintable() else " " for letter in shown[: length + 1])
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def as_text(sentence: str) -> str:
    """The sentence for where Gradio takes Markdown or HTML: nothing in it is ever markup."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", sentence)


def worded(error: PlainError, language: str) -> str:
    """The error in ``language``, with what came from a visitor cut to `in_short`'s length."""
    short = copy(error)
    short.values = {
        name: in_short(value) if isinstance(value, str) and name not in _OWN else value
        for name, value in error.values.items()
    }
    return short.sentence(language)


def notice(sentence: str) -> Any:
    """What the banner is set to: a sentence that stays until the next map, or nothing."""
    return gr.update(value=as_text(sentence), visible=bool(sentence))


@contextmanager
def plain_errors(language: str) -> Iterator[None]:
    """What a person can mend as a `gr.Error` for programs, which get it as plain text.

    Anything else is a bug: Gradio logs it with its traceback and shows no more than "Error".
    """
    try:
        yield
    except PlainError as error:
        raise gr.Error(worded(error, language), print_exception=False) from None


def labels(language: str) -> dict[str, dict[str, Any]]:
    """What each Gradio component says in ``language``: component → constructor arguments."""
    say = partial(text, language)
    labelled = (
        "photograph",
        "weights",
        "position",
        "seed",
        "file",
        "stem",
        "stage",
        "detail",
        "longest_side",
    )
    said: dict[str, dict[str, Any]] = {name: {"label": say(f"page.{name}")} for name in (*labelled, "longest_side")}
    for name in ("weights", "position", "detail", "longest_side"):
        said[name]["info"] = say(f"page.{name}.info")
    said["weights"]["choices"] = [(say(f"page.weights.{source}"), source) for source in SOURCES]
    said["stem"]["choices"] = [(say("page.stem.bundled") if name == "bundled" else name, name) for name in STEMS]
    said["detail"]["choices"] = [(say(f"page.detail.{detail}"), detail) for detail in DETAILS]
    said["upload"] = {"label": say("window.photograph")}
    said["contents"] = {"value": contents(language)}
    said["figures"] = {"value": figures_table(language)}
    said["formulas"] = {"value": f"{_heading(language, 'formulas')}\n\n{formulas(language)}"}
    said["statements"] = {"value": f"{_heading(language, 'statements')}\n\n{statements(language)}"}
    said["glossary"] = {"value": glossary(language)}
    return said


def contents(language: str) -> str:
    """The reference's sections, each a link to its heading."""
    return " · ".join(f"[{text(language, f'page.section.{name}')}](#attn-{name})" for name in SECTIONS)


def _heading(language: str, section: str) -> str:
    return f"## {text(language, f'page.section.{section}')}"


def glossary(language: str) -> str:
    """Every term of the page with its meaning, as a Markdown list: what a term shows where it stands, in one place."""
    texts = load_texts(language, "glossary")
    entries = (
        text(language, "page.glossary.entry", term=term, means=texts[f"{key}.means"])
        for key, term in texts.items()
        if not key.endswith(".means")
    )
    return "\n".join([_heading(language, "glossary"), "", *(f"- {entry}" for entry in entries)])


def shapes_table(trace: Sequence[TraceStep], language: str) -> str:
    """The trace of the AttnBlock as a Markdown table, like the prints of the note."""
    head = " | ".join(text(language, f"page.shapes.{column}") for column in ("step", "shape", "note"))
    rows = "\n".join(
        f"| `{step.name}` | {' × '.join(map(str, step.shape))} | {text(language, f'page.trace.{step.name}')} |"
        for step in trace
    )
    before = f"{_heading(language, 'shapes')}\n\n{text(language, 'page.shapes.intro')}"
    return f"{before}\n\n| {head} |\n| --- | --- | --- |\n{rows}"


def figures_table(language: str) -> str:
    """What each kind of attention was measured to give on the same features, as kept beside the weights.

    A Markdown table per stage, kind of weights and detail, those the page opens with first: grouping AUC with its 95 %
    interval, parameters and multiply-adds. Details whose features are the same share one.
    """
    head = " | ".join(text(language, f"page.figures.{column}") for column in ("what", "auc", "parameters", "madds"))
    tables = [_heading(language, "figures"), text(language, "page.figures.intro")]
    records = sorted(measured_records(), key=lambda one: (one["stage"], one["weights"] == "tuned"), reverse=True)
    for _, same in groupby(records, key=lambda one: (one["stage"], one["weights"], one["rows"])):
        group = list(same)
        first, names = group[0], [text(language, f"page.detail.{one['detail']}") for one in group if one["detail"]]
        where = text(
            language,
            f"page.figures.{first['weights']}",
            stage=first["stage"],
            detail=text(language, "page.figures.same", details=" = ".join(names)) if len(group) > 1 else "".join(names),
            side=first["longest_side"],
            n=first["rows"][0]["photographs"],
        )
        lines = [where, "", f"| {head} |", "| --- | --- | ---: | ---: |"]
        for row in first["rows"]:
            what = text(language, f"page.figures.row.{row['mechanism']}")
            auc, low, high = (f"{row[name]:.3f}" for name in ("auc", "low", "high"))
            score = text(language, "page.figures.score", auc=auc, low=low, high=high)
            counts = (_count(row[name], language) for name in ("parameters", "multiply_adds"))
            lines.append(f"| {' | '.join((what, score, *counts))} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables) if records else text(language, "page.figures.missing")


def _count(number: int | None, language: str) -> str:
    """A count in short, as the bench has it: 880M, in Chinese 8.8亿."""
    if number is None:
        return "–"
    for unit in reversed(text(language, "language.units").split("|")):
        name, power = unit.split(":")
        if number >= 10 ** int(power):
            return f"{float(f'{number / 10 ** int(power):.3g}'):g}{name}"
    return str(number)
