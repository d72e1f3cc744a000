"""A page with the channel panel, started as a process by test_channels.py."""

from functools import partial
from typing import Any

import gradio as gr
import numpy as np
import torch

from attn.checkpoints import WeightsInfo
from attn.inspector import Cost, Inspection, MechanismResult, QueryMetrics, kept
from attn.measures.attention import query_specificity
from attn.mechanisms import MECHANISMS, AttnBlock
from attn.ui.modules import module_routes
from attn.ui.panels.channels.panel import Channels, ChannelsView

STRIDE = 16


def make_inspection(channels: int, grid: tuple[int, int], seed: int = 0, *, own: bool = False) -> Inspection:
    """Smooth non-negative features with zeros among them, through mechanisms that really change them.

    own: "mine" as well, attention over positions that somebody brought: its N × N map is all that is known of it.
    """
    torch.manual_seed(seed)
    height, width = grid
    coarse = torch.randn(1, channels, 3, 3) * torch.rand(1, channels, 1, 1)
    x = torch.nn.functional.interpolate(coarse, size=grid, mode="bilinear").relu()
    modules: dict[str, Any] = {name: record.build(channels) for name, record in MECHANISMS.items()}
    modules["cam"].gamma.data.fill_(0.3)  # starts at 0: the identity
    modules["spatial"].q.weight.data *= 8  # peaked enough that queries differ
    if own:
        modules["mine"] = AttnBlock(channels)
        modules["mine"].q.weight.data *= 6
    with torch.inference_mode():
        made = {name: module(x, return_attention=True) for name, module in modules.items()}
        queries, keys = modules["spatial"].queries_keys(x)
    features, attention = x[0].numpy(), made["spatial"][1][0]
    results = {
        name: MechanismResult.measure(
            features,
            y[0].numpy(),
            name=name,
            title=modules[name].title,
            kind=modules[name].kind,
            paper=modules[name].paper,
            specificity=query_specificity(attention) if name == "spatial" else (0.0, 0.0),
            cost=Cost(sum(p.numel() for p in modules[name].parameters()), modules[name].multiply_adds(*grid), 1.5),
            source=WeightsInfo("own") if name == "mine" else WeightsInfo("random", 7),
            weigh=partial(kept, weights[0].numpy()),
        )
        for name, (y, weights) in made.items()
    }
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    nothing = np.zeros(height * width, dtype=np.float32)
    return Inspection(
        image=image.repeat(STRIDE, 0).repeat(STRIDE, 1),
        grid=grid,
        stride_px=STRIDE,
        features=features,
        queries=queries[0].numpy(),
        keys=keys[0].numpy(),
        stem_ms=1.0,
        mechanisms=results,
        query_metrics=QueryMetrics(nothing, nothing, nothing, nothing, nothing),
        specificity=query_specificity(attention),
        trace=[],
        stem="bundled",
        stage="layer3",
    )


VIEWS = {
    "first": ChannelsView.from_inspection(make_inspection(64, (6, 9))),
    "second": ChannelsView.from_inspection(make_inspection(96, (5, 4), seed=1)),
    "own": ChannelsView.from_inspection(make_inspection(64, (6, 9), seed=3, own=True)),
    "many": ChannelsView.from_inspection(make_inspection(1024, (4, 5), seed=2)),
}


def build() -> gr.Blocks:
    with gr.Blocks() as demo:
        panel = Channels(VIEWS["first"], elem_id="channels")
        for name, view in VIEWS.items():
            gr.Button(name, elem_id=f"set-{name}").click(lambda view=view: view, None, panel)
        demo.load(
            None,
            js="""() => {
                window.heard = [];
                for (const type of ['attn:query', 'attn:channel', 'attn:mechanism']) {
                    document.addEventListener(type, (event) => window.heard.push([type, event.detail]));
                }
            }""",
        )
    return demo


if __name__ == "__main__":
    build().launch(quiet=True, app_kwargs={"routes": module_routes()})
