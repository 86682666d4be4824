"""Raw source -> data/prepared/<dataset>/: cleaned, encoded, divided; scaling fitted on training rows."""

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
    block = params.dataset(name)
    dataset, findings = prepare(block, params.seed)
    scaling = fit_scaling(dataset.train.x, dataset.schema, block)
    with atomic_output(paths.prepared_dir(name)) as folder:
        save_dataset(dataset, folder)
        scaling.save(folder / "scaling.safetensors")
        (folder / "dataset.json").write_text(block.model_dump_json(indent=2) + "\n")
        (folder / "checks.json").write_text(json.dumps([f.model_dump() for f in findings], indent=2) + "\n")
    rows = ", ".join(f"{len(records)} {part}" for part, records in dataset.splits().items())
    print(f"{name}: {rows} rows of shape {dataset.schema.shape}")
    for finding in merge_similar(findings):
        print(f"  {finding.level:8} {finding.rule}: {finding.message}")


if __name__ == "__main__":
    run("prepare", main)
