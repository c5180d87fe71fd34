"""Trajectories as moving trails."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.render.deck import MAX_VIEWS, Bounds, describe
from engine.render.palettes import ColorScale, categorical_colors
from pages.shared.citymap.component import mount
from pages.shared.citymap.documents import cached_payload
from pages.shared.citymap.options import MapOptions
from pages.shared.citymap.payload import deck_to_json, digest_of, encode_payload
from pages.shared.state import component_state, keep_tab

MAX_POINTS = 2_000_000
ScreenLine = tuple[float, float, float, float]
"""A line across which trips are counted: lon, lat of its begin and of its end."""


@dataclass(frozen=True, eq=False)
class TripGroup:
    """Trips that belong together, for example those of the baseline.

    Args:
        title: names the group.
        paths: of each trip, (K, 2) lon, lat.
        times: of each trip, (K,) seconds after midnight, rising.
        attribute: of each trip, a number to colour by; NaN where unknown.
        names: of each trip; empty to number them.
    """

    title: str
    paths: Sequence[NDArray[np.float64]]
    times: Sequence[NDArray[np.float64]]
    attribute: NDArray[np.float64] | None = None
    names: tuple[str, ...] = ()

    def check(self) -> None:
        """Whether it can be drawn.

        Raises:
            InputError: lengths differ, or a position or time is no number or not in order.
        """
        extra = [len(x) for x in (self.attribute, self.names) if x is not None and len(x)]
        if not self.paths or any(n != len(self.paths) for n in (len(self.times), *extra)):
            raise InputError(
                f"The trips of '{self.title}' are incomplete.",
                f"{len(self.paths)} paths, {len(self.times)} times",
                "Give at least one trip, and a path and times for each.",
            )
        for number, (path, times) in enumerate(zip(self.paths, self.times, strict=True)):
            if path.ndim != 2 or path.shape[1:] != (2,) or path.shape[:1] != times.shape:
                raise InputError(
                    "A trip needs one time per position.",
                    f"{self.title}, trip {number + 1}: path {path.shape}, times {times.shape}",
                )
            if (
                not (np.isfinite(path).all() and np.isfinite(times).all())
                or (np.diff(times) < 0).any()
            ):
                raise InputError(
                    "A trip's positions and times must be numbers, the times rising.",
                    f"{self.title}, trip {number + 1}",
                )


@dataclass(frozen=True)
class TripMotion:
    """How the trips move.

    Args:
        trail_s: length of a trail, seconds.
        speed: seconds of the city per second of the user.
        side_by_side: one view per group instead of one for all.
        scale: colours of the attribute; without it each group has its colour.
    """

    trail_s: float = 120.0
    speed: float = 60.0
    side_by_side: bool = False
    scale: ColorScale | None = None


def view_trips(
    groups: Sequence[TripGroup],
    *,
    key: str,
    motion: TripMotion | None = None,
    options: MapOptions | None = None,
    version: Hashable = None,
    countable: bool = False,
) -> ScreenLine | None:
    """Draw moving trails, and return the screen line that the user drew, if any.

    Play, pause, speed, scrubbing and trail length are the user's.

    Args:
        groups: one to four.
        key: of the map, unique on the page.
        motion: speed, trail, colours, arrangement.
        options: label, height, the city below.
        version: names the data, as in :func:`pages.shared.citymap.views.view_maps`.
        countable: whether the user can draw a screen line.

    Raises:
        InputError: a group cannot be drawn, or there are too many points.
    """
    options, motion = options or MapOptions(label="Trips"), motion or TripMotion()
    if not 1 <= len(groups) <= MAX_VIEWS:
        raise InputError(f"A map has one to {MAX_VIEWS} groups.", f"{len(groups)} were given")
    content: list[object] = [version]
    if version is None:
        for group in groups:
            group.check()
            content += [np.concatenate(group.paths), np.concatenate(group.times), group.attribute]
            content += [[len(path) for path in group.paths], group.names]
    titles = tuple(group.title for group in groups)
    look = (options.label, options.height, options.is_3d, options.basemap.digest, countable)
    token = digest_of("trips", titles, motion, look, *content)
    payload = cached_payload(
        key, token, lambda: _encode(key, groups, motion, options, countable=countable)
    )
    if not countable:
        mount(key, payload)
        return None
    return _line(key, mount(key, payload, "line")["line"])


def _line(key: str, told: Mapping[str, Any] | None) -> ScreenLine | None:
    """What the browser told, or what it told before the user left this page."""
    store, slot = component_state(), f"citymap:{key}:line"
    if told is not None and told.get("map") == key:
        store[slot] = told.get("line")
        keep_tab()
    kept = store.get(slot)
    if not isinstance(kept, list) or len(kept) != 4:
        return None
    if not all(isinstance(number, int | float) and np.isfinite(number) for number in kept):
        return None
    west, south, east, north = (float(number) for number in kept)
    return west, south, east, north


def _encode(
    key: str,
    groups: Sequence[TripGroup],
    motion: TripMotion,
    options: MapOptions,
    *,
    countable: bool,
) -> bytes:
    for group in groups:
        group.check()
    points = [np.concatenate(group.paths) for group in groups]
    moments = [np.concatenate(group.times) for group in groups]
    if sum(len(p) for p in points) > MAX_POINTS:
        raise InputError(
            "There are too many trips for one map.",
            f"{sum(len(p) for p in points):,} points; at most {MAX_POINTS:,}",
            "Show fewer of them, or a shorter time.",
        )
    every = np.concatenate(points)
    bounds: Bounds = (*_corner(every.min(axis=0)), *_corner(every.max(axis=0)))
    trips = {
        "id": key,
        "countable": countable,
        "title": options.label,
        "groups": [_group(i, group, points[i], moments[i]) for i, group in enumerate(groups)],
        "begin": float(np.floor(min(m.min() for m in moments))),
        "end": float(np.ceil(max(m.max() for m in moments))),
        "trail": float(motion.trail_s),
        "speed": float(motion.speed),
        "sideBySide": motion.side_by_side,
        "scale": motion.scale.to_json() if motion.scale else None,
    }
    return encode_payload(
        {
            "kind": "trips",
            **options.header(key, bounds, is_3d=options.is_3d),
            "deck": deck_to_json(describe(options.basemap.layers(), bounds, is_3d=options.is_3d)),
            "cells": None,
            "trips": trips,
        }
    )


def _group(
    index: int, group: TripGroup, points: NDArray[np.float64], moments: NDArray[np.float64]
) -> dict[str, Any]:
    sizes = [len(path) for path in group.paths]
    attribute = None if group.attribute is None else np.asarray(group.attribute, np.float32)
    return {
        "id": f"group{index}",
        "title": group.title,
        "color": categorical_colors(MAX_VIEWS)[index],
        "positions": points.astype(np.float64).ravel(),
        "times": moments.astype(np.float32),
        "starts": np.cumsum([0, *sizes[:-1]]).astype(np.uint32),
        "attribute": attribute,
        "names": list(group.names),
    }


def _corner(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])
