"""Which cities there are: damaged ones are named, the others open."""

import shutil

import pytest

from engine.cities import CityWriter
from engine.cities.registry import (
    Origin,
    embedded_root,
    find_city,
    list_cities,
    open_city,
    remove_city,
    user_root,
)
from engine.errors import CityDamagedError, CityError, CityNotFoundError, InputError
from tests.engine.cities.demo_city import describe, field, write_city


def write_plain(root, city_id):
    with CityWriter(root, describe(city_id)) as writer:
        writer.add_field("inflow", field())


def test_no_cities(data_root):
    assert list_cities() == ()
    assert user_root() == data_root / "cities"
    with pytest.raises(CityNotFoundError, match="Installed: none"):
        open_city("demo")


def test_user_data_lies_where_the_platform_wants_it(monkeypatch, tmp_path):
    monkeypatch.delenv("CITYBRUSH_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert "citybrush" in str(user_root())
    assert user_root().name == "cities"


def test_damaged_cities_are_named_and_the_others_open(data_root, pristine):
    root = user_root()
    write_plain(data_root / "embedded", "berlin")
    for name in ("a-truncated", "b-sound", "c-edited", "d-newer", "e-strange"):
        write_plain(root, name)
    (root / "a-truncated" / "fields" / "inflow.npz").write_bytes(b"")
    metadata = root / "c-edited" / "city.json"
    metadata.write_text(metadata.read_text().replace("Demo", "Nemo"))
    metadata = root / "d-newer" / "city.json"
    metadata.write_text(metadata.read_text().replace('"version": 1', '"version": 9'))
    (root / "e-strange" / "city.json").write_text("[")
    shutil.copytree(pristine, root / "f-other-name")
    (root / "g-empty").mkdir()
    (root / "h-link").symlink_to(pristine)
    write_plain(root / "elsewhere", "berlin")
    (root / "elsewhere" / "berlin").rename(root / "berlin")
    shutil.rmtree(root / "elsewhere")
    (root / "notes.txt").write_text("no folder")

    listings = {(c.origin, c.id): c for c in list_cities()}
    problems = {key: type(c.problem).__name__ for key, c in listings.items() if c.problem}
    assert problems == {
        (Origin.USER, "a-truncated"): "CityDamagedError",
        (Origin.USER, "berlin"): "CityDamagedError",
        (Origin.USER, "c-edited"): "CityDamagedError",
        (Origin.USER, "d-newer"): "CityVersionError",
        (Origin.USER, "e-strange"): "CityDamagedError",
        (Origin.USER, "f-other-name"): "CityDamagedError",
        (Origin.USER, "g-empty"): "CityNotFoundError",
        (Origin.USER, "h-link"): "CityDamagedError",
    }
    assert "same id" in str(listings[Origin.USER, "berlin"].problem)
    assert listings[Origin.USER, "a-truncated"].title == "Demo"
    assert listings[Origin.EMBEDDED, "berlin"].is_usable
    assert open_city("b-sound").id == "b-sound"
    assert open_city("berlin").folder.parent.name == "embedded"
    for name in ("a-truncated", "c-edited", "h-link"):
        with pytest.raises(CityDamagedError):
            open_city(name)


@pytest.mark.usefixtures("data_root")
def test_a_city_stays_open_until_it_is_written_anew():
    write_city(user_root())
    city = open_city("demo")
    assert open_city("demo") is city
    write_city(user_root(), seed=9)
    assert open_city("demo") is not city
    assert open_city("demo").field("inflow").values.sum() == field(9).values.sum()


@pytest.mark.parametrize("name", ["../demo", "/etc", "demo/../demo", "", ".", "..", "Demo", "a\0b"])
@pytest.mark.usefixtures("data_root")
def test_ids_that_leave_the_folder(name):
    write_plain(user_root(), "demo")
    for use in (find_city, open_city, remove_city):
        with pytest.raises(InputError):
            use(name)
    assert find_city("demo").is_usable


def test_only_own_cities_are_removed(data_root):
    write_plain(data_root / "embedded", "berlin")
    write_plain(user_root(), "demo")
    remove_city("demo")
    assert [c.id for c in list_cities()] == ["berlin"]
    with pytest.raises(CityError, match="embedded"):
        remove_city("berlin")
    with pytest.raises(CityNotFoundError):
        remove_city("demo")
    assert [p.name for p in user_root().iterdir()] == [".lock"]


@pytest.mark.usefixtures("data_root")
def test_links_are_not_followed_on_removal(pristine):
    user_root().mkdir()
    (user_root() / "demo").symlink_to(pristine)
    with pytest.raises(CityError, match="link"):
        remove_city("demo")
    assert (pristine / "city.json").exists()


def test_embedded_cities_lie_beside_the_engine():
    assert embedded_root().parts[-2:] == ("assets", "cities")


def test_shipped_cities_are_sound():
    from engine.cities.inspection import check_city

    for listing in list_cities():
        if listing.origin is Origin.EMBEDDED:
            assert check_city(listing.folder) == (), listing.id
