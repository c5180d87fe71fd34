"""Models kept in a worker between jobs.

One cache per worker process. Keys are checksums of weights, so a changed file is another model.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

Model = TypeVar("Model")


class WorkerCache:
    """The few most recently used values; loading happens once per key.

    Args:
        capacity: how many values are kept.
    """

    def __init__(self, capacity: int = 4) -> None:
        self.capacity = capacity
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str, loader: Callable[[], Model]) -> Model:
        """The value of ``key``, from ``loader`` the first time; what it raises is not kept."""
        with self._lock:
            if key not in self._values:
                # room is made first, so that the old and the new do not fill the device together
                while len(self._values) >= self.capacity:
                    self._values.popitem(last=False)
                self._values[key] = loader()
            self._values.move_to_end(key)
            return self._values[key]

    def clear(self) -> None:
        """Forget everything, for instance when the device's memory runs out."""
        with self._lock:
            self._values.clear()


worker_cache = WorkerCache()
"""This process's cache."""
