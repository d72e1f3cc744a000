"""What was measured of the bundled weights, read from the figures that lie beside them.

``figures.json`` is written by ``python -m attn.training.figures``: {stage: {detail: {"rows": […], "paired": […], …}}}.
Every number of a text that speaks of these comes from here.
"""

import json
from typing import Any

from attn.bundled import WEIGHTS_DIR

FIGURES = WEIGHTS_DIR / "figures.json"


def measured(stage: str, detail: str) -> dict[str, Any]:
    """What was measured at a stage and detail: "rows", one a mechanism, and what stands beside them; {} if nothing."""
    of_stage = measured_stages().get(stage, {})
    return dict(of_stage.get(detail, of_stage if "rows" in of_stage else {}))


def measured_stages() -> dict[str, Any]:
    """The whole file; {} where it is missing."""
    try:
        return dict(json.loads(FIGURES.read_text("utf-8")))
    except OSError:
        return {}


def measured_rows(stage: str, detail: str) -> dict[str, dict[str, Any]]:
    """Row name → {"auc", "low", "high", "photographs", "parameters", "multiply_adds"}, in the file's order."""
    return {row["mechanism"]: row for row in measured(stage, detail).get("rows", ())}


def position_gain(stage: str, detail: str) -> float | None:
    """What the 2-D encoding adds to the AttnBlock's grouping AUC; None where that was not measured."""
    rows = measured_rows(stage, detail)
    if not {"attn", "attn_position"} <= rows.keys():
        return None
    return float(rows["attn_position"]["auc"] - rows["attn"]["auc"])
