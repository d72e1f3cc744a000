"""The page's example photographs: pictures that installed packages carry, so nothing is bundled or downloaded."""

from pathlib import Path

from gradio.media import get_image
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from matplotlib import get_data_path

OPENING = "lion"
# Name → path in Gradio's cache, the only place besides the working directory that Gradio serves files from.
EXAMPLES = {
    name: save_file_to_cache(path, get_upload_folder())
    for name, path in {
        "lion": get_image("lion.jpg"),
        "cheetah": get_image("cheetah.jpg"),
        "tower": get_image("tower.jpg"),
        "hopper": Path(get_data_path()) / "sample_data" / "grace_hopper.jpg",
    }.items()
}
