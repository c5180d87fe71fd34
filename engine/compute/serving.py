"""The cluster on this computer, in a process of its own: ``python -m engine compute serve``.

Why a process of its own: worker processes are spawned, and a spawned process runs its parent's
main script again. Inside ``streamlit run`` that script is the page.

The process that starts it holds both ends of its life: the first line on standard output is the
scheduler's address with the TLS material, and when standard input closes, for whatever reason,
the cluster ends. Key and certificate exist in memory only, made anew at each start.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

from engine.compute.hardware import has_mps, list_cuda_ids
from engine.compute.jobs import Device
from engine.compute.payload import encode_error
from engine.compute.settings import GIB, MIN_WORKER_MEMORY_BYTES
from engine.errors import DeviceError, EngineError, InputError

if TYPE_CHECKING:
    from distributed import Nanny, Security

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
WORKER_NICE = 5
"""Workers stand back behind the pages and the browser on the same computer."""
_MEMORY_SHARE = 0.7
_GOODBYE_TIMEOUT_S = 2.0
_CONFIG: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # whether to run again is for the server to say
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.target": False,  # nothing is written to disk
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.log-length": 1000,
}


@dataclass(frozen=True)
class WorkerPlan:
    """One worker process.

    Args:
        name: unique in the cluster.
        device: kind of device it computes on.
        num_threads: threads that one job may use.
        memory_bytes: a worker that grows beyond it is ended and started again.
        cuda_id: the one device it sees, for CUDA.
    """

    name: str
    device: Device
    num_threads: int
    memory_bytes: int
    cuda_id: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that pin the process to its device and its share of the cores."""
        threads = str(self.num_threads)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        pinned = dict.fromkeys(names, threads) | {
            "CITYBRUSH_WORKER_DEVICE": self.device.value,
            "CITYBRUSH_WORKER_NICE": str(WORKER_NICE),
        }
        # threads that wait for each other by spinning stand still beside any other busy program:
        # measured at a load of four per core, samplers ran 20 times slower with it than without
        pinned["OMP_WAIT_POLICY"] = "PASSIVE"
        if self.device is Device.CUDA:
            pinned["CUDA_VISIBLE_DEVICES"] = self.cuda_id
        return pinned


