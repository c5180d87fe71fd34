"""Text from data on its way into Markdown."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Markdown makes links of bare addresses even where every sign is escaped; an invisible
# non-breaking joiner keeps them text
_LINKS = re.compile(r"(://|www\.|@)", re.IGNORECASE)
_JOINER = "\u2060"


def as_text(value: str) -> str:
    """The value escaped, so that Streamlit's Markdown shows it letter by letter, on one line."""
    plain = _LINKS.sub(lambda found: _JOINER.join(found[0]), " ".join(value.split()))
    return _PUNCTUATION.sub(r"\\\1", plain)


def clock(hour: float) -> str:
    """An hour of the day as 08:30."""
    return f"{int(hour):02d}:{round(hour % 1 * 60):02d}"


def street_list(streets: Sequence[str], names: Mapping[str, str], longest: int = 8) -> str:
    """Streets by name; each name once, with the number of its parts.

    Args:
        streets: ids.
        names: by id; a street without one goes by its id.
        longest: names that are told; the others are counted.
    """
    parts = Counter(names.get(street) or street for street in streets)
    told = [f"{name} ({count} parts)" if count > 1 else name for name, count in parts.items()]
    rest = len(told) - longest
    return ", ".join(told[:longest]) + (f" and {rest} more" if rest > 0 else "")
