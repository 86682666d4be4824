"""Lock on a work folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from fivefold.errors import BusyError
from fivefold.stages.lock import hold_lock

HOLD = """
import sys
from pathlib import Path
from fivefold.stages.lock import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_error_names_the_holder_and_lock_is_released_when_it_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "train@mlp"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(
                BusyError, match=rf"train@mlp must run in one process at a time, but process {holder.pid} is"
            ),
            hold_lock(folder, 0.2),
        ):
            pass
        holder.kill()
        holder.wait()
        with hold_lock(folder, 0.2):
            assert int((folder / "lock").read_text()) > 0
