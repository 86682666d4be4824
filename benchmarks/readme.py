"""Write the generated tables of documents between their markers.

    python -m benchmarks.readme [--check]

A marker is `<!-- name -->` ... `<!-- /name -->`; `scores` lists models: `<!-- scores default/mlp tables/penguins -->`.
"""

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
N_METRICS = 4
"""Number of test metrics per model, in the order of metrics.json; those of `EXTRA_METRICS` are added."""
EXTRA_METRICS = ("_rmse", "kid", "kid_real", "class_accuracy")
"""Suffixes of metrics that are always shown: baselines of forecasts, and metrics of generators."""

Rows = list[tuple[str, ...]]


def results(folder: Path) -> str:
    """Return the table of models of the project or example in `folder`, and their test metrics."""
    params, over_seeds = load_params(folder / "params.yaml"), means(DEFAULT if folder == ROOT else folder.name)
    rows: Rows = []
    for name, model in params.models.items():
        primary, *others = _test_metrics(folder, name) or ["not run yet"]
        mean = over_seeds.get(name, "not measured yet")
        rows.append((f"`{name}`", f"`{model.dataset}`", model.network.family, primary, ", ".join(others), mean))
    header = ("model", "dataset", "family", f"test, seed {params.seed}", "other test metrics", "mean of other seeds")
    return markdown(header, rows)


def scores(names: list[str]) -> str:
    """Return the table of the test metrics of models named `default/MODEL` or `EXAMPLE/MODEL`."""
    rows: Rows = []
    for name in names:
        example, _, model = name.partition("/")
        folder = ROOT if example == DEFAULT else ROOT / "examples" / example
        title = f"`{model}`" if example == DEFAULT else f"`{model}` of `examples/{example}`"
        rows.append((title, ", ".join(_test_metrics(folder, model)) or "not run yet"))
    return markdown(("model", "test metrics"), rows)


def _test_metrics(folder: Path, model: str) -> list[str]:
    """Return the test metrics of a model in words; none if it was not run."""
    path = folder / f"reports/{model}/metrics.json"
    values = json.loads(path.read_text())["test"] if path.exists() else {}
    return [f"{m} {values[m]:.4f}" for i, m in enumerate(values) if i < N_METRICS or m.endswith(EXTRA_METRICS)]


def means(example: str) -> dict[str, str]:
    """Return the mean and standard deviation over seeds that `benchmarks.bench_accuracy` measured, by model.

    Entries copied from reports are left out, because they belong to the seed of params.yaml.
    """
    path = RESULTS / "accuracy.json"
    entries = json.loads(path.read_text())["measured"] if path.exists() else {}
    measured = {key: entry for key, entry in entries.items() if "reported" not in entry}
    return {key.partition("/")[2]: _mean(entry) for key, entry in measured.items() if key.startswith(f"{example}/")}


def _mean(entry: dict[str, Any]) -> str:
    n_runs, std = len(entry["runs"]), entry["deviation"]
    spread = "" if std is None else f" ± {std:.4f}"
    seeds = f"{n_runs} seeds" if n_runs > 1 else "1 seed"
    folds = f" of {entry['folds']} folds" if entry["folds"] else ""
    return f"{entry['metric']} {entry['mean']:.4f}{spread}, {seeds}{folds}"


def time() -> str:
    """Return where the time of a cold `dvc repro` is spent, or how to measure it."""
    path = ROOT / "benchmarks/results/pipeline.json"
    if not path.exists():
        return "Not measured on this tree yet: `make bench` measures it, `make readme` writes the table."
    result = json.loads(path.read_text())
    return f"{_time_sentence(result)}\n\n{_time_table(result['measured'])}"


def _time_sentence(result: dict[str, Any]) -> str:
    measured, environment = result["measured"], result["environment"]
    total, torch = measured["repro_seconds"], median(measured["import_torch_seconds"])
    idle, status = median(measured["idle_repro_seconds"]), median(measured["status_seconds"])
    device = f"{environment['gpu']}, " if environment["gpu"] else ""
    return (
        f"A first `dvc repro` of {len(measured['stage_seconds'])} stages took {total:.0f} s:"
        f' {total / torch:.1f} times `python -c "import torch"` ({torch:.2f} s) on the same machine. With nothing to do'
        f" it took {idle:.2f} s, {idle / status:.2f} times `dvc status`. Measured on {environment['date']} on"
        f" {device}{environment['device']}, {environment['cpus']} CPUs, Python {environment['python']},"
        f" torch {environment['versions']['torch']}, DVC {environment['versions']['dvc']}."
    )


def _time_table(measured: dict[str, Any]) -> str:
    total = measured["repro_seconds"]
    times: dict[str, list[float]] = defaultdict(list)
    for stage, seconds in measured["stage_seconds"].items():
        times[stage.partition("@")[0]].append(seconds)
    rows: Rows = [_time_row(f"`{stage}`", seconds, total) for stage, seconds in times.items()]
    rows.append(_time_row("DVC between stages", [measured["dvc_seconds"]], total))
    return markdown(("", "runs", "seconds per run", "seconds", "share"), rows)


