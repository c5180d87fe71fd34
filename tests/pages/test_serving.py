"""The server's part: what a page begins as, and what is loaded before anyone asks."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
import streamlit as st
from starlette.requests import Request

from pages.shared import serving, traffic
from pages.shared.component_files import SCRIPT_ADDRESS
from pages.shared.navigation import PAGES


def run(coroutine):
    """In a thread of its own: where browser tests ran before, this one has a loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def get(route):
    scope = {"type": "http", "method": "GET", "path": route.path, "headers": []}
    return run(route.endpoint(Request(scope)))


def test_every_page_has_an_address_of_its_own():
    paths = [route.path for route in serving.page_routes()]
    assert len(paths) == len(set(paths)) == len(PAGES)
    assert "/" in paths and "/city" in paths


@pytest.mark.parametrize("index", range(len(PAGES)))
def test_a_page_is_streamlits_and_names_the_maps_script(index):
    response = get(serving.page_routes()[index])
    html = response.body.decode()
    assert response.status_code == 200
    assert html.count(f'<link rel="modulepreload" crossorigin href="{SCRIPT_ADDRESS}">') == 1
    assert '<div id="root">' in html and "<title>Streamlit</title>" in html
    assert all(html.count(f"./static/js/{name}.") == 1 for name in serving.CHUNKS)
    assert html.index(SCRIPT_ADDRESS) < html.index("<title>")


def enter(monkeypatch, prepare):
    monkeypatch.setattr(traffic, "prepare", prepare)

    async def start_and_stop():
        async with serving.warm_server(st.App("app.py")):
            pass

    run(start_and_stop())


def test_the_first_visitors_wait_is_done_beforehand(monkeypatch):
    calls = []
    enter(monkeypatch, lambda: calls.append(1))
    assert calls == [1]


def test_a_city_that_cannot_be_loaded_does_not_keep_the_server_down(monkeypatch, caplog):
    def fail():
        raise OSError("disk full")

    with caplog.at_level(logging.ERROR):
        enter(monkeypatch, fail)
    assert "nothing was loaded beforehand" in caplog.text and "disk full" in caplog.text
