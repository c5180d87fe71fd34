"""The question of the page "Missing sensors": when, under which conditions, and which are gone."""

from dataclasses import dataclass
from datetime import date, datetime

import streamlit as st

from engine import api
from engine.domain import Scenario
from engine.errors import EngineError
from pages.shared import cache
from pages.shared.citymap import MapOptions, paint_mask
from pages.shared.frame import show_error
from pages.shared.state import component_state
from pages.shared.text import as_text

MAP_HEIGHT_PX = 430
MORNING_PEAK = 8
PAINT, MAPS = "Paint", "3D maps"
ICONS = {PAINT: ":material/brush:", MAPS: ":material/view_in_ar:"}
PATTERNS = {
    api.Pattern.ALL: "All working",
    api.Pattern.FIXED: "Fixed",
    api.Pattern.RANDOM: "Random",
    api.Pattern.QUARTER: "Quarter",
}
WEATHERS = {"dry": "dry", "light-rain": "light rain", "heavy-rain": "heavy rain"}
DAYS = {"a public holiday": True, "no holiday": False}
HISTORIES = {
    api.History.NEVER: "Never existed",
    api.History.UNTIL_NOW: "Worked until now",
    api.History.NONE: "Nothing earlier is known",
}


@dataclass(frozen=True)
class Moment:
    """When, and how to answer.

    Args:
        index: step of the field.
        when: its beginning, local time.
        history: what earlier readings there are of the missing sensors.
        sampling: samples, steps and seed.
        supposed: conditions that are not as they were.
        is_live: answer after every stroke.
    """

    index: int
    when: datetime
    history: api.History
    sampling: api.Sampling
    supposed: api.Supposed
    is_live: bool


@dataclass(frozen=True, eq=False)
class MaskChoice:
    """The mask to begin painting from.

    Args:
        initial: (I, J) bool.
        version: changes when painting begins anew.
    """

    initial: api.Mask
    version: tuple[object, ...]


def _choose_part() -> str:
    return str(
        st.segmented_control(
            "Look",
            [PAINT, MAPS],
            format_func=_part_label,
            default=PAINT,
            required=True,
            key="sensors-part",
            persist_state="session",
            help="Paint with a flat preview that follows each stroke, or look around in 3D.",
        )
    )


def _part_label(part: str) -> str:
    return f"{ICONS[part]} {part}"


