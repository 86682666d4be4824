"""The command `fivefold`: what is not a stage."""

import json
import sys
from typing import Annotated

import typer

from .errors import FivefoldError, ParamsError
from .paths import DVC_YAML

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)


@app.command()
def schema() -> None:
    """Print the JSON schema of params.yaml, with which an editor completes and checks it."""
    from .params.json_schema import json_schema

    print(json.dumps(json_schema(), indent=2))


@app.command()
def wire() -> None:
    """Write into dvc.yaml what stages import and which models there are to plot."""
    from .wiring import wired

    DVC_YAML.write_text(wired(DVC_YAML))


@app.command()
def check() -> None:
    """Look at params.yaml, sources and dvc.yaml, without running anything."""
    from .data.source import source_of
    from .params.load import load_params
    from .wiring import wired

    params = load_params()
    for dataset in params.datasets.values():
        source_of(dataset)
    if DVC_YAML.read_text() != wired(DVC_YAML):
        raise ParamsError("dvc.yaml must list what stages import and which models there are; run `make wire`")
    print(f"in order: datasets {', '.join(params.datasets)}; models {', '.join(params.models)}; dvc.yaml")


@app.command()
def sync() -> None:
    """Send to MLflow what waits in the spool, and make runs for models that were restored from DVC's cache."""
    from .tracking.sync import sync as send

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
    from .tracking.server import serve

    serve(host, port)


def main() -> None:
    """Run the command line; an error of ours is one line and its exit code."""
    try:
        app()
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
