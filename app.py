"""Start the page: ``python app.py``. On Hugging Face Spaces the same file is run as it is."""

import argparse
import contextlib
import ctypes
import importlib.util
import os
import sys

# Before Gradio is imported: nothing is sent out from a page that people show their own photographs to.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Before anything is allocated by many threads: glibc gives them up to eight heaps a processor, and what a heap once
# held it keeps. With two, a hundred visitors cost 1.1 GB instead of 1.3, at the same speed.
if sys.platform == "linux":
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(-8, 2)  # M_ARENA_MAX

from attn.stems import STAGES, STEMS
from attn.ui.page import Settings, build_demo, launch_options


def parse_settings(arguments: list[str] | None = None) -> tuple[Settings, argparse.Namespace]:
    """Flags → the page's settings and, apart, where to listen."""
    defaults = Settings()
    parser = argparse.ArgumentParser(description="See where attention looks, and which channels it weighs.")
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME, else this machine only)")
    parser.add_argument("--port", type=int, help="port (default: GRADIO_SERVER_PORT, else the first free from 7860)")
    parser.add_argument("--stem", choices=STEMS, default=defaults.stem, help="network the page opens with")
    parser.add_argument("--stage", choices=STAGES, default=defaults.stage, help="stage the network is cut at")
    parser.add_argument(
        "--longest-side", type=int, default=defaults.longest_side, help="pixels the photograph is scaled to"
    )
    parser.add_argument(
        "--max-waiting", type=int, default=defaults.max_waiting, help="requests that may wait before others are refused"
    )
    parser.add_argument(
        "--replica",
        action="store_true",
        help="one of several processes behind a balancer: no queue in memory (let them share GRADIO_TEMP_DIR)",
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=os.environ.get("GRADIO_MCP_SERVER", "").lower() == "true",
        help="also serve the two endpoints as MCP tools (needs requirements-mcp.txt; or GRADIO_MCP_SERVER=True)",
    )
    args = parser.parse_args(arguments)
    if args.mcp and importlib.util.find_spec("mcp") is None:
        parser.error("--mcp needs: pip install -r requirements-mcp.txt")
    settings = Settings(args.stem, args.stage, args.longest_side, not args.replica, args.max_waiting, args.mcp)
    try:
        settings.view()
    except ValueError as error:
        parser.error(str(error))
    return settings, args


settings, where = parse_settings(None if __name__ == "__main__" else [])
demo = build_demo(settings)

if __name__ == "__main__":
    # None leaves the choice to Gradio, which reads GRADIO_SERVER_NAME and GRADIO_SERVER_PORT.
    demo.launch(server_name=where.host, server_port=where.port, mcp_server=settings.mcp, **launch_options())
