"""An import of gridded flows as one of the user's cities."""

from dataclasses import replace

from engine.cities.city import City
from engine.cities.importers.gridded import GriddedImport
from engine.cities.importers.gridded_frames import crop_field, merge_steps
from engine.cities.metadata import CityMetadata, Source
from engine.cities.registry import Origin, list_cities, user_root
from engine.cities.writer import CityWriter
from engine.errors import InputError
from engine.geo.projection import utm_crs


def shape_import(
    imported: GriddedImport,
    rows: tuple[int, int] | None = None,
    cols: tuple[int, int] | None = None,
    magnification: int | None = None,
    num_steps: int = 1,
) -> GriddedImport:
    """A part of the cells, and several steps as one.

    Args:
        imported: as read.
        rows: first row and the row after the last; all when None.
        cols: first column and the column after the last; all when None.
        magnification: of the part; as read when None.
        num_steps: that become one.

    Raises:
        GridError: the part does not fit the field.
        InputError: the series is too short.
    """
    fields = {}
    for name, series in imported.fields.items():
        grid = series.grid
        part = crop_field(
            series,
            rows or (0, grid.rows),
            cols or (0, grid.cols),
            magnification or grid.magnification,
        )
        fields[name] = merge_steps(part, num_steps) if num_steps != 1 else part
    return replace(imported, fields=fields)


def save_import(
    imported: GriddedImport, city_id: str, title: str, source: Source, overwrite: bool = False
) -> City:
    """Write an import as a city of the user's.

    Args:
        imported: all fields on one grid.
        city_id: its id.
        title: its name for people.
        source: where it came from, and on which terms.
        overwrite: whether a city of that id may be replaced.

    Raises:
        InputError: a city of that id is there already, or the id is none.
        StorageError: a full disk, missing rights; what was there is untouched.
    """
    series = next(iter(imported.fields.values()))
    metadata = CityMetadata(
        city_id,
        title,
        series.grid,
        str(series.start.tzinfo),
        utm_crs(*series.grid.center),
        description=" ".join(imported.notes),
        sources=(source,),
        attribution=source.name,
    )
    for listing in list_cities():
        if listing.id == city_id and (listing.origin is Origin.EMBEDDED or not overwrite):
            raise InputError(
                "There is a city of this id already.", city_id, "Choose another id, or replace it."
            )
    with CityWriter(user_root(), metadata) as writer:
        for name, field in imported.fields.items():
            writer.add_field(name, field)
    return City(user_root() / city_id)
