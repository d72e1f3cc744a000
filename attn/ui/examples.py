"""The page's example photographs: pictures that installed packages carry, so nothing is bundled or downloaded."""

from importlib.util import find_spec
from pathlib import Path

from gradio.media import get_image
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

OPENING = "lion"
# Where an example is asked from first, on whatever grid: the lion's nose. The others are asked from the middle.
STARTS = {"lion": {"row": 13, "col": 19, "rows": 40, "cols": 40}}
# Beside matplotlib's data, which are found without importing it: the page does without until a figure is saved.
_matplotlib = find_spec("matplotlib")
assert _matplotlib is not None  # a requirement
assert _matplotlib.origin is not None
# Name → path in Gradio's cache, the only place besides the working directory that Gradio serves files from.
EXAMPLES = {
    name: save_file_to_cache(path, get_upload_folder())
    for name, path in {
        "lion": get_image("lion.jpg"),
        "cheetah": get_image("cheetah.jpg"),
        "tower": get_image("tower.jpg"),
        "hopper": Path(_matplotlib.origin).with_name("mpl-data") / "sample_data" / "grace_hopper.jpg",
    }.items()
}
