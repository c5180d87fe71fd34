"""The pages, in the order of the navigation: file, name, icon."""

from typing import Final

PAGES: Final = (
    ("app.py", "Start", ":material/home:"),
    ("pages/city.py", "City", ":material/location_city:"),
    ("pages/sensors.py", "Missing sensors", ":material/sensors_off:"),
    ("pages/trips.py", "Changed demand", ":material/alt_route:"),
    ("pages/forecast.py", "The next hour", ":material/update:"),
    ("pages/simulator.py", "Ask the simulator", ":material/traffic:"),
)
