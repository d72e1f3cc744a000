"""One query's logits by themselves, for whoever points before those of all queries are there.

The page's script for it is ``panels/explorer/arrival.js``.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from attn.ui.answers import kept_encoding
from attn.ui.panels.explorer.panel import encode_query

PATH = "/gradio_api/attn/rows/{key}/{row:int}.{col:int}"


def row_routes() -> list[Route]:
    """Where the page's script finds the logits of the query at ``row``, ``col`` of the map with this ``key``.

    The answer is JSON, {"row": as of `encode_query`, "tolerance": its error}; 404 for a map that is not kept here, or
    has no such position. To be listed before `attn.ui.modules.module_routes`, whose addresses hold these too.
    """
    return [Route(PATH, _row)]


async def _row(request: Request) -> Response:
    asked = request.path_params
    encoding, cell = kept_encoding(asked["key"]), [asked["row"], asked["col"]]
    if encoding is None or any(place >= side for place, side in zip(cell, encoding.grid, strict=True)):
        return Response(status_code=404)
    row, tolerance = encode_query(encoding.queries, encoding.keys, encoding.grid, cell)
    return JSONResponse({"row": row, "tolerance": tolerance})
