"""What we assume about Berlin-Adlershof: where cars begin and end, and where they leave the map.

The network says where the streets are, not who lives or works on them. These tables say it, from
what is generally known of the place: a science park with a university campus in the middle, a
film and media quarter in the east, new homes in the north, the old town beyond the railway, and
the motorway's feeder (Ernst-Ruska-Ufer) in the south. They are assumptions, made for a plausible
simulation; they are no statistics of the real place. Centres are (x, y) in the network's metres.
"""

from dataclasses import dataclass
from datetime import date

from engine.simulation.model import Gate

CITY_ID = "adlershof"
TITLE = "Berlin-Adlershof"
TIMEZONE = "Europe/Berlin"
CRS = "EPSG:32633"
SEED = 20250331
FIRST_DAY = date(2025, 3, 31)
WEEKS = 13
"""31 March to 29 June 2025: summer time throughout, six public holidays, Easter school holidays."""

VOLUME = 0.55
MARGIN_M = 40.0
ROWS = COLS = 32
MAGNIFICATION = 4

NUM_SENSORS = 170

ACCESS = {
    "residential": 1.0,
    "living_street": 1.0,
    "unclassified": 1.0,
    "tertiary": 0.55,
    "secondary": 0.3,
    "primary": 0.06,
}
"""Doors and driveways per metre of road, by highway class; ramps and tracks have none."""


@dataclass(frozen=True)
class ZoneSeed:
    """A zone's centre and weights; edges belong to the nearest centre."""

    id: str
    name: str
    kind: str
    x_m: float
    y_m: float
    homes: float = 0.0
    jobs: float = 0.0
    study: float = 0.0
    leisure: float = 0.0


ZONES = (
    ZoneSeed("wagner-regeny", "Wagner-Régeny-Straße", "homes", 1560, 1400, 9, 1, 0, 0.5),
    ZoneSeed("hans-schmidt", "Hans-Schmidt-Straße", "homes", 1690, 1230, 8, 2, 0, 1),
    ZoneSeed("pfarrer-goosmann", "Pfarrer-Goosmann-Straße", "homes", 1490, 1260, 7, 2, 0, 0.5),
    ZoneSeed("bahnhof", "Bahnhof Adlershof", "shops and station", 1990, 1160, 1, 4, 0, 8),
    ZoneSeed("altstadt", "Dörpfeldstraße", "old town", 2190, 1210, 8, 2, 0, 5),
    ZoneSeed("radickestrasse", "Radickestraße", "old town", 2220, 1090, 7, 1, 0, 1),
    ZoneSeed("franz-ehrlich", "Franz-Ehrlich-Straße", "offices", 1890, 1010, 1, 7, 0, 2),
    ZoneSeed("media-nord", "Am Studio Nord", "film and media", 1840, 850, 0, 8, 0, 3),
    ZoneSeed("media-mitte", "Am Studio Mitte", "film and media", 2020, 620, 0, 8, 0, 4),
    ZoneSeed("media-sued", "Am Studio Süd", "film and media", 2230, 380, 0, 5, 0, 0.5),
    ZoneSeed("merlitzstrasse", "Merlitzstraße", "homes", 1690, 1070, 5, 4, 0, 1),
    ZoneSeed("forum", "Forum Rudower Chaussee", "shops and hotels", 1600, 880, 1, 5, 1, 8),
    ZoneSeed("campus", "Humboldt-Universität", "university", 1420, 850, 0, 5, 10, 2),
    ZoneSeed("newtonstrasse", "Newtonstraße", "university", 1210, 960, 1, 4, 8, 1),
    ZoneSeed("abram-joffe", "Abram-Joffe-Straße", "offices", 1270, 1080, 3, 6, 1, 1),
    ZoneSeed("landschaftspark", "Konrad-Zuse-Straße", "homes", 1120, 1240, 7, 1, 0, 1.5),
    ZoneSeed("gross-berliner-damm", "Groß-Berliner Damm Nord", "trade", 1230, 1350, 1, 4, 0, 3),
    ZoneSeed("hermann-dorner", "Hermann-Dorner-Allee Nord", "homes", 870, 1310, 6, 2, 0, 1),
    ZoneSeed("karl-ziegler", "Karl-Ziegler-Straße", "homes", 910, 1040, 7, 2, 0, 0.5),
    ZoneSeed("ernst-lau", "Ernst-Lau-Straße", "trade", 620, 980, 1, 5, 0, 1),
    ZoneSeed("johann-hittorf", "Johann-Hittorf-Straße", "science park", 880, 790, 0, 8, 0, 0.5),
    ZoneSeed("max-born", "Max-Born-Straße", "science park", 1120, 790, 0, 7, 2, 0.5),
    ZoneSeed("carl-scheele", "Carl-Scheele-Straße", "science park", 1010, 630, 0, 9, 0, 0.5),
    ZoneSeed("schwarzschild", "Schwarzschildstraße", "science park", 840, 580, 0, 7, 0, 0.5),
    ZoneSeed("bendemannstrasse", "Bendemannstraße", "homes and trade", 860, 410, 3, 3, 0, 1),
    ZoneSeed("kekulestrasse", "Kekuléstraße", "science park", 1360, 540, 0, 8, 1, 0.5),
    ZoneSeed("bessy", "Albert-Einstein-Straße West", "science park", 1320, 390, 0, 7, 0, 0.5),
    ZoneSeed("volmerstrasse", "Volmerstraße", "science park", 1690, 690, 0, 10, 0, 1),
    ZoneSeed("max-planck", "Max-Planck-Straße", "science park", 1660, 480, 0, 8, 0, 0.5),
    ZoneSeed("liebig", "Justus-von-Liebig-Straße", "science park", 1830, 430, 0, 8, 0, 0.5),
    ZoneSeed("havestadtplatz", "Havestadtplatz", "trade", 1690, 250, 0, 5, 0, 1),
    ZoneSeed("ostwald", "Wilhelm-Ostwald-Straße", "trade", 2080, 290, 0, 6, 0, 1),
    ZoneSeed("wegedornstrasse", "Wegedornstraße", "homes", 1020, 180, 6, 1, 0, 2),
)

