"""For notebooks: the window on a photograph in one call."""

from typing import Any

from attn.images import ImageSource
from attn.inspector import Brought, Inspection, Inspector


def show(image: ImageSource, module: Brought | None = None, *, longest_side: int = 320, **options: Any) -> Inspection:
    """The inspection of one photograph, which a notebook shows as the window, alive.

    Args:
        image, longest_side: see `Inspector.inspect`.
        module: a mechanism of your own, shown among the others under the name of its class; see `Inspector`.
        options: of `Inspector`, for example ``stage="layer2"`` or ``weights="random"``.
    """
    if module is not None:
        name = getattr(module, "__name__", type(module).__name__).lower()
        options["mechanisms"] = {**options.get("mechanisms", {}), name: module}
    return Inspector(**options).inspect(image, longest_side)
