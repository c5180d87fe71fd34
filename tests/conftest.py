"""Order and grouping of the whole run: all processes are busy to the end, servers are shared."""

import os
import re

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several processes share the cores already

FIRST = ("test_code_style.py", "/browser/test_", "/browser/")
"""The longest begin first."""
SHARED = re.compile(r"tests/browser(/citymap)?(?=/test_)")
"""Folders whose files share a server, and are run by one process therefore."""


def pytest_collection_modifyitems(items):
    """Keep the order within each file, as fixtures of modules want it."""

    def place(item):
        path = item.path.as_posix()
        return next((i for i, part in enumerate(FIRST) if part in path), len(FIRST))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One process a file, as ``--dist loadfile`` does, and one for files that share a server."""
    from xdist.scheduler import LoadFileScheduling

    class BySharedServer(LoadFileScheduling):
        def _split_scope(self, nodeid):
            shared = SHARED.match(nodeid)
            return shared[0] if shared else super()._split_scope(nodeid)

    return BySharedServer(config, log)
