"""Order of the whole run: the longest files begin first, so that all processes end together."""

FIRST = ("test_code_style.py", "/browser/")


def pytest_collection_modifyitems(items):
    """Keep the order within each file, as fixtures of modules want it."""
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in FIRST))
