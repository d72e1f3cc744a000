"""Start the page: ``python app.py``. On Hugging Face Spaces the same file is run as it is."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - older ones would end in a traceback of the imports below
    sys.exit(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}.")

from attn.command import build, launch, parse_settings

settings, where = parse_settings(None if __name__ == "__main__" else [])
demo = build(settings)

if __name__ == "__main__":
    launch(demo, settings, where)
