"""The Python side of the maps, without a browser: strokes arrive, nonsense does not."""

import base64
import json
import struct

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine.domain import Grid
from pages.shared.citymap.payload import decode_array, digest_of, encode_payload


def mask_app():
    import numpy as np
    import streamlit as st

    from engine.domain import Grid
    from pages.shared.citymap import MapOptions, paint_mask
    from pages.shared.state import component_state

    grid = Grid(13.5, 52.4, 13.6, 52.45, 4, 6)
    result = paint_mask(
        grid,
        np.ones((4, 6), bool),
        key="map",
        options=MapOptions(label="Sensors"),
        version=component_state().get("version", 0),
    )
    st.text(f"{result.revision} {int((~result.observed).sum())} {result.observed.flags.writeable}")


def occupancy_app():
    import geopandas as gpd
    import numpy as np
    import shapely
    import streamlit as st

    from engine.domain import Grid
    from pages.shared.citymap import ColorScale, StreetChoice, StreetLines, paint_occupancy

    lines = [
        shapely.LineString([(13.5, 52.41), (13.6, 52.41)]),
        shapely.LineString([(13.55, 52.4), (13.55, 52.45)]),
    ]
    frame = gpd.GeoDataFrame(
        {"street_id": ["a", "b"], "name": ["A", None], "kind": ["", "service"]},
        geometry=lines,
        crs="EPSG:4326",
    )
    streets = StreetChoice(StreetLines.from_frame(frame), closed=("b",))
    base = np.arange(24, dtype=float).reshape(4, 6)
    grid = Grid(13.5, 52.4, 13.6, 52.45, 4, 6)
    r = paint_occupancy(grid, base, key="map", streets=streets, scale=ColorScale(0, 60, "people"))
    told = (r.revision, f"{r.values.sum():g}", int(r.blocked.sum()), int(r.painted.sum()))
    st.text(" ".join(str(part) for part in (*told, r.total_kept, ",".join(r.closed_streets))))


def view_app():
    import numpy as np
    import streamlit as st

    from engine.domain import Grid
    from pages.shared.citymap import ColorScale, HeatView, view_maps

    values = np.arange(48, dtype=float).reshape(2, 4, 6)
    values[0, 0, 0] = np.nan
    views = [
        HeatView("A", values, ColorScale.of(values, "x")),
        HeatView("B", values[0], ColorScale.of(values, "x")),
    ]
    s = view_maps(Grid(13.5, 52.4, 13.6, 52.45, 4, 6), views, key="map")
    st.text(f"{s.cell} {s.row} {s.col} {s.step} {s.view}")


def header(at) -> dict:
    """The JSON header of the message to the browser."""
    data = at.get("bidi_component")[0].proto.bytes
    assert data[:4] == b"CMAP"
    (size,) = struct.unpack("<I", data[4:8])
    return json.loads(data[8 : 8 + size])


