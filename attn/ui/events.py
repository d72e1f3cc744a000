"""How an event of the page is answered: in its turn, and in words where it cannot be.

What is known to happen, such as nothing chosen yet, a picture that cannot be read or a busy server, is an answer with a
notice that stays. An error would make Gradio's page forget the event that waits behind it, and with it a photograph.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from attn.errors import PlainError
from attn.ui.controls import CONTROLS, Controls
from attn.ui.turns import Caller, Turns
from attn.ui.wording import notice, worded

# A panel's value for what cannot be answered.
Refused = Callable[[PlainError], Any]


class Events:
    """Answers to the events whose inputs are `CONTROLS` and whose last output is the banner for notices.

    A function gets the controls, checked, and gives the values of ``outputs`` components, or those and a notice. What
    cannot be answered is a notice, or what ``refused`` makes of it: a panel that waits for its answer says it itself.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def on_controls(
        self,
        function: Callable[..., Any],
        outputs: int,
        *,
        refused: Refused | None = None,
        set_back: Callable[[Any], list[Any]] | None = None,
        tells: bool = False,
    ) -> Callable[..., Any]:
        """``function`` as an answer; the download of a network's weights shows as a bar on the page.

        With ``set_back`` the last input is what is shown, and further outputs follow the banner: where the answer is a
        refusal they get what ``set_back`` makes of it, else they stay. With ``tells`` the function gets that input,
        too, before the controls.
        """

        async def answer(
            request: gr.Request,
            progress: gr.Progress = gr.Progress(track_tqdm=True),  # noqa: B008 - Gradio's way
            *values: Any,
        ) -> list[Any]:
            back = set_back(values[-1]) if set_back else []
            shown = (values[-1],) if tells else ()
            return await self._answer(function, shown, values, outputs, request, refused, back)

        return answer

    def on_request(
        self,
        function: Callable[[Mapping[str, Any], Controls], Any],
        outputs: int,
        *,
        quick: bool = False,
        refused: Refused | None = None,
    ) -> Callable[..., Any]:
        """The same where the page's script sends a record of its own; what is ``quick`` takes no turn."""

        async def answer(request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
            asked = event._data if isinstance(event._data, dict) else {}
            return await self._answer(function, (asked,), values, outputs, None if quick else request, refused)

        return answer

    async def _answer(
        self,
        function: Callable[..., Any],
        asked: tuple[Any, ...],
        values: Sequence[Any],
        outputs: int,
        request: gr.Request | None,
        refused: Refused | None,
        back: Sequence[Any] = (),
    ) -> list[Any]:
        controls = Controls.read(values[: len(CONTROLS)])
        try:
            checked = controls.checked()
            if request is None:
                answer = function(*asked, checked)
            else:
                caller = Caller.of(request, request.session_hash)
                answer = await self._turns.run(function, *asked, checked, caller=caller, large=checked.large)
        except PlainError as error:
            if refused is not None:
                return [refused(error), gr.skip()]
            return [*[gr.skip()] * outputs, notice(worded(error, controls.language)), *back]
        answers = list(answer) if isinstance(answer, tuple | list) else [answer]
        return [*answers, *[gr.skip()] * (outputs + 1 - len(answers) + len(back))]
