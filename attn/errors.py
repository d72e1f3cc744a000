"""Errors meant for a person: a key of `attn.texts` and its values, worded in whatever language is asked for."""

from attn.texts import text


class PlainError(Exception):
    """Something a person can mend, said in one sentence.

    ``key`` names the sentence in `attn.texts` (`reasons.json` for what modules below the page raise), ``values`` fill
    its places. ``str(error)`` is the English; the page asks for `sentence` in the person's language. Subclasses also
    inherit from the built-in error that they are: ``class ImageError(PlainError, ValueError)``.
    """

    # Exception.__init__ is left alone: `args` stay those of the call, from which pickle makes the error anew.
    def __init__(self, key: str, **values: object) -> None:
        self.key = key
        self.values = values

    def sentence(self, language: str = "en") -> str:
        """The error in ``language``, a code of `attn.texts.LANGUAGES`."""
        return text(language, self.key, **self.values)

    def __str__(self) -> str:
        return self.sentence()


class Note:
    """One sentence that stands beside a result without being an error: a key of `attn.texts` and its values."""

    def __init__(self, key: str, **values: object) -> None:
        self.key = key
        self.values = values

    def sentence(self, language: str = "en") -> str:
        """The note in ``language``."""
        return text(language, self.key, **self.values)

    def __repr__(self) -> str:
        return f"Note({self.sentence()!r})"
