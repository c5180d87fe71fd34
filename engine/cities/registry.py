"""Which cities there are: the embedded ones, and the user's own.

The user's cities lie in ``cities`` below the user data folder of the platform, or below the
folder that the environment variable ``CITYBRUSH_DATA`` names.
"""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from engine.cities.city import City
from engine.cities.files import CityFiles, read_metadata_bytes
from engine.cities.format import check_city_id
from engine.cities.metadata import CityMetadata, parse_metadata
from engine.cities.storage import recover_if_needed, remove_folder
from engine.errors import CityDamagedError, CityError, CityNotFoundError, EngineError, InputError

DATA_VARIABLE: Final = "CITYBRUSH_DATA"
_EMBEDDED: Final = Path(__file__).parents[2] / "assets" / "cities"
_MAX_OPEN: Final = 8

_open_cities: dict[tuple[str, str], City] = {}
_open_lock = threading.Lock()


class Origin(StrEnum):
    """Where a city lies."""

    EMBEDDED = "embedded"
    USER = "user"


@dataclass(frozen=True)
class CityListing:
    """A city that is installed, whether or not it can be used.

    Args:
        id: the folder's name.
        origin: embedded or the user's.
        folder: where it lies.
        metadata: its description; None when it cannot be read.
        problem: why it cannot be used; None when it can.
    """

    id: str
    origin: Origin
    folder: Path
    metadata: CityMetadata | None
    problem: EngineError | None

    @property
    def is_usable(self) -> bool:
        """Whether it opens."""
        return self.problem is None

    @property
    def title(self) -> str:
        """Its name for people, or its id."""
        return self.metadata.title if self.metadata else self.id


def embedded_root() -> Path:
    """The folder of the cities that come with the program."""
    return _EMBEDDED


def data_root() -> Path:
    """The folder of all the user's data."""
    chosen = os.environ.get(DATA_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("citybrush", appauthor=False)


def user_root() -> Path:
    """The folder of the user's own cities; it may not exist yet."""
    return data_root() / "cities"


def list_cities() -> tuple[CityListing, ...]:
    """All cities, embedded ones first, each with what keeps it from opening.

    Only descriptions and sizes are looked at; checksums are compared when a file is first read.
    """
    listings: list[CityListing] = []
    for origin, folder in _folders():
        listing = _look_at(origin, folder)
        if any(listing.id == other.id for other in listings):
            problem = CityDamagedError(
                "Another city has the same id.", str(folder), "Rename this folder and its id."
            )
            listing = CityListing(listing.id, origin, folder, listing.metadata, problem)
        listings.append(listing)
    return tuple(listings)


def find_city(city_id: str) -> CityListing:
    """The first city of this id.

    Raises:
        CityNotFoundError: there is none.
        InputError: this can be no id.
    """
    check_city_id(city_id)
    for origin, folder in _folders():
        if folder.name == city_id:
            return _look_at(origin, folder)
    known = ", ".join(sorted({folder.name for _, folder in _folders()})) or "none"
    raise CityNotFoundError("There is no city of this name.", city_id, f"Installed: {known}.")


def open_city(city_id: str) -> City:
    """Open a city by its id; the same object as before as long as it was not written anew.

    Raises:
        CityNotFoundError: there is none.
        CityDamagedError, CityVersionError: it cannot be used.
        InputError: this can be no id.
    """
    listing = find_city(city_id)
    if listing.problem is not None:
        raise listing.problem
    city = City(listing.folder)
    key = str(listing.folder), city.digest
    with _open_lock:
        for stale in [k for k in _open_cities if k[0] == key[0] and k != key]:
            del _open_cities[stale]
        if len(_open_cities) >= _MAX_OPEN:
            del _open_cities[next(iter(_open_cities))]
        return _open_cities.setdefault(key, city)


def remove_city(city_id: str) -> None:
    """Remove one of the user's cities.

    Raises:
        CityNotFoundError: there is none.
        CityError: it is embedded.
        InputError: this can be no id.
        StorageError: missing rights.
    """
    listing = find_city(city_id)
    if listing.origin is Origin.EMBEDDED:
        raise CityError("An embedded city cannot be removed.", city_id)
    if listing.folder.is_symlink():
        raise CityError("This city is a link to another folder.", city_id, "Remove the link.")
    remove_folder(listing.folder.parent, listing.folder.name)


def _folders() -> Iterator[tuple[Origin, Path]]:
    for origin, root in ((Origin.EMBEDDED, embedded_root()), (Origin.USER, user_root())):
        try:
            recover_if_needed(root)
            entries = sorted(root.iterdir())
        except OSError:
            continue  # no such folder, or no right to look into it: no cities there
        for folder in entries:
            if not folder.name.startswith(".") and folder.is_dir():
                yield origin, folder


def _look_at(origin: Origin, folder: Path) -> CityListing:
    metadata: CityMetadata | None = None
    problem: EngineError | None = None
    try:
        if folder.is_symlink():
            raise CityDamagedError("The city's folder is a link.", folder.name)
        metadata = CityFiles(folder).metadata
        check_city_id(folder.name)
        if metadata.id != folder.name:
            raise CityDamagedError(
                "The city's id differs from its folder's name.",
                f"{metadata.id} in {folder.name}",
                "Rename the folder.",
            )
    except (CityError, InputError) as error:
        problem = error
        metadata = metadata or _try_metadata(folder)
    return CityListing(folder.name, origin, folder, metadata, problem)


def _try_metadata(folder: Path) -> CityMetadata | None:
    """The description of a damaged city, if that much is left, to show its title."""
    try:
        return None if folder.is_symlink() else parse_metadata(read_metadata_bytes(folder))
    except EngineError:
        return None
