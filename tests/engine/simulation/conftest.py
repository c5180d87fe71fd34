import dataclasses

import pytest

from engine.domain import CloseStreets
from engine.simulation import SimulatedDay, simulate_day
from engine.simulation.construction import build_adlershof
from tests.engine.simulation.simulation_cases import CLOSED, DAY, HALF_HOUR, last


@pytest.fixture(scope="session")
def traffic_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("adlershof")


@pytest.fixture(scope="session")
def built(traffic_folder):
    """The embedded city's traffic model."""
    return build_adlershof(traffic_folder)


@pytest.fixture(scope="session")
def model(built):
    """The same city with half of its cars: quicker."""
    return dataclasses.replace(built, volume=0.3)


@pytest.fixture(scope="session")
def sparse(built):
    """The same city with few cars: quick."""
    return dataclasses.replace(built, volume=0.05)


@pytest.fixture(scope="session")
def untouched(model):
    day = last(simulate_day(model, DAY, hours=HALF_HOUR))
    assert isinstance(day, SimulatedDay)
    return day


@pytest.fixture(scope="session")
def closed(model):
    return last(simulate_day(model, DAY, (CloseStreets((CLOSED,)),), HALF_HOUR))
