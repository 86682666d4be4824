"""Write the tables of documents between their markers: `python -m benchmarks.readme`; `--check` only compares."""

import argparse
import difflib
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

from fivefold.config.loading import load_params

from .measure import DEFAULT, RESULTS, ROOT

README = ROOT / "README.md"
SHOWN = 4
"""Test metrics a model, the leading one first, as metrics.json orders them; those of `ALSO` come on top."""
ALSO = ("_rmse", "kid", "kid_real", "class_accuracy")
"""Endings: errors of naive forecasts, distances as a judge sees them, and whether it sees the class asked for."""

Rows = list[tuple[str, ...]]


def results(folder: Path) -> str:
    """Return the table of models of the project or example in `folder`, and their test metrics."""
    params, over_seeds = load_params(folder / "params.yaml"), means(DEFAULT if folder == ROOT else folder.name)
    rows: Rows = []
    for name, model in params.models.items():
        path = folder / f"reports/{name}/metrics.json"
        scores = json.loads(path.read_text())["test"] if path.exists() else {}
        told = [f"{m} {scores[m]:.4f}" for i, m in enumerate(scores) if i < SHOWN or m.endswith(ALSO)]
        lead, *rest = told or ["not run yet"]
        mean = over_seeds.get(name, "not measured yet")
        rows.append((f"`{name}`", f"`{model.dataset}`", model.network.family, lead, ", ".join(rest), mean))
    seeded = f"test, seed {params.seed}"
    return markdown(("model", "dataset", "family", seeded, "also on test rows", "mean of other seeds"), rows)


def means(example: str) -> dict[str, str]:
    """Return what `benchmarks.bench_accuracy` measured of an example's models: mean and deviation over seeds.

    What it took from their reports is no other seed.
    """
    path = RESULTS / "accuracy.json"
    entries = json.loads(path.read_text())["measured"] if path.exists() else {}
    own = {key: entry for key, entry in entries.items() if "reported" not in entry}
    return {key.partition("/")[2]: _mean(entry) for key, entry in own.items() if key.startswith(f"{example}/")}


def _mean(entry: dict[str, Any]) -> str:
    runs, deviation = len(entry["runs"]), entry["deviation"]
    spread = "" if deviation is None else f" ± {deviation:.4f}"
    seeds = f"{runs} seeds" if runs > 1 else "1 seed"
    folds = f" of {entry['folds']} folds" if entry["folds"] else ""
    return f"{entry['metric']} {entry['mean']:.4f}{spread}, {seeds}{folds}"


def time() -> str:
    """Return where the time of a cold `dvc repro` goes, or how to have it measured."""
    path = ROOT / "benchmarks/results/pipeline.json"
    if not path.exists():
        return "Not measured on this tree yet: `make bench` measures, `make readme` writes the table here."
    kept = json.loads(path.read_text())
    return f"{_sentence(kept)}\n\n{_time_table(kept['measured'])}"


def _sentence(kept: dict[str, Any]) -> str:
    measured, where = kept["measured"], kept["environment"]
    whole, torch = measured["repro_seconds"], median(measured["import_torch_seconds"])
    idle, status = median(measured["idle_repro_seconds"]), median(measured["status_seconds"])
    device = f"{where['gpu']}, " if where["gpu"] else ""
    return (
        f"A first `dvc repro` of {len(measured['stage_seconds'])} stages took {whole:.0f} s:"
        f' {whole / torch:.1f} times `python -c "import torch"` ({torch:.2f} s) on the same machine. With nothing to do'
        f" it took {idle:.2f} s, {idle / status:.2f} times `dvc status`. Measured on {where['date']} on"
        f" {device}{where['device']}, {where['cpus']} CPUs, Python {where['python']},"
        f" torch {where['versions']['torch']}, DVC {where['versions']['dvc']}."
    )


def _time_table(measured: dict[str, Any]) -> str:
    whole = measured["repro_seconds"]
    times: dict[str, list[float]] = defaultdict(list)
    for stage, spent in measured["stage_seconds"].items():
        times[stage.partition("@")[0]].append(spent)
    rows: Rows = [_time_row(f"`{stage}`", spent, whole) for stage, spent in times.items()]
    rows.append(_time_row("DVC between stages", [measured["dvc_seconds"]], whole))
    return markdown(("", "runs", "seconds a run", "seconds", "share"), rows)


def _time_row(name: str, spent: list[float], whole: float) -> tuple[str, ...]:
    total = sum(spent)
    return name, str(len(spent)), f"{median(spent):.1f}", f"{total:.1f}", f"{total / whole:.0%}"


