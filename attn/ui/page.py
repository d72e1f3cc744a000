"""The page: layout and wiring. What an event answers is in `attn.ui.answers` and `attn.ui.address`."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gradio as gr

from attn.checkpoints import SOURCES
from attn.errors import PlainError
from attn.stems import STEMS
from attn.texts import LANGUAGES, text
from attn.ui.address import address_of, command, restore
from attn.ui.answers import (
    bring_mechanisms,
    browsers_picture,
    choose_block,
    explorer_view,
    export_file,
    show_blocks,
    show_channels,
    show_lab,
    show_lane,
    show_map,
    show_own_gates,
    show_pair,
    show_rest,
    show_second,
    show_shapes,
    show_story,
    take_file,
)
from attn.ui.controls import CONTROLS, MAX_SEED, MAX_SIDE, MIN_SIDE, Controls, known_language, stages_of
from attn.ui.endpoints import in_turn, inspect, query
from attn.ui.events import Events
from attn.ui.modules import call
from attn.ui.panels.blocks.panel import Blocks
from attn.ui.panels.channels.panel import Channels
from attn.ui.panels.explorer.panel import Explorer, ExplorerNotice, ExplorerView
from attn.ui.panels.head.panel import Head
from attn.ui.panels.lab.panel import Lab, LabView
from attn.ui.panels.lane.panel import ChannelLane, LaneRefused
from attn.ui.panels.own_gates.panel import OwnGates, OwnGatesView
from attn.ui.panels.page.panel import Bridge
from attn.ui.panels.pair.panel import Pair, PairRefused
from attn.ui.panels.story.panel import Story
from attn.ui.panels.text_lane.panel import TextLane
from attn.ui.panels.transposition.panel import Transposition
from attn.ui.serving import Numbers, Page, Photograph, PhotographButton, Settings, Stage, WeightsFile
from attn.ui.turns import Turns
from attn.ui.wording import as_text, labels, notice, worded

PHOTOGRAPH = "ui/panels/page/photograph.js"
# "Your file" opens the chooser; until there is a file, what was shown stays. The chooser is in the page, hidden.
CHOOSE_FILE = """(weights) => {
  if (weights === 'file') document.querySelector('#attn-file input[type=file]')?.click();
  return [];
}"""
# What a program may say, by the names of the controls; the order is the order of the endpoints' arguments.
ARGUMENTS = (
    "photograph",
    "stem",
    "stage",
    "longest_side",
    "weights",
    "position",
    "seed",
    "file",
    "detail",
    "file_block",
)


def build_demo(settings: Settings | None = None) -> gr.Blocks:
    """The page, with an example already inspected. `attn.ui.serving.launch_options` has what launching it needs."""
    settings = settings or Settings()
    bring_mechanisms(settings.mechanisms)
    controls, opening, sentence = _opening(settings)
    said = labels("en")
    with Page(title="Attention window", analytics_enabled=False) as demo:
        head = Head(elem_id="attn-head")
        language = gr.Textbox("en", visible=False)
        banner = gr.Markdown(as_text(sentence), visible=bool(sentence), elem_classes="attn-banner")
        with gr.Column(elem_id="attn-see"):
            with gr.Row(elem_classes="attn-bar"):
                upload = PhotographButton(file_types=["image"], size="sm", elem_id="attn-upload", **said["upload"])
                bridge = Bridge(address_of(controls), elem_id="page")
                with gr.Column(elem_id="attn-settings"):
                    weights = gr.Radio(value=controls.settled().weights, **said["weights"])
                    position = gr.Checkbox(True, visible=weights.value in ("trained", "tuned"), **said["position"])
                    seed = gr.Number(0, precision=0, minimum=0, maximum=MAX_SEED, visible=False, **said["seed"])
                    file_note = gr.Markdown(visible=False, elem_id="attn-file-note")
                    file = WeightsFile(
                        file_types=[".safetensors"], visible="hidden", height=120, elem_id="attn-file", **said["file"]
                    )
                    stem = gr.Dropdown(value=controls.stem, **said["stem"])
                    stage = Stage(stages_of(controls.stem), value=controls.stage, **said["stage"])
                    detail = gr.Radio(value=controls.detail, **said["detail"])
                    longest_side = gr.Slider(
                        MIN_SIDE, MAX_SIDE, value=controls.longest_side, step=16, **said["longest_side"]
                    )
                    photograph = Photograph(
                        controls.photograph,
                        type="filepath",
                        image_mode=None,
                        sources=["upload", "clipboard", "webcam"],
                        height=200,
                        buttons=[],
                        elem_id="photograph",
                        **said["photograph"],
                    )
                    example = gr.Textbox(controls.example, visible=False)
            with gr.Row(elem_id="attn-window"):
                explorer = Explorer(opening, elem_id="explorer")
                lane = ChannelLane(elem_id="lane")
            # Below the window: the transposition, then the story.
            with gr.Column(elem_id="attn-below"):
                transposition = Transposition()
                story = Story()
        with gr.Column(elem_id="attn-bench"):
            channels = Channels(elem_id="channels")
            blocks = Blocks(elem_id="blocks")
            file_block = gr.Textbox("", visible=False)
            pair = Pair(elem_id="pair")
            second = PhotographButton(file_types=["image"], elem_id="attn-second")
            own_gates = OwnGates(elem_id="own-gates")
            lab = Lab(elem_id="lab")
            TextLane(elem_id="text-lane")
        with gr.Column(elem_id="attn-reference"):
            contents = gr.Markdown(**said["contents"])
            shapes = gr.Markdown(elem_id="attn-shapes")
            figures = gr.Markdown(elem_id="attn-figures", **said["figures"])
            statements = gr.Markdown(elem_id="attn-statements", **said["statements"])
            formulas = gr.Markdown(  # filled when looked at: what sets formulas is fetched with the first
                elem_id="attn-formulas",
                latex_delimiters=[{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$"}],
            )
            glossary = gr.Markdown(elem_id="attn-glossary", **said["glossary"])

        # Everything whose words change with the language, by its name in `labels`; the controls among them.
        labelled = {
            "upload": upload,
            "photograph": photograph,
            "weights": weights,
            "position": position,
            "seed": seed,
            "file": file,
            "stem": stem,
            "stage": stage,
            "detail": detail,
            "longest_side": longest_side,
            "contents": contents,
            "figures": figures,
            "formulas": formulas,
            "statements": statements,
            "glossary": glossary,
        }
        parts = {**labelled, "language": language, "example": example, "file_block": file_block, "second": second}
        state = [parts[name] for name in CONTROLS]
        turns = Turns(settings.max_waiting)
        events = Events(turns)
        # Everybody's events start at once and wait for their turns there, not in Gradio's queue.
        private: dict[str, Any] = {"api_visibility": "private", "queue": settings.queue, "concurrency_limit": None}
        session = gr.Textbox(visible=False)
        # With each change of any event's progress Gradio copies all components that have ever shown one, value and all:
        # what shows none has one that is not there.
        unseen: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": session}
        quick: dict[str, Any] = {"api_visibility": "private", "queue": False, **unseen}

        shows_map = [explorer, bridge, photograph, banner]
        names = json.dumps(CONTROLS)

        # What is asked for while a photograph is on its way is asked of that one, and waits for it. What is refused is
        # set back to what the bar and the picture still show.
        def inspect_after(event: Callable[..., Any], **arguments: Any) -> Any:
            arguments["js"] = call(PHOTOGRAPH, f"module.asked({names}, values)", "...values")
            return event(
                events.on_controls(_show_map, 3, set_back=_set_back, tells=True),
                [*state, bridge],
                [*shows_map, stem, stage, detail, longest_side, seed],
                **arguments,
                **private,
            )

        # A network may have to be fetched and a large grid takes its time: the whole animation. A photograph's map is
        # there in a quarter of a second, of which the animation would take a third: a line of text, should it wait.
        slow = [stem.input, stage.input, detail.input, longest_side.release]
        fast = [photograph.input, weights.input, position.input, seed.submit, seed.blur]
        line = {"show_progress": "minimal", "show_progress_on": bridge}
        # Chosen, pasted, dropped, or made with the camera: a photograph that is no example. The page's script sends it
        # past these events; they are for whoever is faster than it, and for the camera.
        uploaded = upload.upload(_take, upload, [photograph, example], trigger_mode="always_last", **quick)
        photograph.input(None, None, example, js="() => ''", **quick)
        weights.input(None, weights, None, js=CHOOSE_FILE, **quick)
        inspect_after(partial(gr.on, slow, trigger_mode="always_last"), show_progress_on=explorer)
        inspected = inspect_after(partial(gr.on, fast, trigger_mode="always_last"), **line)
        bridge.take(
            None,
            [*state, session],
            [*shows_map, example],
            js=call(PHOTOGRAPH, f"module.taken({names}, values, values.pop())", "...values"),
            **quick,
        )
        bridge.kept(None, None, photograph, js=call(PHOTOGRAPH, "module.kept()"), **quick)
        brought = bridge.back(None, None, [photograph, example], js=call(PHOTOGRAPH, "module.back()"), **quick)
        inspect_after(partial(brought.success, trigger_mode="always_last"), **line)
        # Nothing that waits is dropped: by itself Gradio's page forgets what is asked for while an event runs.
        inspect_after(partial(uploaded.success, trigger_mode="always_last"), **line)
        given_file = file.upload(
            events.on_controls(take_file, 3),
            state,
            [weights, file_block, blocks, banner],
            trigger_mode="always_last",
            **private,
        )
        inspect_after(partial(given_file.success, trigger_mode="always_last"), **line)
        chosen_block = blocks.choose(
            events.on_request(choose_block, 4, quick=True),
            state,
            [stem, stage, weights, file_block, banner],
            trigger_mode="always_last",
            **quick,
        )
        inspect_after(partial(chosen_block.success, trigger_mode="always_last"), show_progress_on=explorer)
        noted = [language, weights, file, bridge]
        weights.change(_show_relevant, noted, [position, seed, file, file_note], **quick)
        gr.on([file.change, language.change], _file_note, noted, file_note, **quick)
        stem.change(_stages, [stem, stage], stage, **quick)

        def translate(chosen: str) -> list[Any]:
            said = labels(known_language(chosen))
            return [gr.update(**said[name]) for name in labelled]

        # The panels change language by themselves; Gradio's components are told.
        head.language(_language, None, language, **quick)
        head.reference(_formulas, language, formulas, **quick)
        language.change(translate, language, list(labelled.values()), **quick)

        def restored(chosen: str, request: gr.Request) -> list[Any]:
            return [*restore(controls, chosen, request.query_params), request.session_hash]

        demo.load(
            restored,
            language,
            [*state, explorer, bridge, banner, session],
            js=call("ui/web/texts.js", f"module.offerLanguages({list(LANGUAGES)})"),
            **quick,
        )
        # The map first: the lane waits until the browser has drawn it; the bench is filled when somebody goes there.
        hidden: dict[str, Any] = {**unseen, **private}
        latest: dict[str, Any] = {"trigger_mode": "always_last", **hidden}
        no_rest = partial(ExplorerNotice, state="lacking")
        explorer.rest(events.on_request(show_rest, 1, refused=no_rest), state, [explorer, banner], **latest)
        weighed = [
            event(events.on_controls(show_lane, 1, refused=LaneRefused), state, [lane, banner], **latest)
            for event in (explorer.shown, lane.again)
        ]
        # Anew with the language: a session's answers come in the order of its questions.
        for changed in (explorer.shown, language.change):
            changed(events.on_controls(show_shapes, 1), state, [shapes, banner], **latest)
        for done in weighed:
            done.success(events.on_controls(show_story, 2), state, [transposition, story, banner], **hidden)
        explorer.shown(events.on_controls(show_blocks, 1), state, [blocks, banner], **latest)
        pair.ask(events.on_request(show_pair, 1, refused=PairRefused), state, [pair, banner], **latest)
        second.upload(events.on_controls(show_second, 1, refused=PairRefused), state, [pair, banner], **latest)
        no_gates = partial(OwnGatesView, "", (), {})
        own_gates.ask(events.on_request(show_own_gates, 1, refused=no_gates), state, [own_gates, banner], **latest)
        filled = bridge.bench(events.on_controls(show_channels, 1), state, [channels, banner], **latest)
        filled.success(events.on_controls(show_lab, 1), state, [lab, banner], **hidden)
        asked = bridge.command(
            events.on_request(command, len(state), quick=True),
            state,
            [*state, banner],
            trigger_mode="multiple",  # the page's script sends one at a time
            **quick,
        )
        asked.then(None, None, None, js="() => document.dispatchEvent(new CustomEvent('attn:answered'))", **quick)
        inspect_after(partial(asked.success, trigger_mode="always_last"), **line)
        lab.shuffle(events.on_request(_shuffle, 1), state, [lab, banner], **private)
        exported = gr.DownloadButton(visible="hidden", elem_id="attn-download")
        explorer.export(events.on_request(export_file, 1), state, [exported, banner], **private).success(
            None,
            exported,
            None,
            js="(file) => { if (file) setTimeout(() => document.querySelector('#attn-download').click(), 100) }",
            **quick,
        )
        # The two endpoints for programs; everything else on the page is private.
        button, answer, arrays = gr.Button(visible=False), Numbers(visible=False), gr.File(visible=False)
        row, column = gr.Number(label="row", visible=False), gr.Number(label="column", visible=False)
        given = [parts[name] for name in ARGUMENTS]
        public: dict[str, Any] = {"queue": settings.queue and not settings.mcp, "concurrency_limit": None}
        button.click(in_turn(inspect, turns), given, [answer, arrays], api_name="inspect", **public)
        button.click(in_turn(query, turns), [row, column, *given], [answer, arrays], api_name="query", **public)
    for event in demo.fns.values():
        if event.api_visibility == "private":
            event.api_name = None  # else Gradio runs it under its name for whoever asks
    demo.inspects = demo.fns[inspected["id"]]
    # Else the REST routes go past the queue, and so past its limits. `queue` would build the server once more.
    demo.api_open = False
    return demo


def _opening(settings: Settings) -> tuple[Controls, ExplorerView | ExplorerNotice, str]:
    """What the page opens with: the settings if they can be had, else the bundled network, else a sentence."""
    sentence = ""
    for wanted in (settings, Settings()):
        try:
            controls = wanted.controls()
            return controls, explorer_view(controls, whole=True), sentence
        except PlainError as error:
            reason = worded(error, "en")
            sentence = text("en", "page.fallback.stem", reason=reason)
    return controls, ExplorerNotice(reason), reason


def _show_map(told: Any, controls: Controls) -> list[Any]:
    """The map, the address, the photograph where a browser cannot show what was brought, and a notice.

    ``told`` is what `address_of` told of the last map, and ``query``, where the reader points in it.
    """
    if not controls.photograph:
        return [*[gr.skip()] * 3, notice(text(controls.language, "page.notice.no_image"))]
    address = address_of(controls)
    same = isinstance(told, dict) and told.get("photograph") == address["photograph"]
    shown, sentence = show_map(controls, told.get("query") if same else None)
    preview = browsers_picture(controls.photograph)
    return [shown, address, preview or gr.skip(), notice(sentence)]


def _set_back(shown: Any) -> list[Any]:
    """Values of network, stage, detail, longest side and seed as what `address_of` told of the last map.

    The weights stay at "your file" while there is none: the notice says so, and the file's place stays in sight.
    """
    names = ("stem", "stage", "detail", "side", "seed")
    if not isinstance(shown, dict) or not set(names) <= shown.keys() or shown["stem"] not in STEMS:
        return [gr.skip()] * len(names)
    values = [shown[name] for name in names]
    values[1] = gr.update(choices=stages_of(shown["stem"]), value=shown["stage"])
    return values


def _language(event: gr.EventData) -> str:
    """The language that the reader chose in the page's head."""
    asked = event._data if isinstance(event._data, dict) else {}
    return known_language(asked.get("code"))


