"""The page's JavaScript as it is served: ES modules under one address that changes whenever one of them does.

What is served is listed once: the modules of ``ui/web`` and ``ui/panels`` and the texts, by their paths in ``attn``,
so that a module finds the others (and Node, a notebook or a bundle finds them on disk) by the same relative paths.
Whatever else is asked for does not exist.
"""

import hashlib
import re
from functools import cache
from pathlib import Path, PurePosixPath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PACKAGE = Path(__file__).parent.parent
SERVED = ("ui/web/*.js", "ui/panels/*/*.js", "texts/*/*.json")
ADDRESS = "gradio_api/attn"
TYPES = {".js": "text/javascript; charset=utf-8", ".json": "application/json; charset=utf-8"}


@cache
def served_files() -> dict[str, bytes]:
    """Path in this package → content, as they were when first asked for."""
    paths = sorted(path for pattern in SERVED for path in PACKAGE.glob(pattern))
    return {path.relative_to(PACKAGE).as_posix(): path.read_bytes() for path in paths}


@cache
def version() -> str:
    """A name for the content of all served files together."""
    digest = hashlib.blake2b(digest_size=8)
    for name, content in served_files().items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@cache
def imports(name: str) -> tuple[str, ...]:
    """The served modules that ``name`` imports, itself first, each once: all that must be fetched before it runs."""
    found = [name]
    for module in found:  # grows as it is read
        for relative in re.findall(r"""^(?:import|export)\b[^;]*?from '(\.[^']+)'""", _text(module), re.MULTILINE):
            path = _joined(PurePosixPath(module).parent, relative)
            if path not in found:
                found.append(path)
    return tuple(found)


def module_routes() -> list[Route]:
    """For ``launch(app_kwargs={"routes": module_routes()})``: the page's panels do not work without."""
    return [Route(f"/{ADDRESS}/{{version}}/{{name:path}}", _serve, methods=["GET", "HEAD"])]


def base_expression() -> str:
    """JavaScript for the address, as a URL, that every path of `served_files` is relative to.

    The page's own address need not end in a slash, nor be where the server is: Gradio knows where that is, and in a
    page of somebody else's its element does. Whoever asks before Gradio runs says so once for all: it may mend its
    address, and a module under two addresses would be two.
    """
    element = 'document.querySelector("gradio-app[src]")?.getAttribute("src")'
    server = f"window.gradio_config?.root ?? {element} ?? location.origin"
    path = f'new URL({server}, location.href).href.replace(/[/]*$/, "/") + "{ADDRESS}/{version()}/"'
    return f"new URL(window.attnBase ?? ({path}))"


def call(name: str, expression: str, arguments: str = "") -> str:
    """An event's ``js=`` that waits for a module and gives ``expression``, in which ``module`` is what it exports.

    An event may fire before any panel has fetched its modules.
    """
    if name not in served_files():
        raise ValueError(f"expected one of the served modules, got {name!r}")
    return (
        f"async ({arguments}) => {{ const module = await import(new URL({name!r}, {base_expression()}).href); "
        f"return {expression}; }}"
    )


async def _serve(request: Request) -> Response:
    """A file of this version for ever; of another version (a page that was open before the server changed) just now."""
    name = request.path_params["name"]
    content = served_files().get(name)
    if content is None:
        return Response(status_code=404)
    current = request.path_params["version"] == version()
    age = "public, max-age=31536000, immutable" if current else "no-store"
    return Response(content, media_type=TYPES[PurePosixPath(name).suffix], headers={"Cache-Control": age})


def _text(name: str) -> str:
    return served_files()[name].decode("utf-8")


def _joined(folder: PurePosixPath, relative: str) -> str:
    parts = list(folder.parts)
    for part in PurePosixPath(relative).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
