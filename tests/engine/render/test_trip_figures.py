import numpy as np

from engine.render.trip_figures import draw_histograms


def test_the_axis_says_where_the_longest_trips_are():
    lengths = np.append(np.linspace(0, 1_000, 500), 9_000.0)
    title = draw_histograms({"Today": lengths}, "Length (m)").layout.xaxis.title.text
    assert title.startswith("Length (m), all beyond")
    even = draw_histograms({"Today": np.full(20, 7.0)}, "Length (m)")
    assert even.layout.xaxis.title.text == "Length (m)"
