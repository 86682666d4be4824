"""The one way in which a stage's process runs."""

import errno
import gc
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import NoReturn

from .. import paths
from ..config.base import NAME_PATTERN
from ..errors import FivefoldError, InputError
from .lock import hold_lock
from .restore import back_up, restore_outputs
from .signals import StopRequested, get_rank, install_signal_handlers

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


def run(
    stage: str,
    main: Callable[[str], None],
    uncached_output: Callable[[str], Path] | None = None,
    worker_main: Callable[[str], object] | None = None,
) -> NoReturn:
    """Run `main` on the name that stands on the command line, under the stage's lock, and end the process.

    A stage that DVC started and that fails puts its last outputs back, which DVC has removed; `uncached` says where the
    output lies that DVC does not cache. `follow` is what a process does that another one leads: see `rank`.

    Exit codes: 0 done, 2 bad input, 1 another error of ours (each said in one line), 130 Ctrl-C, 143 SIGTERM.
    """
    gc.freeze()  # what was imported
    gc.enable()
    if get_rank():
        _run_worker(worker_main)
    install_signal_handlers()
    code = 1
    try:
        code = _run_main(stage, main)
        if not code and uncached_output:
            back_up(uncached_output(sys.argv[1]), paths.work_dir(stage, sys.argv[1]))
    finally:
        if code:
            _restore_outputs(stage)
    exit_process(code)


def abort(stage: str) -> NoReturn:
    """End `stage` as failed, from any thread."""
    _restore_outputs(stage)
    exit_process(1)


def _restore_outputs(stage: str) -> None:
    if "DVC_STAGE" in os.environ:
        restore_outputs(os.environ["DVC_STAGE"], paths.work_dir(stage, sys.argv[-1]))


def exit_process(code: int) -> NoReturn:
    """End the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # everything is written and closed; taking PyTorch apart in good order takes a second or two


def _run_main(stage: str, main: Callable[[str], None]) -> int:
    try:
        if len(sys.argv) != 2:
            raise InputError(f"{stage} takes one name of params.yaml, but got {sys.argv[1:]}; run `dvc repro`")
        name = sys.argv[1]
        if not re.fullmatch(NAME_PATTERN, name):  # paths are built from it before params.yaml is read
            raise InputError(f"a name must match {NAME_PATTERN}, but is {name!r}; rename it in params.yaml")
        with hold_lock(paths.work_dir(stage, name)):
            main(name)
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno not in DISK_FULL_ERRNOS:
            raise
        print(f"error: the disk must have room for what {stage} writes, but is full; free some space", file=sys.stderr)
        return 1
    except StopRequested as stop:
        print(f"{stage} stopped: nothing half-written is left; `dvc repro` goes on", file=sys.stderr)
        return stop.exit_code
    return 0


def _run_worker(worker_main: Callable[[str], object] | None) -> NoReturn:
    """Take part in what another process leads, in silence: that one has the lock, and ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            if worker_main:
                worker_main(sys.argv[1])
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        exit_process(error.exit_code)
    exit_process(0)
