"""The regular grid that a city's fields live on."""

from dataclasses import asdict, dataclass
from math import isfinite

from engine.errors import GridError

MAX_CELLS = 256 * 256
"""The largest grid that the product accepts, in cells."""


@dataclass(frozen=True)
class Grid:
    """A bounding box cut into equal rows and columns, row 0 in the north.

    Args:
        west: western edge, degrees longitude.
        south: southern edge, degrees latitude.
        east: eastern edge, degrees longitude.
        north: northern edge, degrees latitude.
        rows: number of rows, R.
        cols: number of columns, C.
        magnification: N; the coarse grid has R / N rows and C / N columns.

    Raises:
        GridError: the box is empty or not on Earth, there are no or too many cells, or N does
            not divide both rows and columns.
    """

    west: float
    south: float
    east: float
    north: float
    rows: int
    cols: int
    magnification: int = 1

    def __post_init__(self) -> None:
        box = (self.west, self.south, self.east, self.north)
        if not all(isinstance(v, int | float) and isfinite(v) for v in box):
            raise GridError("The grid's bounding box holds a value that is no number.", str(box))
        if not (-180 <= self.west < self.east <= 180 and -85 <= self.south < self.north <= 85):
            raise GridError(
                "The grid's bounding box is empty or not on the map.",
                f"west, south, east, north = {box}",
                "Give west < east in [-180, 180] and south < north in [-85, 85], in degrees.",
            )
        for name in ("rows", "cols", "magnification"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise GridError(f"The grid's {name} must be a whole number from 1 up.", str(value))
        if self.rows * self.cols > MAX_CELLS:
            raise GridError(
                f"The grid has {self.rows * self.cols:,} cells; at most {MAX_CELLS:,} are allowed.",
                f"{self.rows} rows x {self.cols} columns",
                "Use fewer rows and columns.",
            )
        if self.rows % self.magnification or self.cols % self.magnification:
            raise GridError(
                "The magnification must divide both rows and columns.",
                f"{self.rows} x {self.cols}, magnification {self.magnification}",
                "Choose another magnification or another number of cells.",
            )

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        return self.west, self.south, self.east, self.north

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (R, C)."""
        return self.rows, self.cols

    @property
    def center(self) -> tuple[float, float]:
        """Longitude and latitude of the middle, degrees."""
        return (self.west + self.east) / 2, (self.south + self.north) / 2

    @property
    def num_cells(self) -> int:
        """R x C."""
        return self.rows * self.cols

    def coarse(self) -> "Grid":
        """The same box with rows and columns divided by the magnification, itself 1."""
        n = self.magnification
        return Grid(*self.bounds, self.rows // n, self.cols // n)

    def to_json(self) -> dict[str, float | int]:
        """Plain values, as ``Grid(**values)`` takes them back."""
        return asdict(self)
