"""The small city with weights for its missing sensors, in a user data folder of its own."""

import pytest

from engine.cities import registry
from engine.cities.registry import open_city
from tests.small_city import write_small_city
from tests.small_weights import write_small_weights


@pytest.fixture(scope="session")
def sensors_data(tmp_path_factory):
    """A user data folder with one city and its weights, written once."""
    root = tmp_path_factory.mktemp("sensors")
    city = write_small_city(root / "cities")
    write_small_weights(root / "weights", city)
    return root


@pytest.fixture
def small(sensors_data, monkeypatch, tmp_path):
    """The small city is the only one."""
    monkeypatch.setenv(registry.DATA_VARIABLE, str(sensors_data))
    monkeypatch.setattr(registry, "_EMBEDDED", tmp_path / "none")
    return open_city("small")