def draw_moment(city: api.City, model: api.Model) -> tuple[Moment, bool]:
    """Date, half hour, conditions of that moment, and what is advanced; whether to paint.

    One 3D map at a time: painting has flat maps beside it.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        day = _draw_day(city, model)
        steps = api.day_steps(model, day)
        peak = next((i for i, (_, when) in enumerate(steps) if when.hour == MORNING_PEAK), 0)
        number = st.select_slider(
            "Time",
            range(len(steps)),
            value=peak,
            format_func=lambda i: f"{steps[min(i, len(steps) - 1)][1]:%H:%M}",
            key=f"sensors-time-{city.id}-{len(steps)}",
            persist_state="session",
            width=200,
            help=f"Local time, {city.metadata.timezone}. The mask stays; the map is computed anew.",
        )
        index, when = steps[number]
        supposed = _draw_conditions(city, model, when)
        part = _choose_part()
        with st.popover("Advanced", icon=":material/tune:", help="Samples, steps, seed, history"):
            history, sampling, is_live = _draw_advanced(city)
    if index < api.held_out_from(model):
        st.caption(
            ":material/school: The model was trained on this day: errors look smaller here than "
            f"on new days. From {_held_out_day(model):%-d %B %Y} on, nothing was trained on."
        )
    return Moment(index, when, history, sampling, supposed, is_live), part == PAINT


def _held_out_day(model: api.Model) -> date:
    return model.field.time_of(api.held_out_from(model)).date()


def _draw_day(city: api.City, model: api.Model) -> date:
    first, last = api.covered_days(model)
    day = st.date_input(
        "Day",
        value=min(_held_out_day(model), last),
        min_value=first,
        max_value=last,
        format="YYYY-MM-DD",
        key=f"sensors-day-{city.id}",
        persist_state="session",
        width=140,
    )
    return day if isinstance(day, date) else first


def _draw_conditions(city: api.City, model: api.Model, when: datetime) -> api.Supposed:
    """Kind of day and weather of the moment, and what the user supposes instead."""
    found = api.conditions_at(city, when)
    if found is None:
        return api.Supposed()
    nothing = "as it was"
    with st.popover(_conditions_text(city, found, when), icon=":material/partly_cloudy_day:"):
        rain = f", {found.rain_mm_h:.1f} mm/h" if found.rain_mm_h else ""
        kind = "public holiday" if found.is_holiday else found.day_type
        st.markdown(
            f"{when:%A %-d %B}: {as_text(kind)}, {as_text(found.weather)}{rain}, "
            f"{found.temperature_c:.0f} °C"
        )
        if not model.config.use_conditions:
            st.caption("These weights do not look at weather and holidays.")
            return api.Supposed()
        weather = st.selectbox(
            "Suppose the weather were",
            [nothing, *WEATHERS],
            format_func=lambda name: WEATHERS.get(name, name),
            key=f"sensors-weather-{city.id}",
            persist_state="session",
        )
        holiday = st.selectbox(
            "Suppose the day were",
            [nothing, *DAYS],
            key=f"sensors-holiday-{city.id}",
            persist_state="session",
        )
        st.caption(
            "The sensors' counts stay what they were. The truth, where it is known, is that of "
            "the day as it was."
        )
    return api.Supposed(None if weather == nothing else weather, DAYS.get(holiday))


def _conditions_text(city: api.City, found: api.Conditions, when: datetime) -> str:
    store = component_state()
    changed = any(
        store.get(f"sensors-{name}-{city.id}", "as it was") != "as it was"
        for name in ("weather", "holiday")
    )
    return f"{when:%a}, {found.temperature_c:.0f} °C{', supposed' if changed else ''}"


def _draw_advanced(city: api.City) -> tuple[api.History, api.Sampling, bool]:
    is_live = st.toggle(
        "Answer after every stroke",
        value=True,
        key="sensors-live",
        persist_state="session",
    )
    history = st.selectbox(
        "The missing sensors",
        list(HISTORIES),
        format_func=HISTORIES.__getitem__,
        key=f"sensors-history-{city.id}",
        persist_state="session",
        help="Which earlier readings the model may look at.",
    )
    samples = st.slider(
        "Possible maps (samples)",
        2,
        64,
        16,
        key="sensors-samples",
        persist_state="session",
        help="More of them make the uncertainty smoother, and the answer slower.",
    )
    steps = st.slider("Sampler steps", 1, 32, 8, key="sensors-steps", persist_state="session")
    seed = st.number_input(
        "Seed",
        0,
        10_000,
        0,
        key="sensors-seed",
        persist_state="session",
        help="The same seed gives the same maps, here, from Python and on the command line.",
    )
    return history, api.Sampling(int(samples), int(steps), int(seed)), is_live


def draw_mask(city: api.City, model: api.Model, *, is_painting: bool = True) -> api.Mask:
    """The sensors' map to paint on, or what was painted on it last."""
    kept = f"sensors-mask-{city.id}"
    store = component_state()
    if not is_painting:
        mask: api.Mask = store.get(kept, _pattern(model, api.Pattern.FIXED, 40, 0))
        return mask
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with row:
        choice = _choose_mask(city, model)
    painted = paint_mask(
        model.coarse,
        _pattern(model, api.Pattern.ALL, 0, 0),
        key=f"sensors-map-{city.id}",
        options=MapOptions(
            label=f"Sensors of {city.title}", height=MAP_HEIGHT_PX, basemap=cache.basemap(city)
        ),
        initial=choice.initial,
        version=choice.version,
    )
    store[kept] = painted.observed
    with row:
        _draw_files(city, model, painted.observed)
    return painted.observed


def _pattern(model: api.Model, pattern: api.Pattern, percent: int, seed: int) -> api.Mask:
    return api.pattern_mask(model.coarse.shape, pattern, percent / 100, seed)


