"""The time axis that fields and series share."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from engine.errors import FieldError


@dataclass(frozen=True)
class TimeAxis:
    """Equal steps of real time, shown in local time.

    Args:
        start: beginning of the first step, with a time zone.
        step: length of one step in real (not wall-clock) time.
        num_steps: number of steps, T.

    Raises:
        FieldError: the start has no time zone, or there are no steps or no time in them.
    """

    start: datetime
    step: timedelta
    num_steps: int

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise FieldError(
                "The series' start has no time zone.",
                self.start.isoformat(),
                "Give one, for example Europe/Berlin.",
            )
        if self.step <= timedelta(0):
            raise FieldError("The time step must be longer than zero.", str(self.step))
        if self.num_steps < 1:
            raise FieldError("A series needs at least one time step.", str(self.num_steps))

    def __len__(self) -> int:
        return self.num_steps

    @property
    def end(self) -> datetime:
        """End of the last step, in the start's time zone."""
        return self.time_of(self.num_steps)

    def time_of(self, index: int) -> datetime:
        """Beginning of step ``index``, in the start's time zone (daylight saving respected)."""
        utc = self.start.astimezone(UTC) + index * self.step
        return utc.astimezone(self.start.tzinfo)

    def index_of(self, when: datetime) -> int:
        """The step that holds a moment.

        Raises:
            FieldError: the moment has no time zone, or lies outside the series.
        """
        if when.tzinfo is None:
            raise FieldError("The time has no time zone.", when.isoformat())
        # in UTC: a difference of two local times ignores daylight saving
        index = (when.astimezone(UTC) - self.start.astimezone(UTC)) // self.step
        if not 0 <= index < self.num_steps:
            raise FieldError(
                "The time lies outside the series.",
                f"{when.isoformat()} is not in {self.start.isoformat()} - {self.end.isoformat()}",
            )
        return index
