"""Cities on disk: one self-describing, versioned folder each.

``city.json`` describes the city and lists every file with its kind, unit, time axis and checksum.
Everything but ``city.json`` and at least one recording (a field, segments or trajectories) is
optional.

Modules: :mod:`~engine.cities.format` names and limits, :mod:`~engine.cities.metadata`
``city.json``, :mod:`~engine.cities.storage` folders that change all at once,
:mod:`~engine.cities.archives` and :mod:`~engine.cities.tables` arrays and tables checked before
they are read, :mod:`~engine.cities.city` reading, :mod:`~engine.cities.writer` writing,
:mod:`~engine.cities.registry` which cities there are, :mod:`~engine.cities.inspection` what is
wrong with one.
"""

from engine.cities.city import City
from engine.cities.format import FileKind
from engine.cities.interventions import Intervention, InterventionSpec, Split
from engine.cities.metadata import CityMetadata, FileEntry, Source
from engine.cities.recordings import Recordings, TripFilter
from engine.cities.segments import SegmentSeries
from engine.cities.trajectories import TrajectoryBatch
from engine.cities.writer import CityWriter

__all__ = [
    "City",
    "CityMetadata",
    "CityWriter",
    "FileEntry",
    "FileKind",
    "Intervention",
    "InterventionSpec",
    "Recordings",
    "SegmentSeries",
    "Source",
    "Split",
    "TrajectoryBatch",
    "TripFilter",
]
