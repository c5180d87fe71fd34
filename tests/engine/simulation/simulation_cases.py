"""What the tests of the simulation share: a day, half an hour of it, a street."""

from datetime import date

DAY = date(2025, 5, 15)
HALF_HOUR = (10, 10.5)
CLOSED = "rudower-chaussee-6"


def last(steps):
    """The last item of an iterator."""
    return list(steps)[-1]
