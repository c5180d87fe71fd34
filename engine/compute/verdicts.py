"""The sentences with which jobs end that did not end well."""

from engine.compute.jobs import Device
from engine.errors import ComputeError, DeviceError, JobCancelledError, JobFailedError


def cancelled() -> JobCancelledError:
    """The user's own wish."""
    return JobCancelledError("The job was cancelled.")


def lost_twice(out_of_memory: bool) -> JobFailedError:
    """Its worker ended under it, and again on the second try."""
    if out_of_memory:
        return JobFailedError(
            "The job needs more memory than a worker may use.",
            fix="Ask for fewer samples at once or a smaller area, or give the workers more memory.",
        )
    return JobFailedError(
        "The worker that ran the job ended unexpectedly, twice.",
        fix="Try again; if it happens again, the server's log says more.",
    )


def too_long(limit_s: float) -> JobFailedError:
    """It ran longer than a job may."""
    return JobFailedError(
        f"The job took longer than {limit_s:.0f} s and was stopped.",
        fix="Ask for fewer samples, fewer steps or a smaller area.",
    )


def unusable(scheduler: str) -> ComputeError:
    """The cluster is there and does not do as it should."""
    return ComputeError(
        "The compute cluster cannot be used.",
        scheduler or "this computer",
        "The server's log says more.",
    )


def no_such_device(device: Device) -> DeviceError:
    """No worker has it."""
    return DeviceError(
        f"No worker has a {device.value} device.", fix="Choose another device, or auto."
    )
