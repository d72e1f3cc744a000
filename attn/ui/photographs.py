"""A photograph and the settings in one request, its map and all that it is drawn from in the answer.

Through Gradio the same takes an upload, an event for it, a place in the queue, a stream for the answer and a request a
file, one after the other. What is asked for is the page's own event all the same: with its checks, turns and notices.
The page's script for it is ``panels/page/photograph.js``.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from anyio.to_thread import run_sync
from gradio.data_classes import PredictBodyInternal
from gradio.route_utils import call_process_api, get_root_url
from gradio_client.utils import strip_invalid_filename_characters
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from attn.ui.controls import CONTROLS
from attn.ui.storage import store

PATH = "/gradio_api/attn/photograph"


def photograph_routes() -> list[Route]:
    """Where the page's script sends photographs: a form of ``photograph``, a file, and ``asked``, JSON {"values": what
    the controls are set to, in the order of `CONTROLS`, "session": Gradio's name of the page that asks}.

    The answer is `packed`: {"data": the event's values as Gradio sends them, "photograph": Gradio's value of the
    photograph} and the files of the first of the values.
    """
    return [Route(PATH, _take, methods=["POST"])]


def packed(answer: dict[str, Any], files: list[tuple[dict[str, Any], bytes]]) -> bytes:
    """The answer as JSON with its length before it (uint32, little-endian), then the files one after the other.

    files: Gradio's value of each, and its bytes. The JSON names them under "files": {"url", "size", "type"}.
    """
    named = [{"url": value["url"], "size": len(data), "type": value["mime_type"]} for value, data in files]
    head = json.dumps({**answer, "files": named}).encode()
    return b"".join([struct.pack("<I", len(head)), head, *(data for _, data in files)])


async def _take(request: Request) -> Response:
    app = request.app
    event = app.get_blocks().inspects
    async with request.form(max_files=1, max_fields=1) as form:
        asked, photograph = _asked(form.get("asked")), form.get("photograph")
        if asked is None or not isinstance(photograph, UploadFile):
            return PlainTextResponse("expected a photograph and what is asked of it", status_code=400)
        data, name = await photograph.read(), Path(photograph.filename or "").name
    path = await run_sync(store, data, strip_invalid_filename_characters(name) or "photograph")
    taken = {"path": path, "orig_name": name, "size": len(data), "meta": {"_type": "gradio.FileData"}}
    controls = {**dict(zip(CONTROLS, asked["values"], strict=True)), "photograph": taken, "example": ""}
    # What else the event takes is for setting a refused choice back, and a photograph changes none.
    values = [*controls.values(), *[None] * (len(event.inputs) - len(CONTROLS))]
    body = PredictBodyInternal(session_hash=asked["session"] or None, data=values, fn_index=event._id, request=request)
    try:
        output = await call_process_api(
            app=app,
            body=body,
            gr_request=gr.Request(request=request, session_hash=body.session_hash),
            fn=event,
            root_path=get_root_url(request, PATH, app.root_path),
        )
    except gr.Error as error:
        return PlainTextResponse(error.message, status_code=500)
    files = [(value, await run_sync(Path(value["path"]).read_bytes)) for value in _files(output["data"][0])]
    return Response(packed({"data": output["data"], "photograph": taken}, files), media_type="application/octet-stream")


def _asked(text: Any) -> dict[str, Any] | None:
    """What the form asks, if that can be: every control, and the name of a session or none."""
    try:
        asked = json.loads(text)
        good = len(asked["values"]) == len(CONTROLS) and isinstance(asked.get("session") or "", str)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
    return asked if good and isinstance(asked["values"], list) else None


def _files(value: Any) -> Iterator[dict[str, Any]]:
    """Gradio's values of files within the value of a component."""
    if isinstance(value, dict):
        if "path" in value and "url" in value:
            yield value
        else:
            for part in value.values():
                yield from _files(part)
