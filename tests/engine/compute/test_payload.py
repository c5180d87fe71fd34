from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest

import engine.errors
from engine.compute.payload import (
    MAX_ESTIMATE_BYTES,
    decode_error,
    decode_estimate,
    encode_error,
    encode_estimate,
    measure_payload,
)
from engine.errors import EngineError, JobFailedError, UnknownStreetError


@dataclass
class _Holder:
    value: object


def test_plain_data_is_measured():
    maps = np.zeros((32, 32), np.float32)
    value = {"maps": [maps, maps], "when": datetime.now(UTC), "who": ("a", None, 1.5, {2})}
    assert 2 * 4096 < measure_payload(_Holder(value), "x") < 2 * 4096 + 1000


@pytest.mark.parametrize(
    "value",
    [
        object(),
        _Holder,
        lambda: 0,
        np.array([object()], dtype=object),
        {"deep": [_Holder(iter(()))]},
    ],
    ids=["object", "class", "function", "object array", "nested"],
)
def test_what_is_not_plain_is_refused_by_name(value):
    with pytest.raises(TypeError, match=r"request.*cannot travel"):
        measure_payload(value, "request")


def test_endless_nesting_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="nested too deeply"):
        measure_payload(endless, "request")


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", "?"])
def test_estimates_survive(dtype):
    estimate = (np.arange(24) % 2).astype(dtype).reshape(2, 3, 4)[:, ::-1]
    again = decode_estimate(encode_estimate(estimate))
    np.testing.assert_array_equal(again, estimate)
    assert again.dtype == estimate.dtype
    assert not again.flags.writeable


def test_no_estimate_and_one_too_large():
    assert decode_estimate(encode_estimate(None)) is None
    assert encode_estimate(np.zeros(MAX_ESTIMATE_BYTES + 1, np.uint8)) is None


def _errors(kind=EngineError):
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == engine.errors.__name__:
            yield from _errors(below)


@pytest.mark.parametrize("kind", list(_errors()), ids=lambda kind: kind.__name__)
def test_every_error_keeps_class_and_texts(kind):
    again = decode_error(encode_error(kind("What.", "where", "Fix.")))
    assert type(again) is kind
    assert (again.what, again.where, again.fix) == ("What.", "where", "Fix.")


def test_an_error_unknown_here_becomes_its_nearest_known_kind():
    class OwnError(UnknownStreetError):
        pass

    assert type(decode_error(encode_error(OwnError("No.")))) is UnknownStreetError


def test_a_forged_error_type_is_not_looked_up():
    message = {"type": "annotations", "what": "a", "where": "", "fix": ""}
    assert type(decode_error(message)) is JobFailedError
