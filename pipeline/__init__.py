"""The five stages, run by DVC as `python -m pipeline.<stage> <name>`.

Importing this package does three things before a stage imports anything heavy. It imports the library from the same
copy of the project as the stage, since DVC runs queued experiments in a copy. It ends a stage when DVC ends, and a
worker of distributed training when the main process ends. It disables garbage collection until all imports are done:
collecting during imports takes a fifth of their time and frees nothing.
"""

import gc
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from fivefold.stages.signals import exit_with_parent, get_rank

if sys.argv[0] == "-m":  # true while python locates the module of the stage
    gc.disable()  # enabled by `run`
if "DVC_STAGE" in os.environ or get_rank():
    exit_with_parent()
