"""Where Gradio's own behaviour is bent: turns, limits, and a sentence for what cannot be read, stored or served now."""

import errno
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import Request, Response
from fastapi.responses import PlainTextResponse
from gradio import processing_utils
from gradio.blocks import BlockFunction
from gradio.data_classes import FileData, ImageData
from gradio_client.utils import decode_base64_to_binary, is_file_obj_with_meta, is_http_url_like, traverse
from starlette.middleware import Middleware

from attn.errors import PlainError
from attn.stems import STAGES
from attn.texts import text
from attn.ui.controls import Controls, known_language
from attn.ui.examples import EXAMPLES, OPENING
from attn.ui.fetch import FetchError, fetch
from attn.ui.gate import MOST, MOST_WEIGHTS, Gate
from attn.ui.modules import module_routes
from attn.ui.photographs import photograph_routes
from attn.ui.preview import PREVIEW_TAGS, preview_routes
from attn.ui.rows import row_routes
from attn.ui.storage import store
from attn.ui.transfer import Transfer
from attn.ui.turns import Caller, current_caller
from attn.ui.upkeep import swept
from attn.ui.wording import as_text, in_short, worded

LONGEST_SENTENCE = 500
# The card of a term lies over the whole page, and terms stand in Gradio's Markdown too: not the affair of one panel.
CSS = "".join((Path(__file__).parent / name).read_text("utf-8") for name in ("page_layout.css", "web/glossary.css"))
# The language of the request that is being answered.
_request_language: ContextVar[str] = ContextVar("request_language", default="en")


@dataclass(frozen=True)
class Settings:
    """What the page opens with, and how it is served.

    queue: keep visitors' requests in this process's memory, in order. False for one of several processes behind a
        balancer, where the next request may reach another.
    max_waiting: requests that wait at most; whoever comes then is told that the page is busy.
    mcp: the two endpoints are MCP tools as well. They then go without Gradio's queue, through which
        Gradio's MCP server would get the picture of a map as a path in a text.
    mechanisms: "package.module:Class" of further mechanisms, see `attn.mechanisms.foreign`.
    """

    stem: str = "bundled"
    stage: str = "layer3"
    longest_side: int = 320
    queue: bool = True
    max_waiting: int = 64  # about half a minute's work on two cores
    mcp: bool = False
    mechanisms: tuple[str, ...] = ()

    def controls(self) -> Controls:
        """The controls as the page opens with them. Raises ControlError where they do not go together."""
        return Controls(
            photograph=EXAMPLES[OPENING],
            example=OPENING,
            stem=self.stem,
            stage=self.stage,
            longest_side=self.longest_side,
        ).checked()


class Photograph(gr.Image):
    """`gr.Image` that hands over the uploaded file untouched.

    gr.Image opens the file itself first, which turns an odd file into a server error; `open_image` gives a sentence.
    """

    is_template = True

    def preprocess(self, payload: ImageData | None) -> Any:
        """The path of the uploaded file, or of what a data: address holds."""
        if payload is None or payload.path is not None:
            return payload and payload.path
        if not payload.url or not payload.url.startswith("data:"):
            return None
        content, _ = decode_base64_to_binary(payload.url)
        return store(content, "photograph", self.GRADIO_CACHE)


class Numbers(gr.JSON):
    """`gr.JSON` that passes its value on as it is: MCP answers are the text of it, and gr.JSON's begins "root="."""

    def postprocess(self, value: Any) -> Any:
        """The value as it is."""
        return value


