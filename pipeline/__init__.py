"""The five stages, each run by DVC as `python -m pipeline.<stage> <name>`.

Importing this package, before a stage imports anything heavy, settles three things. The library comes from the same
copy of the project as the stage: DVC runs queued experiments in a copy. A stage that DVC started ends when DVC does,
and a process that takes part in a training when the one does that leads it. A stage looks for garbage only when it has
imported all it needs: what is imported stays, and looking it through took a fifth of the time of importing it.
"""

import gc
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from fivefold.stages.signals import exit_with_parent, get_rank

if sys.argv[0] == "-m":  # as long as python looks for the stage
    gc.disable()  # until `run`
if "DVC_STAGE" in os.environ or get_rank():
    exit_with_parent()
