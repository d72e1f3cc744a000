"""The command: ``attention-window`` starts the page, ``attention-window photo.jpg -o photo.html`` writes a file.

`app.py` starts the same page from a checkout. The page, and Gradio with it, is imported only where it is started.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn import __version__
from attn.checkpoints import SOURCES
from attn.mechanisms.foreign import load_mechanism
from attn.stems import STAGES, STEMS

if TYPE_CHECKING:
    from gradio import Blocks

    from attn.inspector import Inspection
    from attn.ui.serving import Settings

DESCRIPTION = "See where attention looks, and which channels it weighs."
FIGURES = (".png", ".svg", ".pdf")
OUTPUTS = (".html", *FIGURES, ".npz", ".csv")
# Flags of one kind of use, by their names in the parsed arguments: the other kind refuses them.
_OF_A_FILE = ("output", "weights", "seed", "file", "file_block")
_OF_THE_PAGE = ("host", "port", "max_waiting", "mechanism", "replica", "mcp")
# Longer than clients and balancers keep an idle connection (httpx 5 s, nginx 60 s): where both close it at the same
# time, a request that is on its way is lost. uvicorn's own 5 s are httpx's.
KEEP_ALIVE_S = 75


def main(arguments: Sequence[str] | None = None) -> None:
    """Without a photograph the page, until it is stopped; with one its file."""
    parser = _parser(photographs=True)
    args = parser.parse_args(arguments)
    if args.photograph is None:
        _refuse(parser, args, _OF_A_FILE, "needs a photograph: attention-window photo.jpg -o photo.html")
        settings, where = _settings(parser, args)
        launch(build(settings), settings, where)
        return
    _refuse(parser, args, _OF_THE_PAGE, "is the page's, which a photograph does not start")
    try:
        written = write_file(args)
    except (OSError, ValueError, RuntimeError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    print(written)


def parse_settings(arguments: Sequence[str] | None = None) -> tuple[Settings, argparse.Namespace]:
    """The page's flags → its settings and, apart, where to listen."""
    parser = _parser(photographs=False)
    return _settings(parser, parser.parse_args(arguments))


def build(settings: Settings) -> Blocks:
    """The page, not started yet."""
    from attn.ui.page import build_demo

    return build_demo(settings)


def launch(demo: Blocks, settings: Settings, where: argparse.Namespace) -> None:
    """Serve the page until the process is stopped."""
    from attn.ui.serving import launch_options

    # None leaves the choice to Gradio, which reads GRADIO_SERVER_NAME and GRADIO_SERVER_PORT.
    options = launch_options()
    demo.launch(
        server_name=where.host, server_port=where.port, mcp_server=settings.mcp, prevent_thread_lock=True, **options
    )
    demo.server.config.timeout_keep_alive = KEEP_ALIVE_S  # read at each new connection; Gradio has no option for it
    demo.block_thread()


def write_file(args: argparse.Namespace) -> Path:
    """Inspect the photograph and write the file that was asked for; its path.

    Raises:
        ValueError: a suffix, a picture or options that cannot be used. OSError, RuntimeError: files, or weights, that
            cannot be had.
    """
    from attn.inspector import Inspector

    output: Path = getattr(args, "output", None) or Path(Path(args.photograph).stem + OUTPUTS[0])
    if output.suffix.lower() not in OUTPUTS:
        raise ValueError(f"expected an output of {', '.join(OUTPUTS)}, got {output.name!r}")
    options = _given(args, "stem", "stage", "weights", "seed", "file", "file_block")
    inspection = Inspector(**options).inspect(args.photograph, **_given(args, "longest_side"))
    output.write_bytes(_contents(inspection, output))
    return output


def _contents(inspection: Inspection, output: Path) -> bytes:
    from attn.figures.document import document
    from attn.figures.export import npz_bytes, query_csv, view_figure
    from attn.figures.render import figure_bytes

    suffix = output.suffix.lower()
    if suffix == ".html":
        return document(inspection, title=output.stem).encode()
    if suffix in FIGURES:
        return figure_bytes(view_figure(inspection), suffix.removeprefix("."))
    return npz_bytes(inspection) if suffix == ".npz" else query_csv(inspection).encode()


