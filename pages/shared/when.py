"""Choosing a day and hours of a simulated city, as several pages ask for them."""

from dataclasses import dataclass
from datetime import date, timedelta

import streamlit as st

from engine import api
from pages.shared.text import clock

HALF_HOURS = tuple(half / 2 for half in range(49))


@dataclass(frozen=True)
class WhenHelp:
    """What the question marks say.

    Args:
        day: beside the day.
        hours: beside the hours, after the time zone.
    """

    day: str
    hours: str


def choose_when(
    city: api.City, prefix: str, default: tuple[float, float], words: WhenHelp
) -> tuple[date, tuple[float, float]]:
    """A day of the city and hours of it, at least half an hour.

    Args:
        city: a simulated city.
        prefix: of the choices' keys, of this page alone.
        default: hours to begin with.
        words: what the question marks say.
    """
    first, last = api.simulated_days(city)
    day = st.date_input(
        "Day",
        value=min(first + timedelta(days=8), last),
        min_value=first,
        max_value=last,
        format="YYYY-MM-DD",
        key=f"{prefix}day-{city.id}",
        persist_state="session",
        help=words.day,
    )
    begin, end = st.select_slider(
        "Hours",
        HALF_HOURS,
        default,
        format_func=clock,
        key=f"{prefix}hours-{city.id}",
        persist_state="session",
        help=f"Local time, {city.metadata.timezone}. {words.hours}",
    )
    chosen = day if isinstance(day, date) else first
    begin = min(begin, 23.5)
    return chosen, (begin, max(end, begin + 0.5))
