"""What runs beside a stage is of the same copy of the project, whatever is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fivefold

SAY = "from pathlib import Path; Path({place!r}).write_text(__file__)\n"

SHIP = "from fivefold.tracking.reporter import reporting\nwith reporting('train', 'm', 'f', wait=True): pass\n"
PULL = (
    "from contextlib import suppress\n"
    "from fivefold.config.training import Start\nfrom fivefold.tracking.pretrained import pulled\n"
    "with suppress(OSError): pulled('m', Start(model='old'))  # nothing was fetched\n"
)


@pytest.mark.parametrize(("name", "does"), [("shipper", SHIP), ("download", PULL)], ids=["ship", "pull"])
@pytest.mark.parametrize("others", ["", "elsewhere"])
def test_a_process_beside_a_stage_is_of_the_stage_s_copy(tmp_path: Path, name: str, does: str, others: str) -> None:
    source, place = tmp_path / "copy/src", tmp_path / "said"
    shutil.copytree(Path(fivefold.__file__).parent, source / "fivefold", ignore=shutil.ignore_patterns("__pycache__"))
    (source / f"fivefold/tracking/{name}.py").write_text(SAY.format(place=str(place)))
    stage = f"import sys\nsys.path.insert(0, {str(source)!r})\n{does}"
    environment = {**os.environ, "DVC_ROOT": str(tmp_path), "PYTHONPATH": others}
    done = subprocess.run(
        [sys.executable, "-c", stage], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Path(place.read_text()).is_relative_to(source)
