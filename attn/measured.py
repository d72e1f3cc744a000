"""What was measured of the bundled weights, read from the figures that lie beside them.

``figures.json`` is written by ``python -m attn.training.figures``: {stage: {detail: {"rows": […], "paired": […], …}}}.
Every number of a text that speaks of these comes from here.
"""

import json
from typing import Any

from attn.bundled import WEIGHTS_DIR
from attn.stems import DETAILS

FIGURES = WEIGHTS_DIR / "figures.json"
WITHOUT_WEIGHTS = ("rgb", "distance", "people")  # rows that are the same whatever the network has learnt
# Of a row, and of a difference between two rows on the same photographs.
_ROW = ("mechanism", "auc", "low", "high", "photographs", "parameters", "multiply_adds")
_DIFFERENCE = ("mechanism", "difference", "low", "high", "photographs")


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


def measured_records() -> list[dict[str, Any]]:
    """A record for each stage, detail and kind of weights that was measured, deeper stages first.

    ``rows`` have the grouping AUC with its 95 % interval; ``paired`` the mean of AttnBlock with position − row over the
    photographs, with the interval of that difference, empty where it was not measured. ``detail`` is "" where the file
    does not say; ``weights`` is "trained" or "tuned". Nothing where the file is missing.
    """
    records = []
    for stage, whole in sorted(measured_stages().items(), reverse=True):
        details = {detail: whole[detail] for detail in DETAILS if detail in whole} or {"": whole}
        for detail, one in details.items():
            for weights, each in (("trained", one), ("tuned", one.get("tuned"))):
                if not each:
                    continue
                records.append(
                    {
                        "stage": stage,
                        "detail": detail,
                        "weights": weights,
                        "longest_side": whole["longest_side"],
                        "rows": [{key: row.get(key) for key in _ROW} for row in each["rows"]],
                        "paired": [{key: row.get(key) for key in _DIFFERENCE} for row in each.get("paired", ())],
                    }
                )
    return records


def measured_rows(stage: str, detail: str, weights: str = "trained") -> dict[str, dict[str, Any]]:
    """Row name → {"auc", "low", "high", "photographs", "parameters", "multiply_adds"}, in the file's order.

    ``weights`` is "trained" or "tuned"; with the tuned ones stand the yardsticks that no weights change. {} where none
    were measured.
    """
    found = measured(stage, detail)
    rows = {row["mechanism"]: row for row in found.get("rows", ())}
    if weights == "trained":
        return rows
    tuned = {row["mechanism"]: row for row in found.get("tuned", {}).get("rows", ())}
    if not tuned:
        return {}
    beside = {name: tuned.get(name, row) for name, row in rows.items() if name in tuned or name in WITHOUT_WEIGHTS}
    return beside | tuned


def position_gain(stage: str, detail: str) -> float | None:
    """What the 2-D encoding adds to the AttnBlock's grouping AUC; None where that was not measured."""
    rows = measured_rows(stage, detail)
    if not {"attn", "attn_position"} <= rows.keys():
        return None
    return float(rows["attn_position"]["auc"] - rows["attn"]["auc"])