def _choose_mask(city: api.City, model: api.Model) -> MaskChoice:
    """The row above the map: the pattern to begin with, which sensors are gone, files."""
    loaded = f"sensors-loaded-{city.id}"
    with st.popover("Pattern", icon=":material/grid_view:"):
        pattern = st.segmented_control(
            "Sensors to begin with",
            list(PATTERNS),
            format_func=PATTERNS.__getitem__,
            default=api.Pattern.FIXED,
            required=True,
            key=f"sensors-pattern-{city.id}",
            persist_state="session",
            on_change=_forget,
            args=(loaded,),
            help="Fixed is the benchmarks' choice of missing sensors, Random another draw.",
        )
        percent = _draw_number("Missing, %", 5, 95, 40, loaded)
        seed = _draw_number("Draw (seed)", 0, 10_000, 0, loaded)
    kept = component_state().get(loaded)
    if kept is not None:
        return MaskChoice(kept[1], ("file", kept[0]))
    pattern = api.Pattern(pattern)
    return MaskChoice(_pattern(model, pattern, percent, seed), (pattern.value, percent, seed))


def _draw_number(label: str, low: int, high: int, value: int, loaded: str) -> int:
    number = st.number_input(
        label,
        low,
        high,
        value,
        step=5 if high <= 100 else 1,
        key=f"sensors-{label}",
        persist_state="session",
        on_change=_forget,
        args=(loaded,),
        width=110,
    )
    return int(number)


def _forget(key: str) -> None:
    """A pattern was chosen: the file that was loaded before no longer counts."""
    component_state().pop(key, None)


def _draw_files(city: api.City, model: api.Model, observed: api.Mask) -> None:
    """Count and names of the missing sensors; the mask as a file, and from one."""
    names = cache.coarse_sensor_names(city, model)
    gone = [name for name, works in zip(names, observed.ravel(), strict=True) if not works]
    with st.popover(f"{len(gone)} missing", icon=":material/sensors_off:"):
        st.caption("Each sensor counts one coarse cell; the cell's longest street names it.")
        st.caption(f"{observed.size - len(gone)} of {observed.size} sensors work. Missing are:")
        st.markdown("  \n".join(as_text(name) for name in gone) or "none")
    with st.popover("File", icon=":material/save:"):
        _draw_mask_file(city, model, observed)


def _draw_mask_file(city: api.City, model: api.Model, observed: api.Mask) -> None:
    with st.container(horizontal=True):
        for name, content in (
            ("json", api.mask_to_json(observed)),
            ("csv", api.mask_to_csv(observed)),
        ):
            st.download_button(
                f"Save {name.upper()}",
                content,
                f"sensors-{city.id}.{name}",
                key=f"save-{name}",
                on_click="ignore",
            )
    key = f"sensors-file-{city.id}"
    st.file_uploader(
        "Load a mask: rows of 1 (works) and 0 (missing), north first",
        ("json", "csv"),
        key=key,
        max_upload_size=1,
        on_change=_take_file,
        args=(key, f"sensors-loaded-{city.id}", model.coarse.shape),
    )
    problem = component_state().get(f"{key}-problem")
    if isinstance(problem, EngineError):
        show_error(problem)


def _take_file(key: str, loaded: str, shape: tuple[int, int]) -> None:
    store = component_state()
    store.pop(f"{key}-problem", None)
    file = store.get(key)
    if file is None:
        return
    try:
        mask = api.read_mask(file.getvalue(), file.name, shape)
    except EngineError as error:
        store[f"{key}-problem"] = error
        return
    store[loaded] = (file.file_id, mask)


def make_scenario(city: api.City, moment: Moment, mask: api.Mask) -> Scenario | None:
    """The question; None where no sensor is missing, or none is left, and why is shown."""
    try:
        scenario = api.reconstruct_scenario(
            city.id, moment.when, mask, sampling=moment.sampling, history=moment.history
        )
        return api.suppose(scenario, moment.supposed)
    except EngineError as error:
        st.info(as_text(error.fix), title=as_text(error.what), icon=":material/brush:")
        return None
