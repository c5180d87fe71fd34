"""The message to the browser: ``CMAP``, the header's length, a JSON header, raw arrays.

Bytes instead of JSON: no base64, no parsing of numbers, and Streamlit passes them on untouched.
In the header ``{"$": "u16", "at": 128, "count": 1024}`` stands for an array.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pydeck as pdk
from numpy.typing import NDArray

MAGIC: Final = b"CMAP"
ALIGNMENT: Final = 8
TYPES: Final = {
    np.dtype(np.uint8): "u8",
    np.dtype(np.uint16): "u16",
    np.dtype(np.uint32): "u32",
    np.dtype(np.float32): "f32",
    np.dtype(np.float64): "f64",
}


def encode_payload(header: Mapping[str, Any]) -> bytes:
    """Header and arrays as one message; its ``digest`` tells the browser whether it is new.

    Args:
        header: JSON values, and arrays of the types above anywhere in it.
    """
    arrays = _Arrays()
    text = json.dumps(
        header, default=arrays.reference, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )
    body = b"".join(arrays.blobs)
    digest = hashlib.blake2b(text.encode(), digest_size=12)
    digest.update(body)
    head = f'{{"digest":"{digest.hexdigest()}",{text[1:]}'.encode()
    start = b"".join((MAGIC, len(head).to_bytes(4, "little"), head))
    return b"".join((start, bytes(-len(start) % ALIGNMENT), body))


class _Arrays:
    """Collects the arrays met while the header is written."""

    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self.size = 0

    def reference(self, value: object) -> object:
        if isinstance(value, np.generic):
            return value.item()
        if not isinstance(value, np.ndarray) or value.dtype not in TYPES:
            raise TypeError(f"{type(value).__name__} cannot be sent to the map.")
        blob = np.ascontiguousarray(value).tobytes()
        place = {"$": TYPES[value.dtype], "at": self.size, "count": int(value.size)}
        blob += bytes(-len(blob) % ALIGNMENT)
        self.blobs.append(blob)
        self.size += len(blob)
        return place


def deck_to_json(deck: pdk.Deck) -> dict[str, Any]:
    """What pydeck describes, as plain values; pydeck's own text is indented, four times as long."""
    description: dict[str, Any] = json.loads(deck.to_json())
    description.pop("mapStyle", None)  # a placeholder; the component draws no remote style
    return description


def decode_array(text: object, dtype: type, count: int) -> NDArray[Any] | None:
    """An array that the browser sent, or none if it is not what was expected."""
    if not isinstance(text, str) or len(text) > 4 * (count * np.dtype(dtype).itemsize + 3) // 3 + 4:
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != count * np.dtype(dtype).itemsize:
        return None
    return np.frombuffer(raw, dtype=dtype)


def digest_of(*parts: object) -> str:
    """Changes when any of the parts does: arrays by content, the rest by its representation."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()
