"""Where the map's files are, told to Streamlit: all that the server must know before a page runs.

The script is served as a file: given inline, its 1.1 MB would be read, hashed and decoded by both
sides in each run of the page. Streamlit serves files of components that the metadata of an
installed package declares; a checkout has none, so the same declaration is made here.
"""

from pathlib import Path
from typing import Final

from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

FOLDER: Final = Path(__file__).resolve().parents[2] / "assets" / "citymap"
PACKAGE: Final = "citybrush"
NAME: Final = f"{PACKAGE}.citymap"
SCRIPT: Final = "citymap.js"
SCRIPT_ADDRESS: Final = f"./_stcore/bidi-components/{NAME}/{SCRIPT}"
_MANIFEST: Final = ComponentManifest(PACKAGE, "1", [ComponentConfig("citymap", "dist")])


def declare() -> None:
    """Tell this server where the component's files are."""
    manager = get_bidi_component_manager()
    if manager.get_component_path(NAME) is None:
        manager.register_from_manifest(_MANIFEST, FOLDER)