def plan_workers(
    device: Device, num_workers: int | None, memory_bytes: int | None
) -> tuple[WorkerPlan, ...]:
    """One worker per device, and the CPU beside a graphics device for what needs none.

    Args:
        device: AUTO for all there is.
        num_workers: CPU workers; None for two where there are two cores, so that a simulation
            and a model can run side by side, and for one beside a graphics device.
        memory_bytes: limit of each; None for an equal share of 70 % of the memory.

    Raises:
        DeviceError: the device is not there.
    """
    cuda_ids = list_cuda_ids() if device in (Device.AUTO, Device.CUDA) else []
    num_mps = int(has_mps() and device in (Device.AUTO, Device.MPS))
    if (device is Device.CUDA and not cuda_ids) or (device is Device.MPS and not num_mps):
        raise DeviceError(
            f"This computer has no {device.value} device.",
            fix="Choose another device, or auto.",
        )
    num_graphics = len(cuda_ids) + num_mps
    num_cores, total_bytes = _machine()
    num_cpu = num_workers or (1 if num_graphics else min(2, num_cores))
    num_all = num_cpu + num_graphics
    threads = max(1, num_cores // num_all)
    # the hardware's whole memory is the ceiling that dask itself puts on a limit
    memory = memory_bytes or max(
        MIN_WORKER_MEMORY_BYTES, int(min(total_bytes * _MEMORY_SHARE / num_all, 64 * GIB))
    )
    graphics = [
        WorkerPlan(f"cuda-{cuda_id}", Device.CUDA, threads, memory, cuda_id) for cuda_id in cuda_ids
    ] + [WorkerPlan("mps-0", Device.MPS, threads, memory)] * num_mps
    cpus = [WorkerPlan(f"cpu-{n}", Device.CPU, threads, memory) for n in range(num_cpu)]
    return (*graphics, *cpus)


def _machine() -> tuple[int, int]:
    # both heed the limits of a container
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    return int(CPU_COUNT), int(MEMORY_LIMIT)


def serve(device: Device, num_workers: int | None, memory_bytes: int | None) -> int:
    """Run the cluster until standard input closes.

    Returns:
        exit code: 0 after standard input closed, 2 when the cluster could not be started.

    Raises:
        InputError: standard output is a terminal; the first line holds a private key.
    """
    if sys.stdout.isatty():
        raise InputError(
            "This command serves a program that reads its answer.",
            "python -m engine compute serve",
            "The app starts it by itself; for a cluster of your own see the README.",
        )
    answer = _claim_stdout()
    closed = asyncio.Event()
    loop = asyncio.new_event_loop()
    threading.Thread(target=_watch_stdin, args=(closed, loop), daemon=True).start()
    try:
        plans = plan_workers(device, num_workers, memory_bytes)
        loop.run_until_complete(_run(plans, answer, closed))
    except EngineError as error:
        _hand_over(answer, {"error": encode_error(error)})
        return 2
    return 0


def _claim_stdout() -> TextIO:
    # what anything else prints goes to standard error: the answer must be the first line alone
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answer


def _hand_over(answer: TextIO, message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        answer.write(json.dumps(message) + "\n")
        answer.flush()


def _watch_stdin(closed: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(closed.set)
    # whatever state the cluster is in, a moment later nothing is left of it
    time.sleep(_GOODBYE_TIMEOUT_S)
    end_descendants()
    os._exit(0)


def end_descendants() -> None:
    """Kill every process below this one: workers, and what their jobs have started."""
    import psutil

    killed = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            # multiprocessing's own helper ends with us, and would be missed before
            if "resource_tracker" not in " ".join(process.cmdline()):
                process.kill()
                killed.append(process)
    psutil.wait_procs(killed, timeout=1.0)


async def _run(plans: tuple[WorkerPlan, ...], answer: TextIO, closed: asyncio.Event) -> None:
    import dask
    from distributed import Scheduler, Security

    logging.getLogger("distributed").setLevel(logging.WARNING)
    # what they say when a client or a worker leaves unasked, with whole messages in it, is known
    # to the server anyway, which says it in words
    for noisy in ("distributed.comm", "distributed.process", "distributed.scheduler"):
        logging.getLogger(noisy).disabled = True
    dask.config.set(_CONFIG)
    security = Security.temporary()
    async with Scheduler(
        host=LOOPBACK,
        port=0,
        protocol="tls",
        security=security,
        dashboard=False,
        dashboard_address=f"{LOOPBACK}:0",
    ) as scheduler:
        tls = {
            "ca": security.tls_ca_file,
            "cert": security.tls_client_cert,
            "key": security.tls_client_key,
        }
        workers = [asdict(plan) for plan in plans]
        _hand_over(answer, {"address": scheduler.address, "tls": tls, "workers": workers})
        nannies = [_make_nanny(plan, scheduler.address, security) for plan in plans]
        starting = asyncio.gather(*nannies, return_exceptions=True)
        await closed.wait()
        starting.cancel()
        for nanny in nannies:
            nanny.close_gracefully()  # that is: do not start the worker again
        end_descendants()
        await asyncio.gather(*(nanny.close() for nanny in nannies), return_exceptions=True)


def _make_nanny(plan: WorkerPlan, address: str, security: "Security") -> "Nanny":
    from distributed import Nanny

    return Nanny(
        address,
        name=plan.name,
        nthreads=1,
        silence_logs=logging.WARNING,
        memory_limit=plan.memory_bytes,
        env=plan.environment,
        host=LOOPBACK,
        protocol="tls",
        security=security,
        dashboard=False,
        dashboard_address=f"{LOOPBACK}:0",
    )