def markdown(head: tuple[str, ...], rows: Rows) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sizes() -> str:
    """Return errors by size of code, of autoencoders and of PCAs."""
    every = _kept("autoencoders")["measured"]
    rows: Rows = [
        (f"`{name}`", size, *(f"{value:.4f}" for value in (found["autoencoder"], found["pca"])))
        for name, measured in every.items()
        for size, found in measured["sizes"].items()
    ]
    return markdown(("dataset", "numbers of a code", "autoencoder, MSE a pixel", "PCA"), rows)


def anomalies() -> str:
    """Return how well each class is found that was left out of training."""
    rows: Rows = []
    for name, measured in _kept("autoencoders")["measured"].items():
        areas = measured["anomalies"]
        means = [fmean(found[key] for found in areas.values()) for key in ("autoencoder", "pca")]
        pairs = [
            *((left_out, found["autoencoder"], found["pca"]) for left_out, found in areas.items()),
            ("mean", *means),
        ]
        rows += [(f"`{name}`", left_out, f"{ours:.3f}", f"{straight:.3f}") for left_out, ours, straight in pairs]
    return markdown(("dataset", "left out", "autoencoder, AUROC", "PCA"), rows)


def ranking() -> str:
    """Return how far what generators make is from real digits."""
    kept = _kept("adversarial")
    found, where = kept["measured"], kept["environment"]
    rows: Rows = []
    for name in ("dense", "dcgan", "wgan_gp", "resnet"):
        runs = found[name]["runs"]
        spent = max(run["cpu_seconds"] for run in runs)
        each = ", ".join(f"{run['kid']:.3f}" for run in runs)
        rows.append((f"`{name}`", f"{found[name]['mean']:.4f}", each, f"{spent:.0f}"))
    rows.append(("training rows", f"{found['floor']:.4f}", "", ""))
    text = markdown(("", "KID, mean of 3 seeds", "each", "seconds of a CPU, at most"), rows)
    return f"{text}\n\nMeasured on {where['date']} on {where['device']}, one thread."


def searches() -> str:
    """Return what the values are worth that a study chose, random search, and a person."""
    kept = _kept("search")
    rows: Rows = []
    for name, seeds in kept["measured"]["scores"].items():
        means = (fmean(found[which] for found in seeds.values()) for which in ("hand", "random", "auto"))
        rows.append((f"`{name}`", *(f"{mean:.4f}" for mean in means)))
    text = markdown(("test rows, mean of 3 seeds", "by hand", "random search", "study"), rows)
    return f"{text}\n\n{kept['measured']['trials']} trials each. Measured on {kept['environment']['date']}."


def studying() -> str:
    """Return what is held of how fast studies and cross-validations are."""
    kept = [_kept(name) for name in ("stacked", "folds", "studies", "chaos")]
    rows: Rows = [
        (f"`{each['name']}`", f"{each['value']:.3g}", f"{each['hold']:g}", "yes" if each["held"] else "**no**")
        for found in kept
        for each in found["results"]
    ]
    where, date = kept[0]["environment"], max(found["environment"]["date"] for found in kept)
    text = markdown(("", "measured", "at most", "held"), rows)
    return f"{text}\n\nMeasured until {date} on {where['device']}, {where['cpus']} CPUs."


def _kept(name: str) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return kept


TABLES = {
    "time": time, "sizes": sizes, "anomalies": anomalies, "ranking": ranking,
    "searches": searches, "studying": studying,
}  # fmt: skip
"""Written between their markers, wherever these stand."""


def filled(path: Path) -> str:
    """Return the document at `path` with its tables written anew."""
    text = path.read_text()
    needed = [*(["results"] if path.name == "README.md" else []), *(["time"] if path == README else [])]
    asked = [*needed, *(name for name in TABLES if f"<!-- {name} -->" in text)]
    for name in dict.fromkeys(asked):
        body = results(path.parent) if name == "results" else TABLES[name]()
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not marked.search(text):
            sys.exit(f"{path} must hold <!-- {name} --> and <!-- /{name} -->, but does not; put them back")
        text = marked.sub(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)  # type: ignore[misc]
    return text


def main() -> int:
    """Write every document, or with `--check` print what would change; exit code 1 if something would."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the tables are not current")
    check, status = parser.parse_args().check, 0
    for path in (README, *sorted((ROOT / "examples").glob("*/README.md")), *sorted((ROOT / "docs").glob("*.md"))):
        old, new = path.read_text(), filled(path)
        if not check:
            path.write_text(new)
        elif old != new:
            lines = (old.splitlines(keepends=True), new.splitlines(keepends=True))
            name = path.relative_to(ROOT).as_posix()
            sys.stdout.writelines(difflib.unified_diff(*lines, name, f"{name} by `make readme`"))
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
