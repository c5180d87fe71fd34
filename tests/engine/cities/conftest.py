"""Fixtures: a small city with every kind of file, and an empty folder of user data."""

import shutil
from pathlib import Path

import pytest

from tests.engine.cities.demo_city import write_city


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    return write_city(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def city_folder(pristine, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(pristine, tmp_path / "cities" / "demo"))


@pytest.fixture
def data_root(tmp_path, monkeypatch):
    """An empty folder of user data; the embedded cities are out of sight."""
    monkeypatch.setenv("CITYBRUSH_DATA", str(tmp_path))
    monkeypatch.setattr("engine.cities.registry._EMBEDDED", tmp_path / "embedded")
    return tmp_path
