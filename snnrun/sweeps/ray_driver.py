"""The process of launcher=ray that talks to Ray, since Ray ends a process whose cluster goes away."""

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from snnrun.sweeps.job import KILLED, Job, Outcome, cut_off, execute_at
from snnrun.sweeps.sharing import Place

LOOK_EVERY_S = 2.0
RECONNECT_S = "10"  # Ray's own 60 s are for a cluster whose head starts again, which one of this sweep does not
NODE_DIED = "its node of the Ray cluster went away"


@dataclass(frozen=True)
class Tasks:
    """What each job is as a task.

    Attributes:
        settings: of ray.init, which connects to the cluster or starts one.
        resources: what a job reserves, as ray.remote takes it.
        place: where it runs.
    """

    settings: dict[str, Any]
    resources: dict[str, float]
    place: Place


def drive(tasks: Tasks, control: "Connection[Any, Any]", slots: "list[Connection[Any, Any]]", log: Path) -> None:
    """Answer each job that comes in a slot with its outcome, until `control` is closed or the cluster has gone.

    Args:
        tasks: what each job is.
        control: is sent None when the cluster is there, or else a line that says why not.
        slots: a connection for each job at a time.
        log: to which the messages of Ray are added.
    """
    os.setsid()  # Ctrl-C does not come here, and all that Ray starts can be told from other clusters
    _write_to(log)
    if tasks.settings["address"] == "local":
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", RECONNECT_S)
    import ray  # not before its variables are set

    try:
        ray.init(**tasks.settings, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises a plain Exception too
        traceback.print_exc()
        control.send(" ".join(str(error).split()))
        return
    control.send(None)
    # Ray sets CUDA_VISIBLE_DEVICES itself; a job that is killed is not repeated behind the sweep's back.
    options: dict[str, Any] = tasks.resources | {"max_retries": 0}
    task = ray.remote(**options)(execute_at)
    alone = tasks.settings["address"] == "local"
    for slot in slots:
        threading.Thread(target=_serve, args=(slot, task, tasks.place, alone), daemon=True).start()
    while not control.poll(LOOK_EVERY_S):  # which it does too when the other end is closed
        _end_if_gone()
    ray.shutdown()
    end_session(os.getpid(), but=os.getpid())
    os._exit(0)  # the threads still wait for their jobs


def end_session(leader: int, but: int | None = None) -> None:
    """Kill what a driver has started, and itself: workers that run a job outlive their raylet."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(path.name)) == leader and int(path.name) != but:
                os.kill(int(path.name), signal.SIGKILL)


def _write_to(log: Path) -> None:
    with suppress(OSError):  # a full disk
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for output in (sys.stdout, sys.stderr):
            os.dup2(file, output.fileno())


def _serve(slot: "Connection[Any, Any]", task: Any, place: Place, alone: bool) -> None:
    while True:
        try:
            job = slot.recv()
        except EOFError:
            return
        slot.send(_run(job, task, place, alone))


def _run(job: Job, task: Any, place: Place, alone: bool) -> Outcome:
    """Run a job as a task; where the cluster is one node, `alone`, it goes with it, though it may not say so yet."""
    import ray

    try:
        outcome: Outcome = ray.get(task.remote(job, place))
    except (ray.exceptions.LocalRayletDiedError, ConnectionError):
        _end()
    except Exception as error:
        traceback.print_exc()
        if alone and isinstance(error, ray.exceptions.NodeDiedError):
            _end()
        _end_if_gone()
        return cut_off(job, _told(error))
    return outcome


def _told(error: Exception) -> str:
    """Say in one line why a task has failed, though its job cannot have raised anything."""
    from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

    if isinstance(error, WorkerCrashedError | OutOfMemoryError):
        return KILLED
    if isinstance(error, NodeDiedError):
        return NODE_DIED
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if isinstance(error, RayTaskError) else lines[0]  # the former has a traceback before it


def _end_if_gone() -> None:
    """End where no node is left; where the head has gone, Ray itself ends the process in the midst of the question."""
    import ray

    nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    try:
        alive = any(node["Alive"] for node in nodes())
    except Exception:
        traceback.print_exc()
        alive = False
    if not alive:
        _end()


def _end() -> NoReturn:
    sys.stderr.flush()
    os._exit(1)
