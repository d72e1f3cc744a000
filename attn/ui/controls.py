"""The state of the page's controls: one record, which checks itself.

Gradio hands values over by their place, everything here goes by name; `Controls.read` and `Controls.values` are the one
spot where the two meet. A new control is a field here and a component of the same name in `attn.ui.page`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from attn.checkpoints import SOURCES, has_trained, has_tuned
from attn.errors import PlainError
from attn.stems import BUNDLED_STAGES, DETAILS, STAGES, STEMS, stride_px
from attn.texts import LANGUAGES, text
from attn.ui.examples import EXAMPLES
from attn.ui.wording import in_short

MAX_ROWS = 64
MAX_SEED = 2**31 - 1
MIN_SIDE, MAX_SIDE = 64, 1024
# Positions above which an inspection waits for the turn of the large ones: the page's default just does not.
LARGE = 40 * 40


class ControlError(PlainError, ValueError):
    """A value that a control cannot have; ``name`` among the error's values is the control's."""

    def sentence(self, language: str = "en") -> str:
        """The error in ``language``, the control under its label there."""
        values = dict(self.values)
        if "name" in values:
            values["name"] = text(language, f"page.{values['name']}")
        return text(language, self.key, **values)


@dataclass(frozen=True)
class Controls:
    """Every control of the page as it stands; the order of the fields is the order in which the page sends them.

    photograph: path of the uploaded file. example: its name if it is one of the page's own, else "".
    detail: how fine the grid of positions is. longest_side: in pixels.
    position: the trained block's 2-D encoding. seed: of random weights.
    file: path of an uploaded weights file; file_block: which of its blocks, "" for the only one that fits.
    second: path of an uploaded photograph in which the first one's queries look.
    """

    language: str = "en"
    photograph: str | None = None
    example: str = ""
    stem: str = "bundled"
    stage: str = "layer3"
    detail: str = "fine"
    longest_side: int = 320
    weights: str = "tuned"
    position: bool = True
    seed: int = 0
    file: str | None = None
    file_block: str = ""
    second: str | None = None

    @classmethod
    def read(cls, values: Sequence[Any]) -> Controls:
        """The record of the values that an event of the page sent, unchecked."""
        controls = cls(*values)
        return replace(controls, language=known_language(controls.language))

    def values(self) -> list[Any]:
        """What the components are set to, in the page's order."""
        return [getattr(self, name) for name in CONTROLS]

    def checked(self) -> Controls:
        """The same with whole numbers as int: programs may send anything.

        Raises:
            ControlError: a value out of its range, or two that do not go together.
        """
        choices: dict[str, tuple[object, ...]] = {
            "example": ("", *EXAMPLES),
            "stem": STEMS,
            "stage": STAGES,
            "detail": DETAILS,
            "weights": SOURCES,
            "position": (True, False),
        }
        for name, allowed in choices.items():
            check_choice(name, getattr(self, name), allowed)
        longest_side = whole_number("longest_side", self.longest_side, MIN_SIDE, MAX_SIDE)
        seed = whole_number("seed", self.seed, 0, MAX_SEED)
        if self.stem == "bundled" and self.stage not in BUNDLED_STAGES:
            raise ControlError("page.error.bundled_stage", stage=self.stage, last=BUNDLED_STAGES[-1])
        if self.weights == "file" and not self.file:
            raise ControlError("page.error.file")
        block = self.file_block or ""
        if not isinstance(block, str):
            raise ControlError(
                "page.error.choice", name="file_block", allowed="decoder.mid.attn_1", value=in_short(block)
            )
        return replace(self, longest_side=longest_side, seed=seed, position=bool(self.position), file_block=block)

    @property
    def large(self) -> bool:
        """Whether an inspection may take seconds; of `checked` controls."""
        positions = (self.longest_side // stride_px(self.stage, self.detail)) ** 2
        return positions > LARGE or self.detail == "finest"

    def settled(self) -> Controls:
        """What is inspected: the controls that make no difference at their default, so that equal questions are equal.

        "tuned" becomes "trained" where nothing was tuned, and that "similarity" where there are no trained weights; the
        caller says so.
        """
        trained = has_trained(self.stem, self.stage)
        weights = self.weights
        if weights == "tuned" and not has_tuned(self.stem, self.stage):
            weights = "trained"
        if weights == "trained" and not trained:
            weights = "similarity"
        default = Controls()
        return replace(
            self,
            language=default.language,
            example=default.example,
            weights=weights,
            position=self.position and weights in ("trained", "tuned"),
            # Without trained weights the channel mechanisms are random, too.
            seed=self.seed if weights == "random" or not trained else default.seed,
            file=self.file if weights == "file" else None,
            file_block=self.file_block if weights == "file" else "",
            second=None,
        )


CONTROLS = tuple(field.name for field in fields(Controls))


def stages_of(stem: str) -> list[str]:
    """The stages at which a network can be cut."""
    return list(BUNDLED_STAGES if stem == "bundled" else STAGES)


def known_language(code: object) -> str:
    """``code`` if the page speaks it, else English."""
    return code if isinstance(code, str) and code in LANGUAGES else "en"


def check_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """ControlError where ``value`` is none of ``allowed``; ``name`` is the control's."""
    if value not in allowed:
        listed = [str(choice) for choice in allowed if choice != ""]
        raise ControlError("page.error.choice", name=name, allowed=listed, value=in_short(value))


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """``value`` as an int from ``low`` to ``high``; ``name`` is the control's.

    Raises:
        ControlError: anything else, NaN and booleans included.
    """
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not low <= value <= high or value % 1:  # type: ignore[operator]
        raise ControlError("page.error.number", name=name, low=low, high=high, value=in_short(value))
    return int(value)  # type: ignore[call-overload]
