"""The fingerprint of a stage covers all code that determines its result."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from fivefold.training.checkpoints import compute_fingerprint
from fivefold.training.supervised import import_family
before = compute_fingerprint("train", {}, {})
import_family(sys.argv[1])
print(before != compute_fingerprint("train", {}, {}), f"fivefold.models.{sys.argv[1]}.network" in sys.modules)
"""


@pytest.mark.parametrize("family", ["mlp", "cnn", "rnn"])
def test_fingerprint_covers_the_code_of_a_family(family: str) -> None:
    process = subprocess.run([sys.executable, "-c", SCRIPT, family], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["True", "True"]
