"""Text from data on its way into Markdown."""

import re

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def as_text(value: str) -> str:
    """The value escaped, so that Streamlit's Markdown shows it letter by letter, on one line."""
    return _PUNCTUATION.sub(r"\\\1", " ".join(value.split()))
