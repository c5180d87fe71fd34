"""The interventions that the embedded city ships: each one day, simulated with and without.

Four closures and three demand changes are the test part; no model may be trained on them. The
dates of the test part are used by no intervention of the training part.
"""

from dataclasses import dataclass
from datetime import date

from engine.domain import AddAttraction, CloseStreets, Edit, ScaleDemand

HOUR_S = 3600


@dataclass(frozen=True)
class Planned:
    """One intervention of the catalogue.

    Args:
        id: stable and readable.
        title: what was done, in plain words.
        date: local day.
        edits: in order.
        is_test: whether it is set aside.
    """

    id: str
    title: str
    date: date
    edits: tuple[Edit, ...]
    is_test: bool = False


APRIL, EARLY_MAY, MAY, SATURDAY, JUNE = (
    date(2025, 4, 9),
    date(2025, 5, 7),
    date(2025, 5, 15),
    date(2025, 5, 24),
    date(2025, 6, 4),
)
TEST_SPRING, TEST_SUMMER = date(2025, 5, 28), date(2025, 6, 25)


def _close(*street_ids: str, hours: tuple[float, float] = (0, 24)) -> tuple[Edit, ...]:
    return (CloseStreets(street_ids, hours[0] * HOUR_S, hours[1] * HOUR_S),)


def _visit(zone_id: str, visitors: int, begin_h: float, end_h: float) -> tuple[Edit, ...]:
    return (AddAttraction(zone_id, visitors, begin_h * HOUR_S, end_h * HOUR_S),)


def _scale(factor: float, *zone_ids: str) -> tuple[Edit, ...]:
    return tuple(ScaleDemand(zone_id, factor) for zone_id in zone_ids)


CLOSURES = (
    Planned(
        "close-ernst-ruska-ufer",
        "Ernst-Ruska-Ufer closed between Albert-Einstein-Straße and Havestadtplatz",
        APRIL,
        _close("ernst-ruska-ufer-3"),
    ),
    Planned(
        "close-gross-berliner-damm",
        "Groß-Berliner Damm closed between Pfarrer-Goosmann-Straße and Hans-Schmidt-Straße",
        APRIL,
        _close("gross-berliner-damm-5"),
    ),
    Planned(
        "close-newtonstrasse",
        "Newtonstraße closed between Abram-Joffe-Straße and Kroneckerstraße",
        MAY,
        _close("newtonstrasse-3"),
    ),
    Planned(
        "close-wagner-regeny",
        "Wagner-Régeny-Straße closed between Pfarrer-Goosmann-Straße and Hans-Schmidt-Straße",
        MAY,
        _close("wagner-regeny-strasse-2"),
    ),
    Planned(
        "close-am-studio",
        "Am Studio closed between Ernst-Augustin-Straße and Justus-von-Liebig-Straße",
        JUNE,
        _close("am-studio-3"),
    ),
    Planned(
        "close-ernst-ruska-west",
        "Ernst-Ruska-Ufer closed west of Wegedornstraße",
        JUNE,
        _close("ernst-ruska-ufer-1"),
    ),
    Planned(
        "close-rudower-west",
        "Rudower Chaussee closed between Wegedornstraße and Max-Born-Straße",
        EARLY_MAY,
        _close("rudower-chaussee-3"),
    ),
    Planned(
        "close-underpass",
        "Railway underpass of Rudower Chaussee closed",
        EARLY_MAY,
        _close("rudower-chaussee-10"),
    ),
    Planned(
        "close-underpass-evening",
        "Railway underpass of Rudower Chaussee closed from 15:00 to 20:00",
        SATURDAY,
        _close("rudower-chaussee-10", hours=(15, 20)),
    ),
    Planned(
        "close-junction-goosmann",
        "Junction of Groß-Berliner Damm and Pfarrer-Goosmann-Straße closed, with its four arms",
        SATURDAY,
        _close(
            "abram-joffe-strasse-3",
            "gross-berliner-damm-4",
            "gross-berliner-damm-5",
            "pfarrer-goosmann-strasse-1",
        ),
    ),
    Planned(
        "close-rudower-mitte",
        "Rudower Chaussee closed between Gottfried-Leibniz-Straße and Erich-Thilo-Straße",
        TEST_SPRING,
        _close("rudower-chaussee-6"),
        is_test=True,
    ),
    Planned(
        "close-wegedorn-feeder",
        "Wegedornstraße closed between Ernst-Ruska-Ufer and Rudower Chaussee",
        TEST_SPRING,
        _close("wegedornstrasse-2"),
        is_test=True,
    ),
    Planned(
        "close-albert-einstein",
        "Albert-Einstein-Straße closed between Volmerstraße and Am Studio",
        TEST_SUMMER,
        _close("albert-einstein-strasse-5"),
        is_test=True,
    ),
    Planned(
        "close-junction-newton-abram",
        "Junction of Newtonstraße and Abram-Joffe-Straße closed, with its four arms",
        TEST_SUMMER,
        _close(
            "abram-joffe-strasse-1", "abram-joffe-strasse-2", "newtonstrasse-2", "newtonstrasse-3"
        ),
        is_test=True,
    ),
)

DEMAND_CHANGES = (
    Planned(
        "stadium-landschaftspark",
        "Stadium evening at Konrad-Zuse-Straße: 1,500 cars from 19:00 to 22:00",
        APRIL,
        _visit("landschaftspark", 1500, 19, 22),
    ),
    Planned(
        "open-day-campus",
        "Open day of the university: 900 cars from 10:00 to 16:00",
        SATURDAY,
        _visit("campus", 900, 10, 16),
    ),
    Planned(
        "market-bahnhof",
        "New attraction at the station: 800 cars from 14:00 to 18:30",
        EARLY_MAY,
        _visit("bahnhof", 800, 14, 18.5),
    ),
    Planned(
        "half-science-park-south",
        "Four zones of the science park south of Rudower Chaussee half empty",
        MAY,
        _scale(0.5, "volmerstrasse", "max-planck", "liebig", "kekulestrasse"),
    ),
    Planned(
        "low-science-park-west",
        "Four zones of the science park in the west at 40 % of their traffic",
        JUNE,
        _scale(0.4, "carl-scheele", "max-born", "johann-hittorf", "schwarzschild"),
    ),
    Planned(
        "double-north",
        "New homes: twice the traffic of three zones around Wagner-Régeny-Straße",
        JUNE,
        _scale(2.0, "wagner-regeny", "pfarrer-goosmann", "hans-schmidt"),
    ),
    Planned(
        "stadium-media",
        "Stadium evening at Am Studio: 1,300 cars from 19:30 to 22:30",
        TEST_SPRING,
        _visit("media-mitte", 1300, 19.5, 22.5),
        is_test=True,
    ),
    Planned(
        "half-university",
        "The university's two zones and Abram-Joffe-Straße half empty",
        TEST_SUMMER,
        _scale(0.5, "campus", "newtonstrasse", "abram-joffe"),
        is_test=True,
    ),
    Planned(
        "fair-hermann-dorner",
        "New attraction at Hermann-Dorner-Allee: 700 cars from 13:00 to 18:00",
        TEST_SUMMER,
        _visit("hermann-dorner", 700, 13, 18),
        is_test=True,
    ),
)

INTERVENTIONS = CLOSURES + DEMAND_CHANGES