GATES = (
    Gate("adlergestell-nord", "Adlergestell, north", "318210356", "40191607#1", 9),
    Gate("adlergestell-sued", "Adlergestell, south", "153021549", "461514282#1", 7),
    Gate("rudower-west", "Rudower Chaussee, west", "46039050#0", "143308532#5", 6),
    Gate("ernst-ruska-west", "Ernst-Ruska-Ufer, west", "190083610", "-190083610", 8),
    Gate("ernst-ruska-ost", "Ernst-Ruska-Ufer, east", "48858193#0", "142575667#0", 7),
    Gate("gross-berliner-nord", "Groß-Berliner Damm, north", "70130339#0", "", 6),
    Gate("wagner-regeny-nord", "Wagner-Régeny-Straße, north", "-334308447#2", "334308447#2", 4),
    Gate("dorner-nord", "Hermann-Dorner-Allee, north", "-135777010#5", "135777010#5", 3),
    Gate("dorner-west", "Hermann-Dorner-Allee, west", "135777010#0", "-135777010#0", 3),
    Gate("wegedorn-sued", "Wegedornstraße, south", "190083616", "-190083616", 4),
    Gate("altstadt-ost", "Dörpfeldstraße, east", "20553015", "-20553015", 3),
)

THROUGH_PAIRS = {
    ("adlergestell-nord", "adlergestell-sued"): 2.6,
    ("ernst-ruska-west", "ernst-ruska-ost"): 2.0,
    ("adlergestell-nord", "rudower-west"): 1.2,
    ("adlergestell-nord", "ernst-ruska-west"): 1.6,
    ("adlergestell-sued", "rudower-west"): 1.0,
    ("adlergestell-sued", "ernst-ruska-west"): 0.9,
    ("gross-berliner-nord", "ernst-ruska-west"): 0.8,
    ("gross-berliner-nord", "rudower-west"): 0.7,
    ("wagner-regeny-nord", "ernst-ruska-ost"): 0.6,
    ("wegedorn-sued", "adlergestell-nord"): 0.7,
    ("wegedorn-sued", "ernst-ruska-ost"): 0.4,
    ("altstadt-ost", "rudower-west"): 0.5,
    ("altstadt-ost", "adlergestell-sued"): 0.4,
    ("dorner-nord", "rudower-west"): 0.3,
    ("dorner-west", "wagner-regeny-nord"): 0.3,
    ("wagner-regeny-nord", "rudower-west"): 0.4,
}
"""Through traffic between two gates, both ways, relative to each other."""
