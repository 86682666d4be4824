"""The command `fivefold`. `main` is the entry point; commands import what they need when they run."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__, paths
from ..errors import ArtifactError, FivefoldError, ParamsError
from ..paths import DVC_YAML, enter_project
from .crossval import cv
from .renames import CommandGroup
from .study import app as study_app

CONFIGURE, TRAIN, USE, MAINTAIN = (
    "1. Add data and check the configuration",
    "2. Train and tune (dvc repro runs the pipeline)",
    "3. Look at results and use models",
    "4. Maintain the project",
)

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        print(f"fivefold {__version__}")
        raise typer.Exit


@app.callback()
def fivefold(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train, tune, evaluate and export neural networks on tables, images, sequences, time series and text.

    Models are configured in params.yaml and run as a reproducible DVC pipeline; runs and models are logged to MLflow.
    """


@app.command(rich_help_panel=CONFIGURE)
def add(
    source: Annotated[Path, typer.Argument(help="data file, or folder of images")],
    target: Annotated[str, typer.Option(help="target column; required unless it can be inferred from its name")] = "",
    name: Annotated[str, typer.Option(help="name of dataset and model; default: name of the file")] = "",
    kind: Annotated[str, typer.Option(help="table, images, sequences, series or text; default: inferred")] = "",
    task: Annotated[
        str,
        typer.Option(help="classification, regression, forecasting or unsupervised (no target); default: inferred"),
    ] = "",
    sequence_id: Annotated[str, typer.Option(help="sequences: column with the sequence of each row")] = "",
    time_step: Annotated[str, typer.Option(help="sequences: column to order the steps by")] = "",
    time: Annotated[
        str, typer.Option(help="series: time column, or date,time; table: column for a chronological split")
    ] = "",
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="whether the first line of a CSV is a header; default: inferred"),
    ] = None,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH to resize images to; default: inferred")] = "",
    dates: Annotated[str, typer.Option(help="date format, dayfirst or monthfirst; default: inferred")] = "",
    skip_invalid: Annotated[
        bool,
        typer.Option(
            "--skip-invalid",
            help="treat unparsable cells as missing; skip unreadable images and rows without a target",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show the changes of params.yaml without writing them")
    ] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="refer to a source outside the project instead of copying it")
    ] = False,
) -> None:
    """Infer a dataset and a model from a data source and add them to params.yaml."""
    from rich.console import Console

    from ..autoconfig.add import add as infer_blocks
    from ..autoconfig.add import write_result
    from ..autoconfig.report import print_diff, print_report
    from ..autoconfig.write import render_diff
    from ..dvc import render_dvc_yaml

    source = Path(os.path.relpath(enter_project() / source)) if not source.is_absolute() else source
    console = Console()
    columns = {"target": target, "sequence_id": sequence_id, "time_step": time_step, "time": time}
    options = {"name": name, "kind": kind, "task": task, "size": size, "dates": dates}
    added = infer_blocks(source, **columns, **options, header=header, in_place=in_place, skip_invalid=skip_invalid)
    dvc_yaml = render_dvc_yaml(DVC_YAML.resolve(), paths.project_root(), added.params)
    print_report(added, console)
    copied = f", {added.source} copied to {added.copy_to}" if added.copy_to else ""
    summary = f"params.yaml and dvc.yaml written{copied}"
    console.print()
    if dry_run:
        print_diff(render_diff(added.yaml_before, added.yaml_after), console)
        console.print(f"\nwithout --dry-run: {summary}", highlight=False, markup=False)
        return
    write_result(added, dvc_yaml)
    console.print(summary, highlight=False, markup=False)
    if added.copy_to:
        kind_of_path = "folder" if added.copy_to.is_dir() else "file"
        hint = f"{added.copy_to} is a new {kind_of_path} in the git repository; if it is large: dvc add {added.copy_to}"
        console.print(hint, highlight=False, markup=False)
    console.print(f"next: [bold]dvc repro evaluate@{added.name}[/bold]")
    console.print(f"or, to export and register the model too: [bold]dvc repro export@{added.name}[/bold]")


@app.command(rich_help_panel=CONFIGURE)
def check() -> None:
    """Validate params.yaml, search spaces, data sources and dvc.yaml without running anything."""
    from ..config.loading import load_params
    from ..data.source import resolve_source
    from ..dvc import render_dvc_yaml

    enter_project()
    params = load_params()
    for dataset in params.datasets.values():
        resolve_source(dataset)
    searched = [name for name, model in params.models.items() if model.search]
    if searched:  # Optuna is only imported if there is a search space
        from ..tuning.space import SearchSpace
        from ..tuning.space_check import validate_bounds

        for name in searched:
            validate_bounds(SearchSpace.read(name))
    if DVC_YAML.read_text() != render_dvc_yaml(DVC_YAML.resolve(), paths.project_root(), params):
        raise ParamsError("dvc.yaml must match params.yaml, but is out of date; run `make dvc-update`")
    print(f"valid: datasets {', '.join(params.datasets)}; models {', '.join(params.models)}; dvc.yaml")


