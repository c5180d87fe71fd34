"""The kinds of tour that make up a day's demand: how many, when, and how days and weather matter.

A tour is what one car does: it comes to a place and leaves it again, or only passes. The numbers
are assumptions that give plausible profiles, as the figures of the embedded city show.
"""

from dataclasses import dataclass
from enum import StrEnum

from engine.simulation.calendar import DayType

Mixture = tuple[tuple[float, float, float], ...]
"""Normal components: share, mean and standard deviation in hours."""


class Purpose(StrEnum):
    """Why a trip is made, as the trajectories carry it."""

    THROUGH = "through"
    WORK = "work"
    HOME = "home"
    STUDY = "study"
    SHOPPING = "shopping"
    LEISURE = "leisure"
    BUSINESS = "business"
    EVENT = "event"


PURPOSES = tuple(Purpose)


class Place(StrEnum):
    """Where a leg of a tour can begin or end."""

    GATE = "gate"
    HOMES = "homes"
    JOBS = "jobs"
    STUDY = "study"
    LEISURE = "leisure"


@dataclass(frozen=True)
class TourKind:
    """One kind of tour.

    Args:
        number: part of the trips' keys; never changes.
        name: for people.
        count: tours on a dry working day at volume 1.
        places: where the tour goes, in order.
        purposes: why, one for each leg.
        times: departure of the first leg on working days.
        free_times: the same on Saturdays, Sundays and holidays.
        stay_h: mean and standard deviation of the stay at each stop, hours.
        day_factor: demand by day type, in the order of :class:`DayType`.
        rain_factor: demand while it rains.
        warmth: relative change of demand per degree above 14 °C.
    """

    number: int
    name: str
    count: int
    places: tuple[Place, ...]
    purposes: tuple[Purpose, ...]
    times: Mixture
    free_times: Mixture
    stay_h: tuple[float, float]
    day_factor: tuple[float, float, float, float, float]
    rain_factor: float = 1.0
    warmth: float = 0.0

    def factor(self, day_type: DayType) -> float:
        """Demand on a day of that type, relative to a working day."""
        return self.day_factor[list(DayType).index(day_type)]


WORK_DAY = (1.0, 0.86, 0.16, 0.07, 0.08)
MORNING: Mixture = ((0.54, 7.8, 0.55), (0.34, 8.8, 0.75), (0.12, 12.5, 2.5))
FREE_MORNING: Mixture = ((0.7, 9.0, 2.0), (0.3, 14.0, 2.5))
DAYTIME: Mixture = ((0.25, 10.5, 1.3), (0.2, 13.5, 1.5), (0.55, 17.0, 1.5))
FREE_DAYTIME: Mixture = ((0.55, 11.5, 1.6), (0.45, 15.5, 2.0))
EVENING: Mixture = ((0.2, 11.0, 1.5), (0.25, 15.5, 1.5), (0.55, 18.6, 1.3))
FREE_EVENING: Mixture = ((0.6, 13.5, 2.2), (0.4, 18.5, 1.6))

TOUR_KINDS = (
    TourKind(
        1,
        "commuters from outside",
        4300,
        (Place.GATE, Place.JOBS, Place.GATE),
        (Purpose.WORK, Purpose.HOME),
        MORNING,
        FREE_MORNING,
        (8.5, 0.6),
        WORK_DAY,
        rain_factor=1.07,
    ),
    TourKind(
        2,
        "residents who work elsewhere",
        2000,
        (Place.HOMES, Place.GATE, Place.HOMES),
        (Purpose.WORK, Purpose.HOME),
        ((0.62, 7.5, 0.55), (0.26, 8.4, 0.7), (0.12, 12.0, 3.0)),
        FREE_MORNING,
        (9.2, 0.7),
        WORK_DAY,
        rain_factor=1.07,
    ),
    TourKind(
        3,
        "residents who work here",
        420,
        (Place.HOMES, Place.JOBS, Place.HOMES),
        (Purpose.WORK, Purpose.HOME),
        MORNING,
        FREE_MORNING,
        (8.3, 1.2),
        WORK_DAY,
        rain_factor=1.25,
    ),
    TourKind(
        4,
        "students",
        650,
        (Place.GATE, Place.STUDY, Place.GATE),
        (Purpose.STUDY, Purpose.HOME),
        ((0.55, 8.6, 0.5), (0.3, 10.6, 0.6), (0.15, 13.0, 1.0)),
        FREE_MORNING,
        (5.0, 1.8),
        (1.0, 0.75, 0.1, 0.04, 0.05),
        rain_factor=1.15,
    ),
    TourKind(
        5,
        "shoppers from outside",
        700,
        (Place.GATE, Place.LEISURE, Place.GATE),
        (Purpose.SHOPPING, Purpose.HOME),
        DAYTIME,
        FREE_DAYTIME,
        (0.75, 0.35),
        (1.0, 1.05, 1.7, 0.12, 0.12),
        rain_factor=0.88,
    ),
    TourKind(
        6,
        "residents who shop here",
        380,
        (Place.HOMES, Place.LEISURE, Place.HOMES),
        (Purpose.SHOPPING, Purpose.HOME),
        DAYTIME,
        FREE_DAYTIME,
        (0.6, 0.3),
        (1.0, 1.05, 1.6, 0.15, 0.15),
        rain_factor=1.1,
    ),
    TourKind(
        7,
        "visitors in their leisure time",
        520,
        (Place.GATE, Place.LEISURE, Place.GATE),
        (Purpose.LEISURE, Purpose.HOME),
        EVENING,
        FREE_EVENING,
        (2.3, 0.8),
        (1.0, 1.1, 1.7, 1.8, 1.6),
        rain_factor=0.78,
        warmth=0.012,
    ),
    TourKind(
        8,
        "residents in their leisure time",
        620,
        (Place.HOMES, Place.GATE, Place.HOMES),
        (Purpose.LEISURE, Purpose.HOME),
        EVENING,
        FREE_EVENING,
        (2.8, 1.0),
        (1.0, 1.15, 2.0, 2.1, 1.9),
        rain_factor=0.8,
        warmth=0.012,
    ),
    TourKind(
        9,
        "deliveries and errands",
        650,
        (Place.GATE, Place.JOBS, Place.JOBS, Place.GATE),
        (Purpose.BUSINESS, Purpose.BUSINESS, Purpose.BUSINESS),
        ((0.6, 9.3, 1.4), (0.4, 13.2, 1.6)),
        ((1.0, 11.0, 2.0),),
        (0.45, 0.2),
        (1.0, 0.92, 0.25, 0.05, 0.05),
    ),
    TourKind(
        10,
        "through traffic",
        9000,
        (Place.GATE, Place.GATE),
        (Purpose.THROUGH,),
        (
            (0.25, 7.9, 0.75),
            (0.33, 16.8, 0.9),
            (0.35, 12.8, 3.2),
            (0.05, 21.0, 1.6),
            (0.03, 3.5, 2.0),
        ),
        ((0.75, 14.2, 3.4), (0.15, 19.5, 2.2), (0.1, 1.5, 2.0)),
        (0.0, 0.0),
        (1.0, 0.95, 0.72, 0.58, 0.55),
        rain_factor=1.02,
    ),
)

WEEKDAY_FACTOR = (0.97, 1.01, 1.02, 1.01, 0.97, 1.0, 1.0)
"""Monday to Sunday, on top of the day type."""

MOST_FACTOR = 2.3
"""No product of the factors above exceeds it: tours are drawn at this rate and thinned."""

RUSH_DIRECTION = 0.35
"""In the morning rush through traffic towards the city centre is heavier by this share."""
