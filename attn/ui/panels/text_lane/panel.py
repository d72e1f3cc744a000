"""The text lane: attention along a sentence of the reader's own, with and without its order."""

from __future__ import annotations

from typing import Any

import gradio as gr

from attn.sentence import MAX_CHARACTERS, MAX_TOKENS, shuffle_sentence, tokenize
from attn.ui.component import component_files


class TextLane(gr.HTML):
    """Type a sentence, point at a token, shuffle the words: attention along a sequence, with and without its order."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            "", apply_default_css=False, server_functions=[text_view], **component_files("text_lane"), **arguments
        )


def text_view(request: dict[str, Any]) -> dict[str, Any]:
    """What the text lane shows for {"sentence": str, "seed": int}: see `SentenceShuffle`.

    tokens in order; order: shuffled position → original; used and found: how many tokens there are and how many of
    them are looked at; without, with: attention and shuffled maps, and the errors.
    """
    sentence = str(request.get("sentence", ""))[:MAX_CHARACTERS]
    seed = int(request.get("seed", 0)) % 2**31
    found = tokenize(sentence)
    tokens = found[:MAX_TOKENS]
    answer: dict[str, Any] = {"tokens": tokens, "found": len(found), "seed": seed}
    if tokens:
        for name, strength in (("without", 0.0), ("with", 1.0)):
            result = shuffle_sentence(tokens, seed, strength)
            answer["order"] = result.order.tolist()
            answer[name] = {
                "attention": result.attention.round(7).tolist(),
                "shuffled": result.shuffled.round(7).tolist(),
                "output_error": result.output_error,
                "attention_error": result.attention_error,
            }
    return answer
