"""The page: layout and wiring. What the controls do is in `attn.ui.callbacks`."""

import asyncio
import errno
import math
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import Request, Response
from fastapi.responses import PlainTextResponse
from gradio.data_classes import ImageData

from attn.checkpoints import SOURCES
from attn.errors import PlainError
from attn.stems import STAGES, STEMS
from attn.texts import LANGUAGES, text
from attn.ui.callbacks import (
    EXAMPLES,
    MAX_SEED,
    MAX_SIDE,
    MIN_SIDE,
    UserError,
    View,
    address_of,
    explorer_view,
    export,
    figures_table,
    inspect,
    look,
    measure,
    plain_errors,
    practise,
    query,
    read_view,
)
from attn.ui.channels import Channels
from attn.ui.component import component_files
from attn.ui.explorer import Explorer, ExplorerNotice, ExplorerView
from attn.ui.lab import Lab, TextLane, formulas, statements
from attn.ui.tour import Tour

OPENING = "lion"
OPENING_VIEW = "q6.9"  # as in share links: its nose, in the default grid
# The controls by their names in share links, in the order of `read_view`; a file is not in a link.
ADDRESS = ("stem", "stage", "side", "weights", "position", "seed")
# Inspections at once: the arrays are shared by the cores already, a second one fills the gaps.
RUNNING = 2
LONGEST_SENTENCE = 500
TABS = ("lanes", "lab", "figures", "shapes", "about")
# The language of the event that is being answered.
_speaking: ContextVar[str] = ContextVar("speaking", default="en")
CSS = (Path(__file__).parent / "page_layout.css").read_text("utf-8")


@dataclass(frozen=True)
class Settings:
    """What the page opens with, and how it is served.

    queue: keep visitors' requests in this process's memory, in order, with their place shown. False for one of several
        processes behind a balancer, where the next request may reach another.
    max_waiting: requests that wait at most; whoever comes then is told that the page is busy.
    mcp: the two endpoints are MCP tools as well. They then take their turns without Gradio's queue, through which
        Gradio's MCP server would get the picture of a map as a path in a text.
    """

    stem: str = "bundled"
    stage: str = "layer3"
    longest_side: int = 320
    queue: bool = True
    max_waiting: int = 64  # about half a minute's work on two cores
    mcp: bool = False

    def view(self) -> View:
        """The controls as the page opens with them. Raises UserError where they do not go together."""
        return read_view("en", self.stem, self.stage, self.longest_side, "trained", True, 0, None)


class Photograph(gr.Image):
    """`gr.Image` that hands over the uploaded file untouched.

    gr.Image opens the file itself first, which turns an odd file into a server error; `open_image` gives a sentence.
    """

    is_template = True

    def preprocess(self, payload: ImageData | None) -> Any:
        """The path of the uploaded file."""
        if payload is None or payload.path is None:
            return super().preprocess(payload)  # nothing, or a data: URL
        return payload.path


class Numbers(gr.JSON):
    """`gr.JSON` that passes its value on as it is: MCP answers are the text of it, and gr.JSON's begins "root="."""

    def postprocess(self, value: Any) -> Any:
        """The value as it is."""
        return value


