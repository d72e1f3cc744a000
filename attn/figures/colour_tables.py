"""matplotlib's colour maps for the browser: every one of their 256 colours, in less than 4 kB of JavaScript.

``python -m attn.figures.colour_tables`` writes the file anew.
"""

from pathlib import Path

import matplotlib
import numpy as np

# The page's name → matplotlib's.
COLOUR_MAPS = {"viridis": "viridis", "magma": "magma", "cividis": "cividis", "grey": "gray", "diverging": "RdBu_r"}
MODULE = Path(__file__).parent.parent / "ui" / "web" / "colour_tables.js"
STAYS = ord("P")  # neighbouring colours differ by −3 … 4, so that each step is one letter


def colour_tables_module() -> str:
    """The text of ``colour_tables.js``: each map's first colour, then a letter a step, red, green and blue in turn
    (once where all three are the same).

    A letter's distance from P is what a channel rises from one level to the next; `colours.js` adds them up.
    """
    tables = [f"  {name}: {_table(theirs)}," for name, theirs in COLOUR_MAPS.items()]
    head = "// matplotlib's colour maps, written by attn/figures/colour_tables.py; read by colours.js."
    return "\n".join([head, "export const TABLES = {", *tables, "};", ""])


def _table(name: str) -> str:
    colours = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3].astype(int)  # (level, channel)
    rises = np.diff(colours, axis=0).T  # (channel, step)
    steps = "".join(chr(STAYS + step) for step in (rises[:1] if (rises == rises[0]).all() else rises).ravel())
    return f"{{ first: {colours[0].tolist()}, steps: '{steps}' }}"


if __name__ == "__main__":
    MODULE.write_text(colour_tables_module(), encoding="utf-8")
