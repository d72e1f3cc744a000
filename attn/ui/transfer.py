"""What goes out and how: pages compressed, and files of Gradio's cache kept by the browser that has had them.

Gradio compresses by a path's ending, which a page's has not, and says nothing of how long its files hold. They hold for
ever: a file's folder there is named after its content. A week is enough for who comes back.
"""

import gzip
import re

import brotli  # Gradio's own: it compresses scripts with it
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_BYTES = 500
# Gradio's cache: .../gradio_api/file=/tmp/gradio/<hash of the content>/<name>
_CONTENT_ADDRESSED = re.compile(r"^/gradio_api/file=.*/[0-9a-f]{64}/[^/]+$")
_KEPT = "private, max-age=604800, immutable"


class Transfer:
    """ASGI middleware. Streams, and what is compressed already, pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        wanted = Headers(scope=scope).get("accept-encoding", "")
        encoding = next((name for name in ("br", "gzip") if name in wanted), "")
        held: Message | None = None
        body = b""

        async def sent(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if message["status"] == 200 and _CONTENT_ADDRESSED.match(path):
                    headers["Cache-Control"] = _KEPT
                html = headers.get("content-type", "").startswith("text/html")
                if html and "content-encoding" not in headers and scope["method"] != "HEAD":
                    held = message
                    return
            if held is None:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            headers = MutableHeaders(scope=held)
            headers.add_vary_header("Accept-Encoding")
            if encoding and len(body) >= LEAST_BYTES:
                body = brotli.compress(body, quality=5) if encoding == "br" else gzip.compress(body, 6, mtime=0)
                headers["Content-Encoding"] = encoding
                headers["Content-Length"] = str(len(body))
            await send(held)
            await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, sent)