@app.command(rich_help_panel=TRAIN)
def lr_find(model: Annotated[str, typer.Argument(help="name of a model in params.yaml")]) -> None:
    """Suggest a learning rate with a range test from 1e-7 to 10 on the model's own batches. Changes no file."""
    from ..lr_finder.find import find_lr

    enter_project()
    for line in find_lr(model):
        print(line)


app.command(rich_help_panel=TRAIN)(cv)
app.add_typer(study_app, name="study", rich_help_panel=TRAIN)


@app.command(rich_help_panel=USE)
def results() -> None:
    """Show the main test metric of every model."""
    from ..config.loading import load_params
    from ..results import format_results, next_commands

    enter_project()
    params = load_params()
    print("", *format_results(params), "", "next:", *(f"  {line}" for line in next_commands(params)), sep="\n")


@app.command(rich_help_panel=USE)
def ui(
    host: Annotated[
        str, typer.Option(help="address to listen on; by default only this machine can connect")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 5000,
) -> None:
    """Open the MLflow UI on the project's store."""
    from ..tracking.store import serve_ui

    enter_project()
    serve_ui(host, port)


@app.command(rich_help_panel=USE)
def generate(
    model: Annotated[str, typer.Argument(help="trained model of params.yaml: a language model or a generator")],
    prompt: Annotated[
        str | None, typer.Option(help="text to continue; default: a space, or the most frequent word in training")
    ] = None,
    length: Annotated[int, typer.Option(help="number of words or characters to generate")] = 200,
    temperature: Annotated[
        float, typer.Option(help="sampling temperature; below 1 favors likely tokens, above 1 rare ones")
    ] = 0.8,
    top_k: Annotated[int, typer.Option(help="sample from the k most likely tokens; 0: from all")] = 0,
    rows: Annotated[int | None, typer.Option(help="generators: number of records; default: 1000")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="generators: .parquet or .csv for a table, .npz or .png for images, .npz for sequences"),
    ] = None,
    class_name: Annotated[
        str, typer.Option("--class", help="conditional generators: class to generate; default: all in turn")
    ] = "",
    seed: Annotated[int, typer.Option(help="random seed; the same seed generates the same text or records")] = 0,
) -> None:
    """Generate text with a language model, or records with a generator."""
    from ..config.loading import load_params
    from ..data.storage import MANIFEST
    from ..generation.records import is_record_generator, require_record_generator, write_records
    from ..generation.text import default_prompt, stream_text
    from ..models.serialization import load_model

    working_dir = enter_project()
    load_params().model(model)
    folder = paths.model_dir(model)
    if not (folder / MANIFEST).exists():
        raise ArtifactError(f"{folder} must hold a trained model, but does not; run `dvc repro train@{model}`")
    trained_model = load_model(folder)
    if rows is not None or out is not None or class_name:
        require_record_generator(trained_model)
    if is_record_generator(trained_model):
        n = 1000 if rows is None else rows
        path = None if out is None else working_dir / out
        print(f"{n} records: {write_records(trained_model, n, path, class_name=class_name, seed=seed)}")
        return
    start = default_prompt(trained_model) if prompt is None else prompt
    tokens = stream_text(trained_model, start, length, temperature=temperature, top_k=top_k, seed=seed)
    print(start, end="", flush=True)
    for token in tokens:
        print(token, end="", flush=True)
    print()


@app.command(rich_help_panel=MAINTAIN)
def dvc_update() -> None:
    """Update the plots of each model in dvc.yaml, and the dvc.yaml of the examples."""
    from ..dvc import write_dvc_yaml

    enter_project()
    write_dvc_yaml(paths.project_root())


@app.command(rich_help_panel=MAINTAIN)
def schema() -> None:
    """Print the JSON schema of params.yaml, for completion and validation in editors."""
    from ..config.json_schema import build_json_schema

    print(json.dumps(build_json_schema(), indent=2))


@app.command(rich_help_panel=MAINTAIN)
def sync() -> None:
    """Send spooled events to MLflow and create runs for models restored from the DVC cache."""
    from ..tracking.sync import sync as send_events

    enter_project()
    for line in send_events():
        print(line)


def main() -> None:
    """Run the command line; a `FivefoldError` is printed as one line and sets the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # write every line at once, also to a file or pipe
    try:
        app()
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