def _formulas(chosen: str) -> Any:
    """The formulas, as the page's language has them."""
    return gr.update(**labels(known_language(chosen))["formulas"])


def _take(path: str) -> tuple[str, str]:
    """An uploaded photograph: its file, and that it is no example."""
    return path, ""


def _show_relevant(language: str, weights: str, file: str | None, shown: Any) -> list[Any]:
    """Only the controls that the chosen weights have: position encoding, seed, file and its note."""
    seen = [gr.update(visible=weights in sources) for sources in (("trained", "tuned"), ("random",))]
    chooser = gr.update(visible=True if weights == "file" else "hidden")
    return [*seen, chooser, _file_note(language, weights, file, shown)]


def _file_note(language: str, weights: str, file: str | None, shown: Any) -> Any:
    """What the window shows while "your file" is chosen and there is none."""
    source = shown.get("weights") if isinstance(shown, dict) else None
    if weights != "file" or file or source not in SOURCES:
        return gr.update(visible=False)
    said = text(known_language(language), f"page.weights.{source}")
    return gr.update(value=text(known_language(language), "page.file.none", shown=said), visible=True)


def _stages(stem: str, stage: str) -> Any:
    """Only the stages that the network has."""
    stages = stages_of(stem)
    return gr.update(choices=stages, value=stage if stage in stages else stages[-1])


def _shuffle(asked: Mapping[str, Any], controls: Controls) -> LabView:
    """The lab with the permutation its button asks for."""
    seed = asked.get("seed", 0)
    return show_lab(controls, seed if isinstance(seed, int) and 0 <= seed <= MAX_SEED else 0)
