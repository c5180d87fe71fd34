"""What the pages share: state, frame, caches and the map component's Python side.

Streamlit discovers ``pages/*.py`` only, so nothing in this folder becomes a page.
"""
