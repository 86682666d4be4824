"""The processes that take part in a training beside this one: started, watched and ended here."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, NoReturn

from ..errors import TrainingError
from ..stages.guard import stop_if_asked
from ..stages.rank import world

GRACE = 10.0
"""Seconds that the training has to find out by itself that a follower is gone, or a follower to end."""


class Follower:
    """The same command once more, as process `rank` of the training; what it says is kept, not shown."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        module = sys.modules["__main__"].__spec__
        command = [sys.executable, *(["-m", module.name] if module else [sys.argv[0]]), *sys.argv[1:]]
        numbers = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        self.process = subprocess.Popen(command, env=os.environ | numbers, stderr=self.said)

    def lost(self) -> str:
        """Say how it ended if that was not as it should; else an empty line."""
        code = self.process.poll()
        if not code:
            return ""
        self.said.seek(0)
        last = self.said.read().decode(errors="replace").strip().rpartition("\n")[2]
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return (
            f"every process of a training must go on to its end, but that of device {self.rank} ended {how}"
            f" ({last or 'it said nothing'}); run `dvc repro` again, or choose training.devices 1"
        )

    def end(self, seconds: float) -> None:
        """Have it end within `seconds`, by force if it does not."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said.close()


@contextmanager
def followers(devices: int, give_up: Callable[[], NoReturn]) -> Iterator[None]:
    """Have `devices` processes train what is trained within; nothing to do for one, or where others started them.

    give_up: ends this process; called where a follower is gone and the training waits for it for ever.

    Raises:
        TrainingError: a follower is gone; says how it ended, and its last line.
    """
    if devices == 1 or world() > 1:
        yield
        return
    before = dict(os.environ)
    os.environ.update(_meeting(devices))
    started = [Follower(rank) for rank in range(1, devices)]
    over = threading.Event()
    threading.Thread(target=_watch, args=(started, over, give_up), daemon=True, name="followers").start()
    seconds = 0.0
    try:
        yield
        seconds = GRACE
    except RuntimeError as error:  # what a broken connection is to PyTorch
        stop_if_asked()
        if lost := _lost(started, 2.0):
            raise TrainingError(lost) from error
        raise
    finally:
        over.set()
        for follower in started:
            if not seconds:
                follower.process.terminate()
            follower.end(GRACE)
        os.environ.clear()
        os.environ.update(before)


def _meeting(devices: int) -> dict[str, str]:
    """Return where the processes of one machine meet, as PyTorch is told it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    loopback = "lo" if sys.platform == "linux" else "lo0"
    return {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "NODE_RANK": "0",
        "WORLD_SIZE": str(devices),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": loopback,  # else the machine's own name must lead to an address
    }


def _lost(started: list[Follower], seconds: float) -> str:
    """Return what is to say of the first follower that is gone; waits so long for one to be."""
    deadline = time.monotonic() + seconds
    while True:
        found = next(filter(None, (follower.lost() for follower in started)), "")
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _watch(started: list[Follower], over: threading.Event, give_up: Callable[[], NoReturn]) -> None:
    while not over.wait(0.5):
        found = _lost(started, 0)
        if found and not over.wait(GRACE):
            print(f"error: {found}", file=sys.stderr)
            give_up()