def _parser(*, photographs: bool) -> argparse.ArgumentParser:
    """The page's flags; with `photographs` the command's, which also takes one. Only what is given is set."""
    parser = argparse.ArgumentParser(
        prog="attention-window" if photographs else None,
        description=f"{DESCRIPTION} Without a photograph the page is started." if photographs else DESCRIPTION,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--version", action="version", version=__version__)
    if photographs:
        parser.add_argument("photograph", nargs="?", default=None, help="picture to inspect")
        files = parser.add_argument_group("a file of one photograph")
        files.add_argument("-o", "--output", type=Path, help=f"one of {', '.join(OUTPUTS)} (default: NAME{OUTPUTS[0]})")
        files.add_argument("--weights", choices=SOURCES, help="of the AttnBlock")
        files.add_argument("--seed", type=int, help="of random weights")
        files.add_argument("--file", type=Path, help="safetensors of a published layout, for --weights file")
        files.add_argument(
            "--file-block", help="which of the file's blocks, by its name; the only one that fits is taken"
        )
    parser.add_argument("--stem", choices=STEMS, help="network; the page opens with it")
    parser.add_argument("--stage", choices=STAGES, help="stage the network is cut at")
    parser.add_argument("--longest-side", type=int, help="pixels the photograph is scaled to")
    page = parser.add_argument_group("the page")
    page.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME, else this machine only)")
    page.add_argument(
        "--port", type=_within(1, 65535), help="port (default: GRADIO_SERVER_PORT, else the first free from 7860)"
    )
    page.add_argument("--max-waiting", type=_within(1, 300), help="requests that may wait before others are refused")
    page.add_argument(
        "--mechanism",
        action="append",
        metavar="PACKAGE.MODULE:CLASS",
        help="your own attention beside the built-in ones: a torch.nn.Module, called with the channels (repeatable)",
    )
    page.add_argument(
        "--replica",
        action="store_true",
        help="one of several processes behind a balancer: no queue in memory (let them share GRADIO_TEMP_DIR)",
    )
    page.add_argument(
        "--mcp",
        action="store_true",
        help="also serve the two endpoints as MCP tools (needs the extra “mcp”; or GRADIO_MCP_SERVER=True)",
    )
    return parser


def _settings(parser: argparse.ArgumentParser, args: argparse.Namespace) -> tuple[Settings, argparse.Namespace]:
    _prepare()
    where = argparse.Namespace(host=getattr(args, "host", None), port=getattr(args, "port", None))
    for reason in (_unwritable(), _unreachable(where)):
        if reason:
            parser.exit(1, f"{parser.prog}: {reason}\n")
    from attn.ui.serving import Settings

    mcp = getattr(args, "mcp", os.environ.get("GRADIO_MCP_SERVER", "").lower() == "true")
    if mcp and importlib.util.find_spec("mcp") is None:
        parser.error("--mcp needs: pip install -r requirements-mcp.txt, or the extra attention-window[mcp]")
    given = _given(args, "stem", "stage", "longest_side", "max_waiting")
    mechanisms = tuple(getattr(args, "mechanism", ()))
    settings = Settings(**given, queue=not hasattr(args, "replica"), mcp=mcp, mechanisms=mechanisms)
    sys.path.insert(0, str(Path.cwd()))  # where own modules lie, as `python app.py` has it
    try:
        for spec in mechanisms:
            load_mechanism(spec)
        settings.controls()
    except ValueError as error:
        parser.error(str(error))
    return settings, where


def _within(least: int, most: int) -> Callable[[str], int]:
    """What reads a whole number of that range from a flag."""

    def read(value: str) -> int:
        with contextlib.suppress(ValueError):
            if least <= int(value) <= most:
                return int(value)
        raise argparse.ArgumentTypeError(f"expected {least} to {most}, got {value}")

    return read


def _unwritable() -> str:
    """Why files cannot be stored where Gradio stores them; "" where they can."""
    folder = Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return (
            f"files cannot be stored in {folder} ({error.strerror}): set GRADIO_TEMP_DIR to a folder of your own, "
            "or free space."
        )


def _unreachable(where: argparse.Namespace) -> str:
    """Why the page cannot listen where it was asked to; "" where it can. Gradio would take the next free port."""
    host = where.host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    port = where.port or os.environ.get("GRADIO_SERVER_PORT") or 0
    try:
        if not 0 <= int(port) <= 65535:
            raise ValueError("ports end at 65535")
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        at = f"{host}, port {port}" if port else host
        return f"the page cannot listen on {at} ({reason}): choose another with --host and --port."
    return ""


def _prepare() -> None:
    """What has to be set before Gradio is imported and before many threads allocate."""
    # Nothing is sent out from a page that people show their own photographs to.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # glibc gives threads up to eight heaps a processor, and what a heap once held it keeps. With two, a hundred
    # visitors cost 1.1 GB instead of 1.3, at the same speed.
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(-8, 2)  # M_ARENA_MAX


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: value for name, value in vars(args).items() if name in names}


def _refuse(parser: argparse.ArgumentParser, args: argparse.Namespace, names: Sequence[str], why: str) -> None:
    for name in _given(args, *names):
        parser.error(f"--{name.replace('_', '-')} {why}")