def _time_row(name: str, seconds: list[float], total: float) -> tuple[str, ...]:
    spent = sum(seconds)
    return name, str(len(seconds)), f"{median(seconds):.1f}", f"{spent:.1f}", f"{spent / total:.0%}"


def markdown(header: tuple[str, ...], rows: Rows) -> str:
    """Return a Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sizes() -> str:
    """Return the errors of autoencoders and PCAs by number of latent dimensions."""
    rows: Rows = [
        (f"`{name}`", size, *(f"{value:.4f}" for value in (errors["autoencoder"], errors["pca"])))
        for name, measured in _load_result("autoencoders")["measured"].items()
        for size, errors in measured["sizes"].items()
    ]
    return markdown(("dataset", "latent dimensions", "autoencoder, MSE per pixel", "PCA"), rows)


def anomalies() -> str:
    """Return how well each class is detected that was excluded from training."""
    rows: Rows = []
    for name, measured in _load_result("autoencoders")["measured"].items():
        areas = measured["anomalies"]
        mean = tuple(fmean(area[key] for area in areas.values()) for key in ("autoencoder", "pca"))
        by_class = [(label, area["autoencoder"], area["pca"]) for label, area in areas.items()]
        rows += [
            (f"`{name}`", label, f"{autoencoder:.3f}", f"{pca:.3f}")
            for label, autoencoder, pca in [*by_class, ("mean", *mean)]
        ]
    return markdown(("dataset", "excluded class", "autoencoder, ROC AUC", "PCA"), rows)


def ranking() -> str:
    """Return the distance of generated digits from real ones, by network."""
    result = _load_result("adversarial")
    measured, environment = result["measured"], result["environment"]
    rows: Rows = []
    for name in ("dense", "dcgan", "wgan_gp", "resnet"):
        runs = measured[name]["runs"]
        seconds = max(run["cpu_seconds"] for run in runs)
        values = ", ".join(f"{run['kid']:.3f}" for run in runs)
        rows.append((f"`{name}`", f"{measured[name]['mean']:.4f}", values, f"{seconds:.0f}"))
    rows.append(("training rows", f"{measured['floor']:.4f}", "", ""))
    table = markdown(("", "KID, mean of 3 seeds", "by seed", "CPU seconds, at most"), rows)
    return f"{table}\n\nMeasured on {environment['date']} on {environment['device']}, one thread."


def searches() -> str:
    """Return the test scores of values chosen by hand, by random search and by a study."""
    result = _load_result("search")
    rows: Rows = []
    for name, seeds in result["measured"]["scores"].items():
        values = (fmean(by_method[method] for by_method in seeds.values()) for method in ("hand", "random", "auto"))
        rows.append((f"`{name}`", *(f"{value:.4f}" for value in values)))
    table = markdown(("test rows, mean of 3 seeds", "by hand", "random search", "study"), rows)
    return f"{table}\n\n{result['measured']['trials']} trials each. Measured on {result['environment']['date']}."


def studying() -> str:
    """Return the results of the benchmarks of studies and cross-validation, with their limits."""
    loaded = [_load_result(name) for name in ("stacked", "folds", "studies", "chaos")]
    rows: Rows = [
        (f"`{row['name']}`", f"{row['value']:.3g}", f"{row['hold']:g}", "yes" if row["held"] else "**no**")
        for result in loaded
        for row in result["results"]
    ]
    environment, date = loaded[0]["environment"], max(result["environment"]["date"] for result in loaded)
    table = markdown(("", "measured", "limit", "met"), rows)
    return f"{table}\n\nMeasured until {date} on {environment['device']}, {environment['cpus']} CPUs."


def _load_result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return result


TABLES = {
    "time": time, "sizes": sizes, "anomalies": anomalies, "ranking": ranking,
    "searches": searches, "studying": studying,
}  # fmt: skip
"""Tables that are written wherever their markers are; `results` and `scores` depend on the document."""

SCORES = re.compile(r"(<!-- scores ([^>]+) -->\n).*?(<!-- /scores -->)", re.DOTALL)


def render(path: Path) -> str:
    """Return the document at `path` with current tables."""
    text = path.read_text()
    required = [*(["results"] if path.name == "README.md" else []), *(["time"] if path == README else [])]
    names = [*required, *(name for name in TABLES if f"<!-- {name} -->" in text)]
    for name in dict.fromkeys(names):
        table = results(path.parent) if name == "results" else TABLES[name]()
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not marked.search(text):
            sys.exit(f"{path} must contain <!-- {name} --> and <!-- /{name} -->, but does not; restore them")
        text = marked.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)  # type: ignore[misc]
    return SCORES.sub(lambda match: f"{match[1]}{scores(match[2].split())}\n{match[3]}", text)


def main() -> int:
    """Write every document, or with `--check` print what would change; exit code 1 if something would."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a table is not current")
    check, status = parser.parse_args().check, 0
    for path in (README, *sorted((ROOT / "examples").glob("*/README.md")), *sorted((ROOT / "docs").rglob("*.md"))):
        old, new = path.read_text(), render(path)
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
