"""What comes in at all: Gradio's routes that nobody here uses are closed, and a request has a size."""

from urllib.parse import unquote

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attn.texts import text
from attn.ui.controls import known_language

# A whole autoencoder in half precision is 167 MB. Pictures are as large as `open_image` reads.
MOST_WEIGHTS = 192 * 2**20
MOST = 64 * 2**20
# Of all requests together that are read into memory, as everything but Gradio's uploads is: a class whose photographs
# come in the same second stays below it.
MOST_HELD = 256 * 2**20
# After Gradio's prefix. They record videos, fetch addresses for whoever asks, write every session to the disk, or edit
# the program.
CLOSED = (
    "process_recording",
    "proxy=",
    "file=http:",
    "file=https:",
    "file/http:",
    "file/https:",
    "deep_link",
    "stream/",
    "vibe-",
    "undo-vibe-",
    "dev/",
    "run-history",
    "runs",
    "profiling",
)
PREFIX = "/gradio_api/"


class Gate:
    """ASGI middleware; the sentence of a refusal is in the language the browser asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._held: dict[_Counted, int] = {}  # requests that are here → bytes of theirs in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        language = known_language(headers.get(b"accept-language", b"")[:2].decode("latin-1"))
        path = unquote(scope["path"])
        asked = path.partition(PREFIX)[2].lstrip("/")
        if asked.lower().startswith(CLOSED):
            closed = PlainTextResponse(text(language, "page.error.closed"), status_code=404)
            return await closed(scope, receive, send)
        too_large = PlainTextResponse(text(language, "page.error.large", limit=MOST // 2**20), status_code=413)
        claimed = headers.get(b"content-length", b"0")
        if not claimed.isdigit() or int(claimed) > (MOST_WEIGHTS if asked.startswith("upload") else MOST) + 2**16:
            return await too_large(scope, receive, send)
        counted = _Counted(receive, asked.startswith("upload"), self._held)
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            if counted.over and not begun:
                return  # whatever became of it, the answer is the size
            begun = True
            await send(message)

        refused = too_large
        try:
            await self._app(scope, counted, sent)
        except Exception:
            if not counted.over:
                raise
        finally:
            here = len(self._held)
            self._held.pop(counted, None)
        if counted.over and not begun:
            if counted.busy:
                refused = PlainTextResponse(text(language, "page.error.busy", waiting=here), status_code=503)
            await refused(scope, receive, send)
        return None


class _Counted:
    """A request's body as far as it may be long; the rest is as if the visitor had gone."""

    def __init__(self, receive: Receive, upload: bool, held: "dict[_Counted, int]") -> None:
        self._receive = receive
        self._upload = upload
        self._held = held
        self._bytes = 0
        self._most = MOST + 2**16
        self.over = False
        self.busy = False

    async def __call__(self) -> Message:
        if self.over:
            return {"type": "http.disconnect"}
        message = await self._receive()
        body = message.get("body", b"")
        if self._upload and not self._bytes and b".safetensors" in body[:4096]:
            self._most = MOST_WEIGHTS + 2**16
        self._bytes += len(body)
        if body and not self._upload:
            self._held[self] = self._bytes
            self.busy = sum(self._held.values()) > MOST_HELD
        if self._bytes > self._most or self.busy:
            self.over = True
            return {"type": "http.disconnect"}
        return message
