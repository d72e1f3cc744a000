"""The window's map with the transposition and the story, started as a process by test_story_browser.py."""

import gradio as gr
from gradio.media import get_image

from attn.inspector import Inspector
from attn.ui.modules import module_routes
from attn.ui.panels.explorer.panel import Explorer, ExplorerView
from attn.ui.panels.story.panel import Story, StoryView, story_view
from attn.ui.panels.transposition.panel import Transposition, TranspositionView
from attn.ui.serving import CSS

SIDE = 160


def build_views() -> tuple[ExplorerView, TranspositionView, StoryView]:
    inspector = Inspector(detail="coarse")
    inspection = inspector.inspect(get_image("lion.jpg"), SIDE)
    explorer = ExplorerView(
        image=inspection.image,
        grid=inspection.grid,
        stride_px=inspection.stride_px,
        queries=inspection.queries,
        keys=inspection.keys,
        weights={"source": "trained"},
        key=inspection.key,
    )
    channels = inspection.mechanisms["xca"].weights
    assert channels is not None
    turned = TranspositionView(
        inspection.features, inspection.queries, inspection.keys, inspection.attention, channels, 1e-7
    )
    return explorer, turned, story_view(inspection, inspector, inspection.key)


def build() -> gr.Blocks:
    explorer, turned, story = build_views()
    with gr.Blocks() as demo:
        Explorer(explorer)
        Transposition(turned)
        Story(story)
    return demo


if __name__ == "__main__":
    build().launch(app_kwargs={"routes": module_routes()}, css=CSS)
