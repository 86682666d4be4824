"""Entry point of every stage process: lock, signals, exit codes, restoring outputs on failure."""

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
    """Run `main` with the name given on the command line, holding the lock of the stage, and exit the process.

    If a stage started by DVC fails, its previous outputs, which DVC has removed, are restored.

    uncached_output: returns the path of the output that DVC does not cache.
    worker_main: runs instead of `main` in the worker processes of distributed training (rank above 0).

    Exit codes: 0 success, 1 `FivefoldError`, 2 `InputError` (both printed as one line), 130 SIGINT, 143 SIGTERM.
    """
    gc.freeze()  # exclude imported modules from garbage collection
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
    """Restore the outputs of `stage` and exit with code 1; can be called from any thread."""
    _restore_outputs(stage)
    exit_process(1)


def _restore_outputs(stage: str) -> None:
    if "DVC_STAGE" in os.environ:
        restore_outputs(os.environ["DVC_STAGE"], paths.work_dir(stage, sys.argv[-1]))


def exit_process(code: int) -> NoReturn:
    """Flush the streams and exit without interpreter shutdown."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all files are closed; the regular shutdown of PyTorch takes one to two seconds


def _run_main(stage: str, main: Callable[[str], None]) -> int:
    try:
        if len(sys.argv) != 2:
            raise InputError(
                f"{stage} needs one name of params.yaml as argument, but got {sys.argv[1:]}; run `dvc repro`"
            )
        name = sys.argv[1]
        if not re.fullmatch(NAME_PATTERN, name):  # it becomes part of paths before params.yaml is loaded
            raise InputError(f"a name must match {NAME_PATTERN}, but is {name!r}; rename it in params.yaml")
        with hold_lock(paths.work_dir(stage, name)):
            main(name)
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno not in DISK_FULL_ERRNOS:
            raise
        print(
            f"error: {stage} needs free disk space for its outputs, but the disk is full; free some space",
            file=sys.stderr,
        )
        return 1
    except StopRequested as stop:
        print(f"{stage} stopped; no partial outputs were written, run `dvc repro` to continue", file=sys.stderr)
        return stop.exit_code
    return 0


def _run_worker(worker_main: Callable[[str], object] | None) -> NoReturn:
    """Run a worker process, without output; the main process holds the lock and ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Path(os.devnull).open("w") as null, redirect_stdout(null):
            if worker_main:
                worker_main(sys.argv[1])
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        exit_process(error.exit_code)
    exit_process(0)
