"""The command `fivefold`: what is not a stage."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import paths
from ..errors import ArtifactError, FivefoldError, ParamsError
from ..paths import DVC_YAML, enter_project
from .crossval import cv
from .study import app as studies

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.add_typer(studies, name="study")
app.command()(cv)


@app.command()
def schema() -> None:
    """Print the JSON schema of params.yaml, with which an editor completes and checks it."""
    from ..config.json_schema import build_json_schema

    print(json.dumps(build_json_schema(), indent=2))


@app.command()
def dvc_update() -> None:
    """Write into dvc.yaml what stages import and which models there are to plot."""
    from ..dvc import wire as write

    enter_project()
    write(paths.project_root())


@app.command()
def check() -> None:
    """Look at params.yaml, spaces of studies, sources and dvc.yaml, without running anything."""
    from ..config.loading import load_params
    from ..data.source import resolve_source
    from ..dvc import wired

    enter_project()
    params = load_params()
    for dataset in params.datasets.values():
        resolve_source(dataset)
    searched = [name for name, model in params.models.items() if model.search]
    if searched:  # Optuna is paid for by spaces alone
        from ..tuning.space import SearchSpace
        from ..tuning.space_check import validate_bounds

        for name in searched:
            validate_bounds(SearchSpace.read(name))
    if DVC_YAML.read_text() != wired(DVC_YAML.resolve(), paths.project_root(), params):
        raise ParamsError("dvc.yaml must list what stages import and which models there are; run `make wire`")
    print(f"in order: datasets {', '.join(params.datasets)}; models {', '.join(params.models)}; dvc.yaml")


@app.command()
def add(
    source: Annotated[Path, typer.Argument(help="a file, or a folder of images")],
    target: Annotated[str, typer.Option(help="column to predict; needed unless its name tells")] = "",
    name: Annotated[str, typer.Option(help="name of dataset and model; else that of the file")] = "",
    kind: Annotated[str, typer.Option(help="table, images, sequences, series or text; else inferred")] = "",
    task: Annotated[
        str, typer.Option(help="classification, regression, forecasting, or unsupervised: no target; else inferred")
    ] = "",
    sequence_id: Annotated[str, typer.Option(help="of sequences: column that names the sequence of a row")] = "",
    time_step: Annotated[str, typer.Option(help="of sequences: column that orders the steps")] = "",
    time: Annotated[
        str, typer.Option(help="of a series: column of times, or date,time; of a table: to split by time")
    ] = "",
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="whether the first line of a CSV names columns; else told from it"),
    ] = None,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH to resize images to; else told from them")] = "",
    dates: Annotated[str, typer.Option(help="day_first or month_first of dates; else told from them")] = "",
    skip_invalid: Annotated[
        bool, typer.Option(help="cells that cannot be read are gaps; such images, and rows without target, left out")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="only show what would change in params.yaml")] = False,
    in_place: Annotated[bool, typer.Option(help="refer to a source outside the project, do not copy it")] = False,
) -> None:
    """Look at your data, and write a dataset and a model for it into params.yaml."""
    from rich.console import Console

    from ..autoconfig.add import add as look
    from ..autoconfig.add import write_result
    from ..autoconfig.report import print_diff, print_report
    from ..autoconfig.write import render_diff
    from ..dvc import wired

    source = Path(os.path.relpath(enter_project() / source)) if not source.is_absolute() else source
    console = Console()
    columns = {"target": target, "series": sequence_id, "step": time_step, "time": time}
    how = {"name": name, "kind": kind, "task": task, "size": size, "dates": dates}
    added = look(source, **columns, **how, header=header, in_place=in_place, skip_invalid=skip_invalid)
    wiring = wired(DVC_YAML.resolve(), paths.project_root(), added.params)
    print_report(added, console)
    copied = f", {added.source} copied to {added.copy_to}" if added.copy_to else ""
    wrote = "params.yaml and dvc.yaml written"
    console.print()
    if dry_run:
        print_diff(render_diff(added.yaml_before, added.yaml_after), console)
        console.print(f"\nso it would be without --dry-run: {wrote}{copied}", highlight=False, markup=False)
        return
    write_result(added, wiring)
    console.print(f"{wrote}{copied}", highlight=False, markup=False)
    if added.copy_to:
        what = "folder" if added.copy_to.is_dir() else "file"
        where = f"{added.copy_to} is a new {what} of git's; if it is large: dvc add {added.copy_to}"
        console.print(where, highlight=False, markup=False)
    console.print(f"next: [bold]dvc repro evaluate@{added.name}[/bold]")
    console.print(f"or, to have it exported and registered too: [bold]dvc repro export@{added.name}[/bold]")


@app.command()
def generate(
    model: Annotated[str, typer.Argument(help="a trained model of params.yaml: of a text's language, or a generator")],
    prompt: Annotated[
        str | None, typer.Option(help="text to go on from; left out, a space, or the word most frequent in training")
    ] = None,
    length: Annotated[int, typer.Option(help="words or characters to write")] = 200,
    temperature: Annotated[float, typer.Option(help="below 1: likely tokens become likelier; above: rarer ones")] = 0.8,
    top_k: Annotated[int, typer.Option(help="draw from so many of the likeliest tokens; 0 draws from all")] = 0,
    rows: Annotated[int | None, typer.Option(help="of a generator: records to make; left out: 1000")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="of a generator: .parquet or .csv of a table, .npz or .png of images, .npz of sequences"),
    ] = None,
    class_name: Annotated[
        str, typer.Option("--class", help="of a generator that can be asked; else each in turn")
    ] = "",
    seed: Annotated[int, typer.Option(help="the same seed writes the same text, or makes the same records")] = 0,
) -> None:
    """Let a language model write on from a prompt, or a generator make records."""
    from ..config.loading import load_params
    from ..data.storage import MANIFEST
    from ..generation.records import is_record_generator, require_record_generator
    from ..generation.records import write_records as make
    from ..generation.text import default_prompt, stream_text
    from ..models.serialization import load_model

    here = enter_project()
    load_params().model(model)
    folder = paths.model_dir(model)
    if not (folder / MANIFEST).exists():
        raise ArtifactError(f"{folder} must hold a trained model, but does not; run `dvc repro train@{model}`")
    saved = load_model(folder)
    if rows is not None or out is not None or class_name:
        require_record_generator(saved)
    if is_record_generator(saved):
        n = 1000 if rows is None else rows
        print(f"{n} records: {make(saved, n, None if out is None else here / out, class_name=class_name, seed=seed)}")
        return
    start = default_prompt(saved) if prompt is None else prompt
    pieces = stream_text(saved, start, length, temperature=temperature, top_k=top_k, seed=seed)
    print(start, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


@app.command()
def lr_find(model: Annotated[str, typer.Argument(help="name of a model in params.yaml")]) -> None:
    """Suggest a learning rate: try rates from 1e-7 to 10, a step each, on the model's own batches. Changes nothing."""
    from ..lr_finder.find import find_lr

    enter_project()
    for line in find_lr(model):
        print(line)


@app.command()
def sync() -> None:
    """Send to MLflow what waits in the spool, and make runs for models that were restored from DVC's cache."""
    from ..tracking.sync import sync as send

    enter_project()
    for line in send():
        print(line)


@app.command()
def ui(
    host: Annotated[
        str, typer.Option(help="address to listen on; other machines are shut out by default")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 5000,
) -> None:
    """Open the MLflow UI on the project's store."""
    from ..tracking.store import serve_ui

    enter_project()
    serve_ui(host, port)


def main() -> None:
    """Run the command line; an error of ours is one line and its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in a file or a pipe, too, a line is there once it is said
    try:
        app()
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
