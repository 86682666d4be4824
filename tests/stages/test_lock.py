import subprocess
import sys
from pathlib import Path

import pytest

from fivefold.errors import BusyError
from fivefold.stages.lock import hold_lock

HOLD = """
import sys
from pathlib import Path
from fivefold.stages.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_held_folder_names_its_holder_and_is_free_when_that_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "train@mlp"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(BusyError, match=rf"train@mlp must run once .* process {holder.pid} is"),
            hold_lock(folder, 0.2),
        ):
            pass
        holder.kill()
        holder.wait()
        with hold_lock(folder, 0.2):
            assert int((folder / "lock").read_text()) > 0
