"""Raw source -> data/prepared/<dataset>/: cleaned, encoded and split rows; scaling fitted to training rows."""

import json

from fivefold import paths
from fivefold.config.loading import load_params
from fivefold.data.prepare import prepare
from fivefold.data.schema import merge_similar
from fivefold.data.storage import save_dataset
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.stages.outputs import atomic_output
from fivefold.stages.run import run


def main(name: str) -> None:
    """Prepare dataset `name` of params.yaml."""
    params = load_params()
    config = params.dataset(name)
    dataset, checks = prepare(config, params.seed)
    scaling = fit_scaling(dataset.train.x, dataset.schema, config)
    with atomic_output(paths.prepared_dir(name)) as folder:
        save_dataset(dataset, folder)
        scaling.save(folder / "scaling.safetensors")
        (folder / "dataset.json").write_text(config.model_dump_json(indent=2) + "\n")
        (folder / "checks.json").write_text(json.dumps([check.model_dump() for check in checks], indent=2) + "\n")
    rows = ", ".join(f"{len(split)} {split_name}" for split_name, split in dataset.splits().items())
    print(f"{name}: {rows} rows of shape {dataset.schema.shape}")
    for check in merge_similar(checks):
        print(f"  {check.level:8} {check.rule}: {check.message}")


if __name__ == "__main__":
    run("prepare", main)
