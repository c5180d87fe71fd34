"""Everything a user can do wrong, or that can go wrong around them, as one tree.

::

    EngineError                    shown to the user as a sentence; never a bug
    ├── InputError                 a value given by the user does not fit
    │   ├── GridError              bounding box, rows, columns, magnification
    │   ├── FieldError             values, start, step or unit of a field series
    │   ├── MaskError              shape or content of a sensor mask
    │   ├── OccupancyError         shape or content of an occupancy map
    │   ├── SensorError            a table of sensor readings, its time axis, its graph
    │   └── ScenarioError          edits, parameters or seeds of a scenario
    ├── CityError                  a city on disk
    │   ├── CityNotFoundError      no city of that name
    │   ├── CityDamagedError       a file is missing, truncated or edited
    │   ├── CityReplacedError      written anew while it was open: open it again
    │   └── CityVersionError       written by a version that this one cannot read
    ├── WeightsError               a weight file: missing, damaged, for another city or model
    ├── StorageError               writing failed: a full disk, missing rights
    ├── SimulationError            the traffic simulator
    │   ├── SimulatorMissingError  SUMO is not installed
    │   ├── SimulatorFailedError   SUMO ended with an error
    │   └── UnknownStreetError     a street id that the city does not have
    └── ComputeError               jobs
        ├── QueueFullError         the queue or the session's quota is full
        ├── JobCancelledError      the user cancelled the job
        ├── JobFailedError         the job ended with an error, or its worker died twice
        └── DeviceError            the chosen device is not there

Bugs are not in this tree: they propagate, are logged, and reach the user as an id only.
"""


class EngineError(Exception):
    """What was wrong, where, and what to do about it; its text is safe to show to a user.

    Args:
        what: what was wrong, as a full sentence.
        where: the file, field, cell or option concerned; empty when ``what`` already says it.
        fix: what the user can do, as a full sentence; empty when nothing can be done.
    """

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(what, where, fix)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return " ".join(part for part in (f"{self.what}{place}", self.fix) if part)


class InputError(EngineError):
    """A value given by the user does not fit."""


class GridError(InputError):
    """A grid with an impossible bounding box, number of cells or magnification."""


class FieldError(InputError):
    """A field series with impossible values, start, step or unit."""


class MaskError(InputError):
    """A sensor mask of the wrong shape or content."""


class OccupancyError(InputError):
    """An occupancy map of the wrong shape or content."""


class SensorError(InputError):
    """Sensor readings whose values, times, sensors or graph do not fit."""


class ScenarioError(InputError):
    """A scenario whose edits, parameters or seeds do not fit."""


class CityError(EngineError):
    """A city on disk cannot be used."""


class CityNotFoundError(CityError):
    """No city of that name is installed."""


class CityDamagedError(CityError):
    """A file of the city is missing, truncated or was edited."""


class CityReplacedError(CityError):
    """The city was written anew, or removed, while it was open: open it again."""


class CityVersionError(CityError):
    """The city was written in a format that this version does not read."""


class WeightsError(EngineError):
    """A weight file is missing, damaged, or made for another city or model."""


class StorageError(EngineError):
    """Writing failed; what was stored before is untouched."""


class SimulationError(EngineError):
    """The traffic simulator could not answer."""


class SimulatorMissingError(SimulationError):
    """SUMO is not installed, or not executable."""


class SimulatorFailedError(SimulationError):
    """SUMO ended with an error."""


class UnknownStreetError(SimulationError):
    """A street id that the city's network does not have."""


class ComputeError(EngineError):
    """A job could not be carried out."""


class QueueFullError(ComputeError):
    """The queue, or the session's share of it, is full."""


class JobCancelledError(ComputeError):
    """The job was cancelled by its owner."""


class JobFailedError(ComputeError):
    """The job ended with an error, or its worker died again after a retry."""


class DeviceError(ComputeError):
    """The chosen compute device is not available."""
