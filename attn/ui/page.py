"""The page: layout and wiring. What an event answers is in `attn.ui.answers` and `attn.ui.address`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gradio as gr

from attn.errors import PlainError
from attn.stems import STAGES
from attn.texts import LANGUAGES, text
from attn.ui.address import Bridge, address_of, command, restore
from attn.ui.answers import explorer_view, export_file, show_channels, show_lab, show_map, show_story
from attn.ui.controls import CONTROLS, MAX_SEED, MAX_SIDE, MIN_SIDE, Controls, known_language, on_controls, on_request
from attn.ui.endpoints import inspect, query
from attn.ui.examples import EXAMPLES
from attn.ui.modules import call
from attn.ui.panels.channels.panel import Channels
from attn.ui.panels.explorer.panel import Explorer, ExplorerNotice, ExplorerView
from attn.ui.panels.lab.panel import Lab, LabView
from attn.ui.panels.story.panel import Story
from attn.ui.panels.text_lane.panel import TextLane
from attn.ui.panels.tour.panel import Tour
from attn.ui.panels.transposition.panel import Transposition
from attn.ui.serving import RUNNING, Numbers, Page, Photograph, Settings
from attn.ui.wording import TABS, labels, plain_errors

OPENING_VIEW = "q13.19"  # as in share links: the lion's nose, in the default grid
# What a program may say, by the names of the controls; the order is the order of the endpoints' arguments.
ARGUMENTS = ("photograph", "stem", "stage", "longest_side", "weights", "position", "seed", "file", "detail")


def build_demo(settings: Settings | None = None) -> gr.Blocks:
    """The page, with an example already inspected. `attn.ui.serving.launch_options` has what launching it needs."""
    settings = settings or Settings()
    controls, opening, notice = _opening(settings)
    said = labels("en")
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
                    controls.photograph,
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    height=220,
                    buttons=[],
                    **said["photograph"],
                )
                example = gr.Textbox(controls.example, visible=False)
                examples = gr.Dataset(
                    components=[gr.Image(visible=False)],
                    samples=[[path] for path in EXAMPLES.values()],
                    type="index",
                    **said["examples"],
                )
                weights = gr.Radio(value=controls.settled().weights, **said["weights"])
                position = gr.Checkbox(True, visible=weights.value == "trained", **said["position"])
                seed = gr.Number(0, precision=0, minimum=0, maximum=MAX_SEED, visible=False, **said["seed"])
                file = gr.File(file_types=[".safetensors"], visible=False, height=120, **said["file"])
                with gr.Accordion(open=False, **said["network"]) as network:
                    stem = gr.Dropdown(value=controls.stem, **said["stem"])
                    stage = gr.Radio(list(STAGES), value=controls.stage, **said["stage"])
                    detail = gr.Radio(value=controls.detail, **said["detail"])
                    longest_side = gr.Slider(
                        MIN_SIDE, MAX_SIDE, value=controls.longest_side, step=16, **said["longest_side"]
                    )
            with gr.Column(scale=8, min_width=340, elem_classes="attn-shown"):
                explorer = Explorer(opening, elem_id="explorer")
                bridge = Bridge(address_of(controls))
                tour = Tour()
        transposition = Transposition()
        story = Story()
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
                statements = gr.Markdown(**said["statements"])
                formulas = gr.Markdown(
                    latex_delimiters=[{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$"}],
                    **said["formulas"],
                )

        # Everything whose words change with the language, by its name in `labels`; the controls among them.
        labelled = {
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
            "detail": detail,
            "longest_side": longest_side,
            "tab_lanes": tab_lanes,
            "tab_lab": tab_lab,
            "tab_figures": tab_figures,
            "figures": figures,
            "tab_shapes": tab_shapes,
            "tab_about": tab_about,
            "formulas": formulas,
            "statements": statements,
        }
        parts = {**labelled, "language": language, "example": example}
        state = [parts[name] for name in CONTROLS]
        turns: dict[str, Any] = {
            "queue": settings.queue,
            "concurrency_id": "model",
            "concurrency_limit": RUNNING,
        }
        private = {"api_visibility": "private", **turns}
        quick: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}

        def inspect_after(event: Callable[..., Any], **arguments: Any) -> None:
            event(_inspect, state, [explorer, bridge, banner], **arguments, **private)

        # A network may have to be fetched and a large grid takes its time: the whole animation. A photograph's map is
        # there in a quarter of a second, of which the animation would take a third: a line of text, should it wait.
        slow = [stem.input, stage.input, detail.input, longest_side.release]
        fast = [photograph.input, weights.input, position.input, seed.submit, seed.blur, file.upload]
        line = {"show_progress": "minimal", "show_progress_on": bridge}
        photograph.input(None, None, example, js="() => ''", **quick)
        inspect_after(partial(gr.on, slow, trigger_mode="always_last"))
        inspect_after(partial(gr.on, fast, trigger_mode="always_last"), **line)
        picked = examples.click(_pick, examples, [photograph, example], **quick)
        inspect_after(picked.then, **line)
        weights.change(_show_relevant, weights, [position, seed, file], **quick)

        def translate(chosen: str) -> list[Any]:
            said = labels(known_language(chosen))
            return [gr.update(**said[name]) for name in labelled]

        # The components written for this page change language by themselves; Gradio's are told.
        language.change(
            translate,
            language,
            list(labelled.values()),
            js=call("ui/web/texts.js", "(await module.setLanguage(chosen), chosen)", "chosen"),
            **quick,
        )

        def restored(chosen: str, request: gr.Request) -> list[Any]:
            return restore(controls, chosen, request.query_params)

        demo.load(
            restored,
            language,
            [*state, explorer, bridge, banner],
            js=call("ui/web/texts.js", f"module.offerLanguages({list(LANGUAGES)})"),
            **quick,
        )
        # The map first: the channels wait until the browser has drawn it, the lab waits for the channels.
        measured = explorer.shown(
            on_controls(show_channels),
            state,
            [channels, shapes],
            trigger_mode="always_last",
            show_progress="hidden",
            **private,
        )
        told = measured.success(
            on_controls(show_story), state, [transposition, story], show_progress="hidden", **private
        )
        told.success(on_controls(show_lab), state, [lab, tour], show_progress="hidden", **private)
        asked = bridge.command(on_request(command), state, state, **quick)
        inspect_after(asked.success)
        bridge.tab(_open_tab, None, tabs, **quick)
        lab.shuffle(on_request(_shuffle), state, lab, **private)
        exported = gr.DownloadButton(visible="hidden", elem_id="attn-download")
        explorer.export(on_request(export_file), state, exported, **private).success(
            None,
            None,
            None,
            js="() => setTimeout(() => document.querySelector('#attn-download').click(), 100)",
            **quick,
        )
        # The two endpoints for programs; everything else on the page is private.
        button, answer, arrays = gr.Button(visible=False), Numbers(visible=False), gr.File(visible=False)
        row, column = gr.Number(label="row", visible=False), gr.Number(label="column", visible=False)
        given = [parts[name] for name in ARGUMENTS]
        public = {**turns, "queue": settings.queue and not settings.mcp}
        button.click(inspect, given, [answer, arrays], api_name="inspect", **public)
        button.click(query, [row, column, *given], [answer, arrays], api_name="query", **public)
    for event in demo.fns.values():
        if event.api_visibility == "private":
            event.api_name = None  # else Gradio runs it under its name for whoever asks
    # Without api_open=False the REST routes go past the queue, and so past its limits.
    demo.queue(max_size=settings.max_waiting, api_open=False)
    return demo


def _opening(settings: Settings) -> tuple[Controls, ExplorerView | ExplorerNotice, str]:
    """What the page opens with: the settings if they can be had, else the bundled network, else a sentence."""
    notice = ""
    for wanted in (settings, Settings()):
        try:
            controls = wanted.controls()
            shown = OPENING_VIEW if controls == Settings().controls() else ""
            return controls, explorer_view(controls, shown), notice
        except PlainError as error:
            sentence = error.sentence("en")
            notice = text("en", "page.fallback.stem", reason=sentence)
    return controls, ExplorerNotice(sentence), sentence


def _inspect(progress: gr.Progress = gr.Progress(track_tqdm=True), *values: Any) -> tuple[Any, Any, Any]:  # noqa: B008 - Gradio's way
    """The map, the address and a notice, while the download bar of a network's weights shows on the page."""
    controls = Controls.read(values)
    with plain_errors(controls.language):
        shown, notice = show_map(controls)
        return shown, address_of(controls.checked()), gr.update(value=notice, visible=bool(notice))


def _pick(index: int) -> tuple[str, str]:
    """The example's file and its name in share links."""
    name = list(EXAMPLES)[index]
    return EXAMPLES[name], name


def _show_relevant(weights: str) -> list[Any]:
    """Only the controls that the chosen weights have: position encoding, seed, file."""
    return [gr.update(visible=weights == source) for source in ("trained", "random", "file")]


def _open_tab(event: gr.EventData) -> Any:
    """Open a tab for the page's script; nothing is computed anew."""
    asked = event._data if isinstance(event._data, dict) else {}
    return gr.Tabs(selected=asked["tab"]) if asked.get("tab") in TABS else gr.skip()


def _shuffle(asked: Mapping[str, Any], controls: Controls) -> LabView:
    """The lab with the permutation its button asks for."""
    seed = asked.get("seed", 0)
    return show_lab(controls, seed if isinstance(seed, int) and 0 <= seed <= MAX_SEED else 0)[0]
