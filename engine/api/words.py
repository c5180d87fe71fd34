"""Times and units in words."""

from engine.domain import FieldSeries

_RATES = ("km/h", "mph", "share", "µg/m³")
"""Units that do not grow with the length of a step."""


def step_text(step_s: float) -> str:
    """The length of a step in words, for example ``30 min``."""
    minutes = step_s / 60
    return f"{minutes:g} min" if minutes < 60 else f"{minutes / 60:g} h"


def unit_text(field: FieldSeries) -> str:
    """A field's unit, with the length of a step where values are counts of a step."""
    if field.unit in _RATES:
        return field.unit
    return f"{field.unit} per {step_text(field.step.total_seconds())}"
