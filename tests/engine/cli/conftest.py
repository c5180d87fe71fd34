"""The small city with weights, for commands that ask about its missing sensors."""

from tests.engine.api.conftest import sensors_data, small

__all__ = ["sensors_data", "small"]
