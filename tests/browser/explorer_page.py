"""A page with two explorers and a lane, started as a process by test_explorer_browser.py."""

import json
import threading
from typing import Any

import gradio as gr
import numpy as np

from attn.ui.controls import ControlError
from attn.ui.modules import module_routes
from attn.ui.panels.explorer.panel import Explorer, ExplorerNotice, ExplorerRest, ExplorerView
from attn.ui.panels.lane.panel import ChannelLane, LaneRefused

GRID = (12, 16)
STRIDE = 16


def make_view(grid: tuple[int, int], channels: int, seed: int = 0, **changes: Any) -> ExplorerView:
    """Smooth random factors: every position attends to some region, none to all."""
    generator = np.random.default_rng(seed)
    rows, cols = np.indices(grid).reshape(2, -1) / np.array(grid)[:, None]
    waves = generator.normal(size=(2, channels)) * 6
    features = np.cos(np.outer(rows, waves[0]) + np.outer(cols, waves[1]) + generator.uniform(0, 6, channels))
    queries, keys = (features + generator.normal(size=features.shape) * 0.2 for _ in range(2))
    image = generator.integers(0, 256, (grid[0], grid[1], 3), dtype=np.uint8).repeat(STRIDE, 0).repeat(STRIDE, 1)
    arrays = (queries * 5 / channels).astype(np.float32), keys.astype(np.float32)
    return ExplorerView(image, grid, STRIDE, *arrays, **({"weights": {"source": "trained"}} | changes))


FIRST = make_view(GRID, 128)
VALUES = {
    "first": FIRST,
    "28": make_view((28, 28), 512, seed=1),
    "40": make_view((40, 40), 32, seed=3),
    "64": make_view((64, 64), 32, seed=2),
    "restored": make_view(GRID, 128, view="q2.3~p4.5_6.7~dcolumn~t0.5"),
    "error": ExplorerNotice("The photograph is too large."),
    # One query's logits; the rest when it is asked for and let go, or never.
    "later": make_view((10, 14), 32, seed=6, key="later", whole=False),
    "latest": make_view((14, 10), 32, seed=7, key="latest", whole=False, view="q2.3~p4.5"),
    "never": make_view((8, 9), 32, seed=8, key="never", whole=False),
}


def build() -> gr.Blocks:
    with gr.Blocks() as demo:
        first = Explorer(FIRST, elem_id="first")
        Explorer(make_view(GRID, 128, seed=5, weights={"source": "random", "seed": 7}), elem_id="second")
        for name, value in VALUES.items():
            gr.Button(name, elem_id=f"set-{name}").click(lambda value=value: value, None, first)
        lane, refusal = ChannelLane(elem_id="lane"), LaneRefused(ControlError("page.notice.no_image"))
        gr.Button("refuse", elem_id="refuse").click(lambda: refusal, None, lane)
        told = gr.Textbox(elem_id="told")
        lane.again(lambda: "again", None, told)
        let_go = threading.Event()
        asked: list[str] = []

        def rest(event: gr.EventData) -> ExplorerRest | ExplorerNotice:
            key = event._data["key"]
            asked.append(key)
            if key == "never":
                return ExplorerNotice("", state="lacking")
            let_go.wait(60)
            return ExplorerRest(VALUES[key].queries, VALUES[key].keys, key)

        first.rest(rest, None, first, show_progress="hidden")
        gr.Button("hold", elem_id="hold").click(let_go.clear)
        gr.Button("let go", elem_id="let-go").click(let_go.set)
        gr.Button("asked", elem_id="asked").click(lambda: json.dumps(asked), None, told)

        def tell(event: gr.EventData) -> str:
            return json.dumps(event._data)

        first.export(tell, None, told)
    return demo


if __name__ == "__main__":
    build().launch(quiet=True, app_kwargs={"routes": module_routes()})
