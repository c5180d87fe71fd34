"""Pages run by Streamlit's own AppTest, in this process, on a small city written to disk.

The compute cluster is left off here (its own tests and the browser tests start real ones).
"""

import pytest
import streamlit as st

from engine.cities import registry
from engine.compute.service import ComputeService
from tests.small_city import write_small_city


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """A user data folder with one city, written once."""
    root = tmp_path_factory.mktemp("data")
    write_small_city(root / "cities")
    return root


@pytest.fixture
def data(small_data, monkeypatch, tmp_path):
    """The small city is the only one; caches are empty."""
    monkeypatch.setenv(registry.DATA_VARIABLE, str(small_data))
    monkeypatch.setattr(registry, "_EMBEDDED", tmp_path / "none")
    monkeypatch.setattr(ComputeService, "start", lambda self: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    return small_data
