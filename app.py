"""Start the page: ``python app.py``. On Hugging Face Spaces the same file is run as it is."""

from attn.command import build, launch, parse_settings

settings, where = parse_settings(None if __name__ == "__main__" else [])
demo = build(settings)

if __name__ == "__main__":
    launch(demo, settings, where)