def array(at, reference: dict) -> np.ndarray:
    data = at.get("bidi_component")[0].proto.bytes
    (size,) = struct.unpack("<I", data[4:8])
    begin = -(-(8 + size) // 8) * 8 + reference["at"]
    kind = {"u8": "u1", "u16": "u2", "u32": "u4", "f32": "f4", "f64": "f8"}[reference["$"]]
    return np.frombuffer(data, kind, reference["count"], begin)


def text(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def stroke(at, values, revision, **more):
    document = header(at)["paint"]["document"]["id"]
    edit = {"document": document, "revision": revision, "values": text(values), **more}
    at.session_state["map"] = {"edit": edit}
    return at.run()


def shown(at) -> str:
    assert not at.exception
    return at.text[0].value


def test_a_stroke_on_a_mask_reaches_python():
    at = AppTest.from_function(mask_app).run()
    assert shown(at) == "0 0 False"
    assert array(at, header(at)["paint"]["document"]["painting"]["values"]).tolist() == [1] * 24
    values = np.ones(24, np.uint8)
    values[3:8] = 0
    assert shown(stroke(at, values, 1)) == "1 5 False"
    assert shown(stroke(at, np.ones(24, np.uint8), 1)) == "1 5 False"  # an old revision
    at.session_state["version"] = 1  # begin anew
    assert shown(at.run()) == "0 0 False"


def test_a_map_that_comes_back_is_sent_what_was_painted():
    at = AppTest.from_function(mask_app).run()
    values = np.ones(24, np.uint8)
    values[0] = 0
    stroke(at, values, 3)
    before = header(at)
    assert before["paint"]["document"]["revision"] == 0  # strokes are not echoed
    del at.session_state["map"]  # Streamlit forgets the widget when its page is left
    at.run()
    document = header(at)["paint"]["document"]
    assert document["id"] == before["paint"]["document"]["id"]
    assert document["revision"] == 3
    assert array(at, document["painting"]["values"]).tolist() == values.tolist()


@pytest.mark.parametrize(
    "edit",
    [
        {"values": "!!"},
        {"values": text(np.ones(23, np.uint8))},
        {"values": text(np.ones(25, np.uint8))},
        {"values": text(np.full(24, 7, np.uint8))},
        {"values": None},
        {"values": 5},
        {"revision": "2"},
        {"revision": None},
        {"document": "another"},
        {"document": None},
    ],
)
def test_malformed_edits_change_nothing(edit):
    at = AppTest.from_function(mask_app).run()
    good = {
        "document": header(at)["paint"]["document"]["id"],
        "revision": 1,
        "values": text(np.zeros(24, np.uint8)),
    }
    for message in ({**good, **edit}, "text", [1], None):
        at.session_state["map"] = {"edit": message}
        assert shown(at.run()) == "0 0 False"


def test_occupancy_with_blocked_cells_and_streets():
    at = AppTest.from_function(occupancy_app).run()
    assert shown(at) == "0 276 0 0 False b"
    values = np.arange(24, dtype=np.float32)
    values[5] = -1
    painted = np.zeros(24, np.uint8)
    painted[5] = 1
    more = {"painted": text(painted), "keepTotal": True, "closed": [0, 1]}
    assert shown(stroke(at, values, 1, **more)) == "1 271 1 1 True a,b"
    for bad in (
        {"closed": [2]},
        {"closed": [-1]},
        {"closed": ["a"]},
        {"closed": None},
        {"painted": "x"},
    ):
        assert shown(stroke(at, values, 2, **{**more, **bad})) == "1 271 1 1 True a,b"
    for value in (np.nan, np.inf, -2, -0.5):
        wrong = values.copy()
        wrong[7] = value
        assert shown(stroke(at, wrong, 2, **more)) == "1 271 1 1 True a,b"


def test_views_are_quantised_and_a_click_is_understood():
    at = AppTest.from_function(view_app).run()
    assert shown(at) == "None None None 0 0"
    views = header(at)["view"]["views"]
    numbers = array(at, views[0]["values"]).reshape(2, 24)
    assert numbers[0, 0] == 65_535
    back = views[0]["offset"] + numbers[1] * views[0]["quantum"]
    assert np.allclose(back, np.arange(24, 48), atol=47 / 65_534)
    at.session_state["map"] = {"selection": {"map": "map", "cell": 13, "step": 1, "view": "view1"}}
    assert shown(at.run()) == "13 2 1 1 1"
    at.session_state["map"] = {"selection": {"map": "map", "cell": 24, "step": 1, "view": "view1"}}
    assert shown(at.run()) == "None None None 0 0"


def test_payload_round_trip():
    a, b = np.arange(5, dtype=np.uint16), np.linspace(0, 1, 3)
    data = encode_payload({"a": a, "deep": [{"b": b}], "n": np.float64(2)})
    (size,) = struct.unpack("<I", data[4:8])
    head = json.loads(data[8 : 8 + size])
    begin = -(-(8 + size) // 8) * 8
    assert head["n"] == 2 and head["a"] == {"$": "u16", "at": 0, "count": 5}
    at = head["deep"][0]["b"]["at"]
    assert at % 8 == 0
    assert np.frombuffer(data, "f8", 3, begin + at).tolist() == b.tolist()
    assert data[8:].startswith(b'{"digest":"')  # the browser reads it without decoding the rest
    assert encode_payload({"a": a}) != encode_payload({"a": a + 1})
    with pytest.raises(TypeError):
        encode_payload({"a": np.array(["x"])})
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_payload({"a": float("nan")})


def test_arrays_from_the_browser_and_digests():
    values = np.arange(4, dtype=np.float32)
    assert decode_array(text(values), np.float32, 4).tolist() == [0, 1, 2, 3]
    assert decode_array(text(values), np.float32, 5) is None
    assert decode_array("A" * 10_000_000, np.float32, 4) is None
    grid = Grid(0, 0, 1, 1, 2, 2)
    assert digest_of(grid, values) == digest_of(Grid(0, 0, 1, 1, 2, 2), values.copy())
    assert digest_of(grid, values) != digest_of(grid, values + 1)
