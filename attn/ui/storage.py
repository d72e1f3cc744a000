"""The files that are served: written whole or not at all, whoever asks for the same thing at the same time."""

import os
import tempfile
from pathlib import Path

from gradio.processing_utils import hash_bytes
from gradio.utils import get_upload_folder


def store(data: bytes, name: str, folder: str | None = None) -> str:
    """Path of ``data`` in Gradio's cache, or another ``folder``; the same bytes under the same name give the same path.

    What is there already may be on its way to somebody and is left alone (Gradio's `save_bytes_to_cache` writes it
    anew, which cuts it short for them), only its age starts again. A new file is written beside its place and renamed.
    """
    place = Path(folder or get_upload_folder()) / hash_bytes(data)
    path = place / Path(name).name
    try:
        os.utime(path)
        if path.stat().st_size == len(data):
            return str(path.resolve())
    except FileNotFoundError:
        pass
    place.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=place, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return str(path.resolve())
