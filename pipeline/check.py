"""params.yaml -> data/config_ok.txt, models/none/: validation before any other stage runs.

DVC removes the outputs of a stage before it checks its dependencies, and uses names of datasets and models in paths.
All other stages therefore depend on this one.
"""

from fivefold import paths
from fivefold.config.loading import load_params
from fivefold.config.models import NO_MODEL
from fivefold.data.source import resolve_source
from fivefold.stages.run import run


def main(_: str) -> None:
    """Validate params.yaml, check that all sources exist, and write the manifest that stands for no dependency."""
    params = load_params()
    for dataset in params.datasets.values():
        resolve_source(dataset)
    target = paths.config_check_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("params.yaml is valid and all sources exist\n")  # constant, so that no stage is rerun
    no_model = paths.model_dir(NO_MODEL)
    no_model.mkdir(parents=True, exist_ok=True)
    (no_model / "manifest.json").write_text('{"files": {}}\n')  # dependency of models without depends_on


if __name__ == "__main__":
    run("check", main)
