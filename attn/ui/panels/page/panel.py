"""The bar over the window, and the page's own script."""

import base64
import io
import json
from functools import cache
from html import escape
from typing import Any

import gradio as gr
from PIL import Image, ImageOps

from attn.stems import DETAILS, STAGES, stride_px
from attn.ui.component import component_files
from attn.ui.examples import EXAMPLES

THUMBNAIL = (108, 80)  # twice the size at which it is shown


class Bridge(gr.HTML):
    """The bar: examples, the settings' button, the link; its script keeps the address in step with what is shown.

    Its value is what the address holds of the controls, with ``photograph``, a name for the picture that is no part of
    it. `.command(...)` carries the controls that the page's script asks for, `.bench(...)` that the bench is looked at
    and has not been filled since the controls changed, `.take()` that a photograph was brought, `.kept()` that it was
    sent again, larger, `.back()` that an older one's map came after its own: see photograph.js.
    """

    def __init__(self, value: dict[str, Any] | None = None, **arguments: Any) -> None:
        files = component_files("page", ["command", "bench", "take", "kept", "back"])
        opening = escape(json.dumps(value or {}), quote=True)
        strides = {stage: {detail: stride_px(stage, detail) for detail in DETAILS} for stage in STAGES}
        files["html_template"] = (
            files["html_template"]
            .replace("<!-- examples -->", _example_buttons())
            .replace(
                'class="attn-page"',
                f'class="attn-page" data-opening="{opening}" data-strides="{escape(json.dumps(strides))}"',
            )
        )
        super().__init__(value, apply_default_css=False, **files, **arguments)

    def postprocess(self, value: Any) -> Any:
        """The value as it is: gr.HTML expects a string."""
        return value

    def api_info(self) -> dict[str, Any]:
        """The JSON schema of the value (gr.HTML says "string")."""
        return {"type": "object"}


@cache
def _example_buttons() -> str:
    """A button an example, its thumbnail within: the bar stands before anything else has arrived."""
    buttons = []
    for name, path in EXAMPLES.items():
        with Image.open(path) as picture:
            small = ImageOps.fit(picture.convert("RGB"), THUMBNAIL, Image.Resampling.LANCZOS)
        data = io.BytesIO()
        small.save(data, "JPEG", quality=72)
        source = f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
        width, height = (side // 2 for side in THUMBNAIL)
        picture_tag = f'<img src="{source}" width="{width}" height="{height}" alt="">'
        buttons.append(f'<button type="button" data-example="{name}">{picture_tag}</button>')
    return "".join(buttons)
