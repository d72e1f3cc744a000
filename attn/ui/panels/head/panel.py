"""The page's head: what it claims, its places, the start of the story, the language."""

from typing import Any

import gradio as gr

from attn.texts import LANGUAGES
from attn.ui.component import component_files


class Head(gr.HTML):
    """The head as a component; `.language(...)` carries {"code": …} when the reader chooses another.

    Its script marks the page with the place that is open (``data-place`` on Gradio's container) and tells the others
    with ``attn:place``; ``attn:go`` opens one, ``attn:story`` starts the story.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            {"languages": LANGUAGES},
            apply_default_css=False,
            **component_files("head", ["language", "reference"]),
            **arguments,
        )

    def postprocess(self, value: Any) -> Any:
        """The value as it is: gr.HTML expects a string."""
        return value

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value (gr.HTML says "string")."""
        return {"type": "object"}
