"""The page as an MCP server, used by a real MCP client."""

import ast
import asyncio
import base64
import io
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio.media import get_image
from PIL import Image

from attn import Inspector
from tests.conftest import PATIENCE_S, ROOT

mcp = pytest.importorskip("mcp", reason="MCP is not installed (requirements-mcp.txt)")
CHEETAH = get_image("cheetah.jpg")
PRIVATE = ("show_map", "show_channels", "export_file", "show_lab")


async def use(url: str, calls: list[tuple[str, dict[str, Any]]]) -> tuple[list[Any], list[Any]]:
    """The tools that the server at ``url`` offers, and its answers to ``calls``."""
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx.AsyncClient(timeout=PATIENCE_S) as http,
        streamable_http_client(f"{url}/gradio_api/mcp/", http_client=http) as (read, write, _),
        mcp.ClientSession(read, write) as session,
    ):
        await session.initialize()
        tools = (await session.list_tools()).tools
        return tools, [await session.call_tool(name, arguments) for name, arguments in calls]


@pytest.fixture(scope="module")
def picture() -> str:
    """A photograph as MCP clients send one that is not on the web."""
    return f"data:image/jpeg;base64,{base64.b64encode(Path(CHEETAH).read_bytes()).decode()}"


def test_an_mcp_client_finds_two_described_tools_and_gets_true_answers(
    start_app: Callable[..., str], picture: str
) -> None:
    calls = [
        ("query", {"row": 3, "column": 5, "image": picture, "weights": "similarity"}),
        ("query", {"row": 99, "column": 5, "image": picture}),
        ("query", {"row": 0, "column": 0, "image": "data:image/png;base64,AAAA"}),
        ("inspect", {"image": picture, "longest_side": 64}),
        *((name, {"image": picture}) for name in PRIVATE),
    ]
    with ThreadPoolExecutor(1) as elsewhere:  # Playwright may have a loop running in this thread
        tools, answers = elsewhere.submit(lambda: asyncio.run(use(start_app("--mcp"), calls))).result()

    assert sorted(tool.name for tool in tools) == ["inspect", "query"]
    for tool in tools:
        assert tool.description
        assert all(argument.get("description") for argument in tool.inputSchema["properties"].values())

    told, drawn, _ = answers[0].content
    encoding = Inspector("bundled", "layer3", weights="similarity").encode(CHEETAH)
    expected = encoding.attention_rows([3 * encoding.grid[1] + 5])[0]
    np.testing.assert_allclose(np.ravel(ast.literal_eval(told.text)["attention"]), expected, atol=1e-5)
    with Image.open(io.BytesIO(base64.b64decode(drawn.data))) as opened:
        assert opened.size == encoding.image.shape[1::-1]
    assert answers[1].isError
    assert "Row must be a whole number from 0 to 26" in answers[1].content[0].text
    assert answers[2].isError
    assert "Traceback" not in answers[2].content[0].text
    assert ast.literal_eval(answers[3].content[0].text)["grid"] == [5, 8]
    for refused in answers[4:]:
        assert refused.isError
        assert "Unknown tool" in refused.content[0].text


def test_without_the_extra_the_flag_says_what_to_install(tmp_path: Path) -> None:
    # A Python that finds everything but mcp.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'mcp' else found(name, *rest)\n"
    )
    ran = subprocess.run(
        [sys.executable, "app.py", "--mcp"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == 2
    assert "--mcp needs: pip install -r requirements-mcp.txt" in ran.stderr
