"""Workers as tasks of a Ray cluster: each task runs a worker process on the machine that Ray assigns."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ParamsError, StudyError, one_line_message
from .processes import last_line, worker_command
from .storage import STORAGE_VARIABLE, storage_url

EXCLUDED_PATHS = [
    ".venv",
    ".git",
    ".dvc/cache",
    ".fivefold",
    "mlruns",
    "models",
    "reports",
    "data/prepared",
    "data/selected",
]
"""Paths of a project that are not sent to other machines: no trial reads them."""
MAX_OUTPUT_CHARS = 20_000
"""Characters of a worker's output that are stored, the last ones."""
CONNECT_TIMEOUT = 5
"""Seconds until a connection attempt to a cluster fails."""


@dataclass
class RayWorkerPool:
    """Worker tasks of one study.

    remote_function: `run_worker` as a Ray remote function. worker_args: arguments of a worker's command line.
    project_dir: folder of the project if the cluster is this machine only; "" if the project is sent to the machines.
    """

    remote_function: Any
    worker_args: Sequence[str]
    size: int
    project_dir: str
    running: dict[int, Any] = field(default_factory=dict)
    outputs: dict[int, str] = field(default_factory=dict)

    @classmethod
    def connect(cls, address: str, worker_args: Sequence[str], size: int) -> "RayWorkerPool":
        """Connect to a cluster; address `local` starts one on this machine, `auto` finds one or starts it.

        Raises:
            ParamsError: Ray is not installed, or the cluster cannot reach the storage.
            StudyError: the cluster does not respond.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray = _import_ray()
        _init_ray(ray, address)
        nodes = [node for node in ray.nodes() if node["Alive"]]
        single_machine = all(node["NodeManagerHostname"] == socket.gethostname() for node in nodes)
        if not single_machine and not storage_url().startswith("postgresql"):
            ray.shutdown()
            raise ParamsError(
                f"a study on {len(nodes)} machines must be stored in a database, but {STORAGE_VARIABLE} is"
                f" {storage_url()!r}; set it to postgresql://user@host/name, reachable from all of them"
            )
        if not single_machine:
            _init_ray(
                ray, address, working_dir=str(Path.cwd()), excludes=EXCLUDED_PATHS, py_modules=[str(_package_dir())]
            )
        gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(run_worker)
        return cls(task, worker_args, size, str(Path.cwd()) if single_machine else "")

    def start_missing(self, max_new: int) -> None:
        """Start the workers that are not running, at most `max_new`."""
        for number in [number for number in range(self.size) if number not in self.running][:max_new]:
            self.running[number] = self.remote_function.remote(
                self.worker_args, self.project_dir, _worker_environment()
            )

    def poll_exit_codes(self) -> Iterator[tuple[int, int]]:
        """Yield number and exit code of each worker that has ended since the last call; negative if it was killed."""
        ray = _import_ray()
        for number, reference in list(self.running.items()):
            if ray.wait([reference], timeout=0)[0]:
                del self.running[number]
                try:
                    code, self.outputs[number] = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    code, self.outputs[number] = 1, one_line_message(error)
                except ray.exceptions.RayError:  # the Ray process or its machine is gone
                    code = -9
                yield number, code

    def stop(self) -> None:
        """Cancel all tasks and disconnect."""
        ray = _import_ray()
        for reference in self.running.values():
            ray.cancel(reference, force=True)  # the worker process ends with Ray's process
        ray.wait([*self.running.values()], num_returns=len(self.running), timeout=30) if self.running else None
        ray.shutdown()

    def last_output_line(self, number: int) -> str:
        """Return the last line of a worker's output."""
        return last_line(self.outputs.get(number, ""))

    def log_location(self, number: int) -> str:
        """Return where the full output of a worker is stored."""
        return f"Ray's log of worker {number}"


def run_worker(worker_args: Sequence[str], project_dir: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a worker process, which ends with this one; return its exit code and the end of its output."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    process = subprocess.run(
        worker_command(worker_args), cwd=project_dir or None, env={**os.environ, **threads, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    print(process.stdout, flush=True)
    return process.returncode, process.stdout[-MAX_OUTPUT_CHARS:]


def _worker_environment() -> dict[str, str]:
    """Return the variables of this process's environment that a worker needs."""
    return {STORAGE_VARIABLE: storage_url(), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def _package_dir() -> Path:
    return Path(__file__).parents[1]


def _init_ray(ray: Any, address: str, **environment: Any) -> None:
    ray.shutdown()
    try:
        _check_reachable(os.environ.get("RAY_ADDRESS", "") if address == "auto" else address)
        ray.init(
            address=None if address == "local" else address, runtime_env=environment or None,
            include_dashboard=False if address == "local" else None, log_to_driver=False, logging_level="ERROR",
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise StudyError(
            f"--address must be a running Ray cluster, but {address!r} is not: {one_line_message(error)};"
            " start one with `ray start --head` or use --address local"
        ) from None


def _check_reachable(address: str) -> None:
    """Raise an `OSError` if [ray://]host:port does not accept a connection: Ray itself would retry for minutes."""
    match = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address)
    if match:
        socket.create_connection((match[1], int(match[2])), CONNECT_TIMEOUT).close()


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise ParamsError("--engine ray requires Ray, which is not installed; install fivefold[ray]") from None
    return ray
