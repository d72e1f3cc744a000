"""For notebooks: the window on a photograph in one call."""

from typing import Any

from attn.images import ImageSource
from attn.inspector import Inspection, Inspector


def show(image: ImageSource, *, longest_side: int = 320, **options: Any) -> Inspection:
    """The inspection of one photograph, which a notebook shows as the window, alive.

    Args:
        image, longest_side: see `Inspector.inspect`.
        options: of `Inspector`, for example ``stage="layer2"`` or ``weights="random"``.
    """
    return Inspector(**options).inspect(image, longest_side)
