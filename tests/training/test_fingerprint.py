"""A training's identity is of all code that decides what it computes."""

import subprocess
import sys

import pytest

TOLD = """
import sys
from fivefold.training.checkpoints import fingerprint
from fivefold.training.supervised import load_family
before = fingerprint("train", {}, {})
load_family(sys.argv[1])
print(before != fingerprint("train", {}, {}), f"fivefold.models.{sys.argv[1]}.network" in sys.modules)
"""


@pytest.mark.parametrize("family", ["mlp", "cnn", "rnn"])
def test_a_family_s_code_counts(family: str) -> None:
    done = subprocess.run([sys.executable, "-c", TOLD, family], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
