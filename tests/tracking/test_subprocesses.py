"""Background processes of a stage import the same copy of fivefold, whichever copy is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fivefold

WRITE_PATH = "from pathlib import Path; Path({output!r}).write_text(__file__)\n"

UPLOAD = (
    "from fivefold.tracking.reporter import open_run_logger\nwith open_run_logger('train', 'm', 'f', wait=True): pass\n"
)
DOWNLOAD = (
    "from contextlib import suppress\n"
    "from fivefold.config.training import PretrainedWeights\n"
    "from fivefold.tracking.pretrained import load_registered\n"
    "with suppress(OSError): load_registered('m', PretrainedWeights(model='old'))  # nothing was downloaded\n"
)


@pytest.mark.parametrize(("module", "code"), [("shipper", UPLOAD), ("download", DOWNLOAD)], ids=["upload", "download"])
@pytest.mark.parametrize("python_path", ["", "elsewhere"])
def test_a_background_process_imports_the_copy_of_its_stage(
    tmp_path: Path, module: str, code: str, python_path: str
) -> None:
    source, output = tmp_path / "copy/src", tmp_path / "path.txt"
    shutil.copytree(Path(fivefold.__file__).parent, source / "fivefold", ignore=shutil.ignore_patterns("__pycache__"))
    (source / f"fivefold/tracking/{module}.py").write_text(WRITE_PATH.format(output=str(output)))
    stage = f"import sys\nsys.path.insert(0, {str(source)!r})\n{code}"
    environment = {**os.environ, "DVC_ROOT": str(tmp_path), "PYTHONPATH": python_path}
    process = subprocess.run(
        [sys.executable, "-c", stage], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert Path(output.read_text()).is_relative_to(source)
