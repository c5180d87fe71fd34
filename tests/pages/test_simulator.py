from datetime import date
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine.compute.service import ComputeService

APP = str(Path(__file__).parents[2] / "app.py")


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(ComputeService, "start", lambda self: None)
    st.cache_data.clear()
    st.cache_resource.clear()


def test_without_a_closed_street_nothing_can_be_asked(offline):
    app = AppTest.from_file(APP, default_timeout=120).switch_page("pages/simulator.py")
    app.query_params["city"] = "adlershof"
    app.run()
    assert not app.exception
    assert app.title[0].value == "Close streets, ask the simulator"
    (button,) = [b for b in app.button if b.label == "Ask the simulator"]
    assert button.disabled
    assert "No street is closed yet" in " ".join(caption.value for caption in app.caption)
    # a day and hours of the city, chosen once for all pages that ask so
    assert app.date_input[0].value == date(2025, 4, 8)
    (hours,) = [slider for slider in app.select_slider if slider.label == "Hours"]
    assert hours.value == (7.0, 9.0)
    hours.set_range(24.0, 24.0).run()
    assert not app.exception
