"""Jobs of a page, run at once in this process instead of by a worker."""

from types import SimpleNamespace

from engine.compute.handle import JobHandle
from engine.compute.jobs import JobState
from engine.compute.runner import find_function
from engine.compute.service import ComputeService
from engine.errors import EngineError


class InlineJobs:
    """Runs each job when it is submitted, and remembers what was asked.

    ``error`` is raised by every job that begins while it is set.
    """

    def __init__(self):
        self.scenarios = []
        self.error = None

    def submit(self, job):
        """A handle of the job, which has ended already."""
        self.scenarios.append(job.request)
        handle = JobHandle(f"job{len(self.scenarios)}", job, lambda _: 0, lambda _: None)
        context = SimpleNamespace(device="cpu", raise_if_cancelled=lambda: None)
        steps = find_function(job.function)(job.request, context)
        try:
            if self.error is not None:
                raise self.error
            while True:
                step = next(steps)
                handle.change(state=JobState.RUNNING, estimate=step.estimate, message=step.message)
        except StopIteration as end:
            handle.change(end.value, state=JobState.DONE, fraction=1.0)
        except EngineError as error:
            handle.change(state=JobState.FAILED, error=error)
        return handle


def run_jobs_inline(monkeypatch):
    """All jobs from now on; returns what runs them."""
    inline = InlineJobs()
    monkeypatch.setattr(ComputeService, "submit", lambda self, job: inline.submit(job))
    return inline