class Page(gr.Blocks):
    """`gr.Blocks` that says in a sentence what it cannot read, store or serve now; Gradio says "Error" or less.

    Args:
        max_waiting: how many of the model's events may wait without the queue.
    """

    def __init__(self, max_waiting: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._most = RUNNING + max_waiting
        self._inside = 0
        self._turns = asyncio.Semaphore(RUNNING)

    async def process_api(self, block_fn: Any, inputs: list[Any], *arguments: Any, **options: Any) -> Any:
        """Gradio's: one event. Without the queue the model's events still take turns, and only so many may wait."""
        # The page's events begin with its language, a program's do not.
        _speaking.set(_language(inputs[0] if inputs else None))
        try:
            if block_fn.queue or block_fn.concurrency_id != "model":
                return await super().process_api(block_fn, inputs, *arguments, **options)
            if self._inside >= self._most:
                sentence = text(_speaking.get(), "page.error.busy", waiting=self._inside)
                raise gr.Error(sentence, print_exception=False)
            self._inside += 1
            try:
                async with self._turns:
                    return await super().process_api(block_fn, inputs, *arguments, **options)
            finally:
                self._inside -= 1
        except gr.Error:
            raise
        except Exception as error:
            if sentence := _storage_sentence(error):
                raise gr.Error(sentence, print_exception=False) from error
            raise

    async def preprocess_data(self, *arguments: Any, **options: Any) -> Any:
        """Gradio's: the values sent to an event, read by its components."""
        try:
            return await super().preprocess_data(*arguments, **options)
        except Exception as error:
            said = error.message if isinstance(error, gr.Error) else ""
            if not 0 < len(said) <= LONGEST_SENTENCE:
                said = _storage_sentence(error) or text(_speaking.get(), "page.error.unread")
            raise gr.Error(said, print_exception=False) from error


class Bridge(gr.HTML):
    """The page's own script: keeps the address in step with the view, copies it, and lets the tour set controls.

    Its value is what the address holds beside the explorer's view; `.command(...)` carries what the tour asks for.
    """

    def __init__(self, value: dict[str, Any] | None = None, **arguments: Any) -> None:
        super().__init__(value, apply_default_css=False, **component_files("page"), **arguments)

    def postprocess(self, value: Any) -> Any:
        """The value as it is: gr.HTML expects a string."""
        return value

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value (gr.HTML says "string")."""
        return {"type": "object"}


def words(language: str) -> dict[str, dict[str, Any]]:
    """What each Gradio component says in ``language``: component → constructor arguments."""
    say = partial(text, language)
    labels = ("photograph", "weights", "position", "seed", "file", "network", "stem", "stage", "longest_side")
    spoken: dict[str, dict[str, Any]] = {name: {"label": say(f"page.{name}")} for name in labels}
    for name in ("weights", "position", "longest_side"):
        spoken[name]["info"] = say(f"page.{name}.info")
    spoken["weights"]["choices"] = [(say(f"page.weights.{source}"), source) for source in SOURCES]
    spoken["stem"]["choices"] = [(say("page.stem.bundled") if name == "bundled" else name, name) for name in STEMS]
    spoken["examples"] = {"label": say("page.examples")}
    spoken["heading"] = {"value": f"# {say('page.title')}\n\n{say('page.intro')}"}
    spoken |= {f"tab_{tab}": {"label": say(f"page.tab.{tab}")} for tab in TABS}
    spoken["figures"] = {"value": figures_table(language)}
    spoken["formulas"] = {"value": formulas(language)}
    spoken["statements"] = {"value": statements(language)}
    return spoken


def build_demo(settings: Settings | None = None) -> gr.Blocks:
    """The page, with an example already inspected. `launch_options` has what launching it needs."""
    settings = settings or Settings()
    view, opening, notice = _opening(settings)
    said = words("en")
    with Page(settings.max_waiting, title="Attention window", analytics_enabled=False) as demo:
        with gr.Row(elem_classes="attn-head"):
            heading = gr.Markdown(**said["heading"])
            language = gr.Radio(
                [(name, code) for code, name in LANGUAGES.items()], value="en", show_label=False, container=False
            )
        banner = gr.Markdown(notice, visible=bool(notice), elem_classes="attn-banner")
        with gr.Row():
            with gr.Column(scale=3, min_width=280):
                photograph = Photograph(
                    EXAMPLES[OPENING],
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    height=220,
                    buttons=[],
                    **said["photograph"],
                )
                example = gr.Textbox(OPENING, visible=False)
                examples = gr.Dataset(
                    components=[gr.Image(visible=False)],
                    samples=[[path] for path in EXAMPLES.values()],
                    type="index",
                    **said["examples"],
                )
                weights = gr.Radio(value=view.weights, **said["weights"])
                position = gr.Checkbox(True, visible=view.weights == "trained", **said["position"])
                seed = gr.Number(0, precision=0, minimum=0, maximum=MAX_SEED, visible=False, **said["seed"])
                file = gr.File(file_types=[".safetensors"], visible=False, height=120, **said["file"])
                with gr.Accordion(open=False, **said["network"]) as network:
                    stem = gr.Dropdown(value=view.stem, **said["stem"])
                    stage = gr.Radio(list(STAGES), value=view.stage, **said["stage"])
                    longest_side = gr.Slider(
                        MIN_SIDE, MAX_SIDE, value=view.longest_side, step=16, **said["longest_side"]
                    )
            with gr.Column(scale=8, min_width=340, elem_classes="attn-shown"):
                explorer = Explorer(opening, elem_id="explorer")
                bridge = Bridge(address_of(view, OPENING))
                tour = Tour()
        with gr.Tabs(selected="lanes") as tabs:
            with gr.Tab(id="lanes", **said["tab_lanes"]) as tab_lanes:
                channels = Channels(elem_id="channels")
            with gr.Tab(id="lab", **said["tab_lab"]) as tab_lab:
                lab = Lab(elem_id="lab")
                TextLane()
            with gr.Tab(id="figures", **said["tab_figures"]) as tab_figures:
                figures = gr.Markdown(**said["figures"])
            with gr.Tab(id="shapes", **said["tab_shapes"]) as tab_shapes:
                shapes = gr.Markdown()
            with gr.Tab(id="about", **said["tab_about"]) as tab_about:
                statements_table = gr.Markdown(**said["statements"])
                formulas_text = gr.Markdown(
                    latex_delimiters=[{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$"}],
                    **said["formulas"],
                )

        controls = [stem, stage, longest_side, weights, position, seed, file]
        state = [language, photograph, example, *controls]
        turns: dict[str, Any] = {
            "queue": settings.queue,
            "concurrency_id": "model",
            "concurrency_limit": RUNNING,
        }
        private = {"api_visibility": "private", **turns}
        quick: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}

        def inspect_after(event: Callable[..., Any], **arguments: Any) -> None:
            event(_look, state, [explorer, bridge, banner], **arguments, **private)

        # A network may have to be fetched and a large grid takes its time: the whole animation. A photograph's map is
        # there in a quarter of a second, of which the animation would take a third: a line of text, should it wait.
        slow = [stem.input, stage.input, longest_side.release]
        fast = [photograph.input, weights.input, position.input, seed.submit, seed.blur, file.upload]
        line = {"show_progress": "minimal", "show_progress_on": bridge}
        photograph.input(None, None, example, js="() => ''", **quick)
        inspect_after(partial(gr.on, slow, trigger_mode="always_last"))
        inspect_after(partial(gr.on, fast, trigger_mode="always_last"), **line)
        picked = examples.click(_pick, examples, [photograph, example], **quick)
        inspect_after(picked.then, **line)
        weights.change(_relevant, weights, [position, seed, file], **quick)

        said_by = {
            "heading": heading,
            "photograph": photograph,
            "examples": examples,
            "weights": weights,
            "position": position,
            "seed": seed,
            "file": file,
            "network": network,
            "stem": stem,
            "stage": stage,
            "longest_side": longest_side,
            "tab_lanes": tab_lanes,
            "tab_figures": tab_figures,
            "figures": figures,
            "tab_shapes": tab_shapes,
            "tab_lab": tab_lab,
            "tab_about": tab_about,
            "formulas": formulas_text,
            "statements": statements_table,
        }

        def speak(chosen: str) -> list[Any]:
            spoken = words(_language(chosen))
            return [gr.update(**spoken[name]) for name in said_by]

        # The components written for this page change language by themselves; Gradio's are told.
        language.change(
            speak, language, list(said_by.values()), js="(chosen) => (window.attn.setLang(chosen), chosen)", **quick
        )

        def restore(chosen: str, request: gr.Request) -> list[Any]:
            return _restore(view, chosen, request.query_params)

        settable = [photograph, example, *controls]
        demo.load(
            restore,
            language,
            [language, *settable, explorer, bridge, banner],
            js="() => window.attn ? window.attn.lang : 'en'",
            **quick,
        )
        # The map first: the channels wait until the browser has drawn it, the lab waits for the channels.
        measured = explorer.shown(
            measure, state, [channels, shapes], trigger_mode="always_last", show_progress="hidden", **private
        )
        measured.success(practise, state, [lab, tour], show_progress="hidden", **private)
        asked = bridge.command(_command, state, settable, **quick)
        inspect_after(asked.success)
        bridge.tab(_tab, None, tabs, **quick)
        lab.shuffle(_shuffle, state, lab, **private)
        exported = gr.DownloadButton(visible="hidden", elem_id="attn-download")
        explorer.export(_export, state, exported, **private).success(
            None,
            None,
            None,
            js="() => setTimeout(() => document.querySelector('#attn-download').click(), 100)",
            **quick,
        )
        _interface(photograph, controls, {**turns, "queue": settings.queue and not settings.mcp})
    for event in demo.fns.values():
        if event.api_visibility == "private":
            event.api_name = None  # else Gradio runs it under its name for whoever asks
    # Without api_open=False the REST routes go past the queue, and so past its limits.
    demo.queue(max_size=settings.max_waiting, api_open=False)
    return demo


def launch_options() -> dict[str, Any]:
    """What `demo.launch` needs beside an address: looks, limits, and nothing that calls home."""
    return {
        # System fonts: the themes' own are fetched from elsewhere.
        "theme": gr.themes.Default(
            primary_hue="teal", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ).set(button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800"),
        "css": CSS,
        "footer_links": ["api", "gradio"],
        "max_file_size": "64mb",
        "app_kwargs": {"exception_handlers": {OSError: _unstored}},
        "run_history": False,
        "enable_monitoring": False,
        "state_session_capacity": 200,
        "share": False,
        # Gradio's look at its own page: it ends the program where that takes over 3 s, as on a busy machine.
        "_frontend": False,
    }


def _opening(settings: Settings) -> tuple[View, ExplorerView | ExplorerNotice, str]:
    """What the page opens with: the settings if they can be had, else the bundled network, else a sentence."""
    notice = ""
    for wanted in (settings, Settings()):
        try:
            view = wanted.view()
            shown = OPENING_VIEW if view == Settings().view() else ""
            return view, explorer_view(EXAMPLES[OPENING], view, shown), notice
        except (UserError, PlainError) as error:
            notice = text("en", "page.fallback.stem", reason=error)
            sentence = str(error)
    return view, ExplorerNotice(sentence), sentence


def _look(progress: gr.Progress = gr.Progress(track_tqdm=True), *state: Any) -> Any:  # noqa: B008 - Gradio's way
    """`look`, while the download bar of a network's weights shows on the page."""
    return look(*state)


def _storage_sentence(error: BaseException | None) -> str:
    """What to say where the server cannot write files; "" for any other error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            return text(_speaking.get(), "page.error.storage")
        error = error.__cause__
    return ""


async def _unstored(request: Request, error: Exception) -> Response:
    """What an upload gets that cannot be written to the disk: it never reaches `Page`."""
    _speaking.set(_language(request.headers.get("accept-language", "")[:2]))
    if sentence := _storage_sentence(error):
        return PlainTextResponse(sentence, status_code=507)  # Insufficient Storage
    raise error


def _language(code: Any) -> str:
    return code if isinstance(code, str) and code in LANGUAGES else "en"


def _pick(index: int) -> tuple[str, str]:
    """The example's file and its name in share links."""
    name = list(EXAMPLES)[index]
    return EXAMPLES[name], name


def _relevant(weights: str) -> list[Any]:
    """Only the controls that the chosen weights have: position encoding, seed, file."""
    return [gr.update(visible=weights == source) for source in ("trained", "random", "file")]


def _controls_from(asked: Mapping[str, Any], example: str, controls: Sequence[Any], language: str) -> list[Any]:
    """The example and the controls that a share link or the tour asks for, the present ones where it does not say.

    Raises:
        UserError: a value that the controls do not have.
    """
    wanted_example = asked.get("example", example)
    if wanted_example not in EXAMPLES and wanted_example != example:
        allowed = ", ".join(EXAMPLES)
        raise UserError(text(language, "page.error.choice", name="example", allowed=allowed, value=wanted_example))
    wanted = [asked.get(name, now) for name, now in zip(ADDRESS, controls, strict=False)]
    for place, kind in ((2, float), (4, float), (5, float)):
        try:
            wanted[place] = kind(wanted[place])
        except (TypeError, ValueError):
            wanted[place] = math.nan
    stem, stage, side, weights, position, seed = wanted
    read_view(language, stem, stage, side, weights, position, seed, controls[-1])
    return [wanted_example, *wanted[:4], bool(wanted[4]), wanted[5], controls[-1]]


def _restore(opening: View, language: str, asked: Mapping[str, str]) -> list[Any]:
    """Restore what the address asks for; without anything asked for the page stays as it was built."""
    language = _language(language)
    unchanged = [gr.skip()] * (len(ADDRESS) + 6)
    if not set(asked) & {"example", "view", *ADDRESS}:
        return [language, *unchanged]
    defaults = [opening.stem, opening.stage, opening.longest_side, opening.weights, True, opening.seed, None]
    try:
        with plain_errors(language):
            example, *controls = _controls_from(asked, OPENING, defaults, language)
            view = read_view(language, *controls)
            shown = explorer_view(EXAMPLES[example], view, asked.get("view", ""))
    except gr.Error as error:
        # Gradio shows no message for an event of the page's loading.
        notice = text(language, "page.share.broken", reason=error.message)
        return [language, *unchanged[:-1], gr.update(value=notice, visible=True)]
    notice = "" if "example" in asked else text(language, "page.share.no_picture")
    return [
        language,
        EXAMPLES[example],
        example,
        *controls,
        shown,
        address_of(view, example),
        gr.update(value=notice, visible=bool(notice)),
    ]


def _command(event: gr.EventData, language: str, photograph: str, example: str, *controls: Any) -> list[Any]:
    """Set the controls that the page's script asks for, as the tour does."""
    asked = event._data if isinstance(event._data, dict) else {}
    with plain_errors(language):
        wanted, *values = _controls_from(asked, example, controls, language)
    picture = EXAMPLES[wanted] if wanted and wanted != example else gr.skip()
    return [picture, wanted, *values]


def _tab(event: gr.EventData) -> Any:
    """Open a tab for the page's script; nothing is computed anew."""
    asked = event._data if isinstance(event._data, dict) else {}
    return gr.Tabs(selected=asked["tab"]) if asked.get("tab") in TABS else gr.skip()


def _export(event: gr.EventData, *state: Any) -> str:
    """The file that one of the explorer's buttons asks for."""
    return export(event._data if isinstance(event._data, dict) else {}, *state)


def _shuffle(event: gr.EventData, *state: Any) -> Any:
    """The lab with the permutation its button asks for."""
    asked = event._data if isinstance(event._data, dict) else {}
    seed = asked.get("seed", 0)
    return practise(*state, seed=seed if isinstance(seed, int) and 0 <= seed <= MAX_SEED else 0)[0]


def _interface(photograph: Photograph, controls: list[Any], turns: Mapping[str, Any]) -> None:
    """The two endpoints for programs; everything else on the page is private."""
    button, answer, file = gr.Button(visible=False), Numbers(visible=False), gr.File(visible=False)
    row, column = gr.Number(label="row", visible=False), gr.Number(label="column", visible=False)
    button.click(inspect, [photograph, *controls], [answer, file], api_name="inspect", **turns)
    button.click(query, [row, column, photograph, *controls], [answer, file], api_name="query", **turns)
