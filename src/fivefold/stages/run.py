"""The one way in which a stage's process runs."""

import re
import signal
import sys
from collections.abc import Callable

from .. import paths
from ..errors import FivefoldError, InputError
from ..params.base import NAME_PATTERN
from .guard import exit_on_signals
from .lock import locked


def run(stage: str, main: Callable[[str], None]) -> None:
    """Run `main` on the name that stands on the command line, under the stage's lock, and exit.

    Exit codes: 0 done, 2 bad input, 1 another error of ours (each said in one line), 130 Ctrl-C, 143 SIGTERM.
    """
    exit_on_signals()
    try:
        if len(sys.argv) != 2:
            raise InputError(f"{stage} takes one name of params.yaml, but got {sys.argv[1:]}; run `dvc repro`")
        name = sys.argv[1]
        if not re.fullmatch(NAME_PATTERN, name):  # paths are built from it before params.yaml is read
            raise InputError(f"a name must match {NAME_PATTERN}, but is {name!r}; rename it in params.yaml")
        with locked(paths.work(stage, name)):
            main(name)
    except FivefoldError as error:
        sys.exit(_say(error))
    except SystemExit as stop:
        if stop.code in (128 + signal.SIGTERM, 128 + signal.SIGINT):
            print(f"{stage} stopped: nothing half-written is left; `dvc repro` goes on", file=sys.stderr)
        raise


def _say(error: FivefoldError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
