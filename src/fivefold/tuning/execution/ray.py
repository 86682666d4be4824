"""Workers that are tasks of a Ray cluster: each task runs a worker's process on whatever machine Ray gives it."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ParamsError, StudyError, one_line
from .processes import command, last_line
from .storage import VARIABLE, url

LEFT_OUT = [".venv", ".git", ".dvc/cache", ".fivefold", "mlruns", "models", "reports", "data/prepared", "data/selected"]
"""Of a project, not sent to other machines: none of it says what a study tries."""
SAID = 20_000
"""Characters that are kept of what a worker said."""
KNOCK = 5
"""Seconds that a cluster has to take a connection."""


@dataclass
class RayTasks:
    """Tasks of one study.

    task: the remote function. words: what a worker's command line says. folder: the project's, where all machines of
    the cluster are this one; "" where it is sent to them.
    """

    task: Any
    words: Sequence[str]
    size: int
    folder: str
    living: dict[int, Any] = field(default_factory=dict)
    said: dict[int, str] = field(default_factory=dict)

    @classmethod
    def connect(cls, address: str, words: Sequence[str], size: int) -> "RayTasks":
        """Connect to a cluster; `local` starts one on this machine, `auto` finds one or starts it.

        Raises:
            ParamsError: Ray is not installed, or the cluster cannot reach the storage.
            StudyError: the cluster does not answer.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray = _ray()
        _init(ray, address)
        nodes = [node for node in ray.nodes() if node["Alive"]]
        here = all(node["NodeManagerHostname"] == socket.gethostname() for node in nodes)
        if not here and not url().startswith("postgresql"):
            ray.shutdown()
            raise ParamsError(
                f"a study on {len(nodes)} machines must be kept in a database, but {VARIABLE} is {url()!r}; set it to"
                " postgresql://user@host/name, which all of them reach"
            )
        if not here:
            _init(ray, address, working_dir=str(Path.cwd()), excludes=LEFT_OUT, py_modules=[str(_package())])
        gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(run_worker)
        return cls(task, words, size, str(Path.cwd()) if here else "")

    def fill(self, more: int) -> None:
        """Start up to so many of those that are missing."""
        for number in [number for number in range(self.size) if number not in self.living][:more]:
            self.living[number] = self.task.remote(self.words, self.folder, _kept())

    def ended(self) -> Iterator[tuple[int, int]]:
        """Yield number and exit code of each worker that has ended since; below 0, it was killed."""
        ray = _ray()
        for number, reference in list(self.living.items()):
            if ray.wait([reference], timeout=0)[0]:
                del self.living[number]
                try:
                    code, self.said[number] = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    code, self.said[number] = 1, one_line(error)
                except ray.exceptions.RayError:  # Ray's own process, or its machine, is gone
                    code = -9
                yield number, code

    def stop(self) -> None:
        """Ask all to end, and wait until they have."""
        ray = _ray()
        for reference in self.living.values():
            ray.cancel(reference, force=True)  # the worker ends with Ray's process
        ray.wait([*self.living.values()], num_returns=len(self.living), timeout=30) if self.living else None
        ray.shutdown()

    def last_words(self, number: int) -> str:
        """Return the last line that a worker said."""
        return last_line(self.said.get(number, ""))

    def where(self, number: int) -> str:
        """Return where all that a worker said stands."""
        return f"Ray's log of worker {number}"


def run_worker(words: Sequence[str], folder: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a worker; return its exit code and what it said. It ends with this process."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        command(words), cwd=folder or None, env={**os.environ, **threads, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    print(done.stdout, flush=True)
    return done.returncode, done.stdout[-SAID:]


def _kept() -> dict[str, str]:
    """Return what a worker must know that stands in this process's environment alone."""
    return {VARIABLE: url(), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def _package() -> Path:
    return Path(__file__).parents[1]


def _init(ray: Any, address: str, **environment: Any) -> None:
    ray.shutdown()
    try:
        _knock(os.environ.get("RAY_ADDRESS", "") if address == "auto" else address)
        ray.init(
            address=None if address == "local" else address, runtime_env=environment or None,
            include_dashboard=False if address == "local" else None, log_to_driver=False, logging_level="ERROR",
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise StudyError(
            f"--address must be a Ray cluster that answers, but {address!r} is none: {one_line(error)}; start one with"
            " `ray start --head`, or choose --address local"
        ) from None


def _knock(address: str) -> None:
    """Raise an `OSError` if nothing answers at [ray://]host:port: Ray would ask again for minutes."""
    found = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address)
    if found:
        socket.create_connection((found[1], int(found[2])), KNOCK).close()


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise ParamsError("--engine ray needs Ray, which is not installed; install fivefold[ray]") from None
    return ray
