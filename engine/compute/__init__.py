"""Jobs on dask.distributed: embedded by default, an existing cluster by one setting.

The server never runs torch. It hands typed jobs to worker processes, shows their progress, and
stops them::

    service = ComputeService()                      # one per server; nothing is started yet
    handle = service.submit(Job("engine.….run", request, session="…", seed=7))
    handle.status                                   # state, place in line, fraction, estimate …
    handle.cancel()
    handle.result()

=====================  ================================================================
``service``            the door: takes jobs, tells how they and the workers stand
``jobs``, ``handle``   a job, its progress, its status; what a job function looks like
``settings``           where jobs run, from the environment
``dispatcher``         the thread that moves jobs on; ``line`` keeps their turns
``cluster``            the connection to a cluster, holding ``distributed.Client``
``embedded``           starts the cluster on this computer and holds its life
``serving``            that cluster, in its own process
``workers``            the workers as the server sees them
``payload``            what may travel, and how
``runner``, ``worker_side``, ``context``, ``worker_cache``, ``hardware``    inside a worker
``proving``, ``proving_sampler``, ``drills``, ``measuring``    proof that it all works
=====================  ================================================================

Only ``proving_sampler`` needs torch at import, and only workers import it.
"""

from engine.compute.handle import JobHandle
from engine.compute.jobs import Device, Job, JobContext, JobState, JobStatus, JobSteps, Progress
from engine.compute.service import ComputeService, ServiceStatus
from engine.compute.settings import ComputeSettings
from engine.compute.worker_cache import worker_cache
from engine.compute.workers import WorkerState, WorkerStatus

__all__ = [
    "ComputeService",
    "ComputeSettings",
    "Device",
    "Job",
    "JobContext",
    "JobHandle",
    "JobState",
    "JobStatus",
    "JobSteps",
    "Progress",
    "ServiceStatus",
    "WorkerState",
    "WorkerStatus",
    "worker_cache",
]