class WeightsFile(gr.File):
    """`gr.File` that hands over the path: gr.File refuses by name, as an error, and leaves an empty file behind."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        """The path of the uploaded file."""
        return payload.path if isinstance(payload, FileData) else None


class PhotographButton(gr.UploadButton):
    """`gr.UploadButton` that hands over the path: what can be read is for `open_image` to say."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        """The path of the uploaded file."""
        return payload.path if isinstance(payload, FileData) else None


class Stage(gr.Radio):
    """`gr.Radio` whose choices follow the network; a program may name any stage, which `Controls` checks."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        """The value as it was sent."""
        return payload

    def api_info(self) -> dict[str, Any]:
        """All stages there are, whatever the network on the page."""
        return {"enum": list(STAGES), "title": "Stage", "type": "string"}


class Page(gr.Blocks):
    """`gr.Blocks` that says in a sentence what it cannot read or store now; Gradio says "Error" or less.

    inspects: the event that shows a photograph's map, see `attn.ui.photographs`.
    """

    inspects: BlockFunction

    async def process_api(self, block_fn: Any, inputs: list[Any], *arguments: Any, **options: Any) -> Any:
        """Gradio's: one event."""
        # The page's events begin with its language, a program's do not.
        _request_language.set(known_language(inputs[0] if inputs else None))
        current_caller.set(Caller.of(options.get("request")))
        try:
            return await super().process_api(block_fn, inputs, *arguments, **options)
        except gr.Error:
            raise
        except Exception as error:
            if sentence := _storage_sentence(error):
                raise gr.Error(sentence, print_exception=False) from error
            raise

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *arguments: Any, **options: Any) -> Any:
        """Gradio's: the values sent to an event, read by its components. What is given as an address is fetched."""
        try:
            inputs = [await _fetched(block, value) for block, value in zip(block_fn.inputs, inputs, strict=False)]
            return await super().preprocess_data(block_fn, inputs, *arguments, **options)
        except Exception as error:
            language = _request_language.get()
            said = worded(error, language) if isinstance(error, PlainError) else _storage_sentence(error)
            said = said or (in_short(error.message, LONGEST_SENTENCE) if isinstance(error, gr.Error) else "")
            said = said or text(language, "page.error.unread")
            # The page shows an error as HTML; programs get it as text.
            raise gr.Error(said if block_fn.api_name else as_text(said), print_exception=False) from error


async def _fetched(block: Any, value: Any) -> Any:
    """The ``value`` sent for a component, with the file that an address in it stands for: Gradio fetches no more.

    Raises:
        FetchError: an address that cannot be fetched, or one where no file is expected. Busy: too many fetch.
    """
    takes_file = isinstance(block, Photograph | PhotographButton | WeightsFile)
    if takes_file and is_file_obj_with_meta(value) and is_http_url_like(value["path"]):
        most = MOST_WEIGHTS if isinstance(block, WeightsFile) else MOST
        return value | {"path": await fetch(value["path"], most, current_caller.get())}

    def refuse(file: dict[str, Any]) -> dict[str, Any]:
        if is_http_url_like(str(file["path"])):
            raise FetchError("page.error.unread")
        return file

    return traverse(value, refuse, is_file_obj_with_meta)


def _save_base64(encoding: str, cache_dir: str, file_name: str | None = None) -> str:
    """Gradio's `save_base64_to_cache`, whole at every moment: its own lets a second caller read what is half written.

    Pictures that MCP clients send as a data: address come here.
    """
    content, extension = decode_base64_to_binary(encoding)
    return store(content, file_name or f"file.{extension or 'bin'}", cache_dir)


processing_utils.save_base64_to_cache = _save_base64


def launch_options() -> dict[str, Any]:
    """What `demo.launch` needs beside an address: looks, limits, and nothing that calls home."""
    return {
        # System fonts: the themes' own are fetched from elsewhere.
        "theme": gr.themes.Default(
            primary_hue="teal", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ).set(
            button_primary_background_fill="*primary_700",
            button_primary_background_fill_hover="*primary_800",
            button_primary_background_fill_dark="*primary_700",
            # Hints are to be read: the theme's are too pale, 1.9 : 1.
            body_text_color_subdued="*neutral_600",
            body_text_color_subdued_dark="*neutral_300",
        ),
        "css": CSS,
        "footer_links": ["api", "gradio"],
        "max_file_size": MOST_WEIGHTS,
        "app_kwargs": {
            "routes": [*row_routes(), *module_routes(), *preview_routes(), *photograph_routes()],
            "middleware": [Middleware(Gate), Middleware(Transfer), PREVIEW_TAGS],
            "exception_handlers": {OSError: _unstored},
            "lifespan": swept,
        },
        # As many events as may wait for their turns; what is computed at once is theirs to say.
        "max_threads": 400,
        "run_history": False,
        "enable_monitoring": False,
        "state_session_capacity": 200,
        "share": False,
        # Gradio's look at its own page: it ends the program where that takes over 3 s, as on a busy machine.
        "_frontend": False,
        # Spaces has Node render the page, without its map: `attn.ui.ahead` draws that sooner.
        "ssr_mode": False,
    }


def _storage_sentence(error: BaseException | None) -> str:
    """What to say where the server cannot write files; "" for any other error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            return text(_request_language.get(), "page.error.storage")
        error = error.__cause__
    return ""


async def _unstored(request: Request, error: Exception) -> Response:
    """What an upload gets that cannot be written to the disk: it never reaches `Page`."""
    _request_language.set(known_language(request.headers.get("accept-language", "")[:2]))
    if sentence := _storage_sentence(error):
        return PlainTextResponse(sentence, status_code=507)  # Insufficient Storage
    raise error
