"""params.yaml -> data/checked.txt, models/none/: what DVC would find out too late, told before any stage runs.

DVC removes a stage's outputs before it looks at what the stage needs, and takes the names of datasets and models as
parts of paths: so every other stage waits for this one.
"""

from fivefold import paths
from fivefold.config.loading import load_params
from fivefold.config.models import NO_MODEL
from fivefold.data.source import resolve_source
from fivefold.stages.run import run


def main(_: str) -> None:
    """Check params.yaml, and that every source is there; write what stands for no model."""
    params = load_params()
    for dataset in params.datasets.values():
        resolve_source(dataset)
    target = paths.config_check_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("params.yaml is in order, and every source is there\n")  # always the same: nothing runs again
    nothing = paths.model_dir(NO_MODEL)
    nothing.mkdir(parents=True, exist_ok=True)
    (nothing / "manifest.json").write_text('{"files": {}}\n')  # what a model waits for that uses no other


if __name__ == "__main__":
    run("check", main)
