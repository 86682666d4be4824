"""The commands `fivefold study show` and `fivefold study adopt`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..paths import enter_project

Study = Annotated[str, typer.Argument(help="name of the study: that of its model, unless --name said otherwise")]


def show(
    name: Study,
    as_json: Annotated[bool, typer.Option("--json", help="all of it as JSON; docs/studies.md tells the keys")] = False,
    top: Annotated[int, typer.Option(min=1, help="trials that are listed")] = 10,
    plots: Annotated[Path | None, typer.Option(help="folder to write pictures into")] = None,
) -> None:
    """Show what a study found: best trials, which keys matter, what was pruned and why. Also while it runs."""
    from rich.console import Console

    from ..tuning.execution.storage import reading
    from ..tuning.execution.trials import Trials
    from ..tuning.results.facts import found
    from ..tuning.results.report import show as show_found

    here = enter_project()
    with reading(name):
        study = found(Trials.load(name))
    if plots is not None:
        from ..tuning.results.plots import draw

        draw(study, study.importance, here / plots)
        if study.importance.note:
            print(f"no importance.png: {study.importance.note}", file=sys.stderr)
    if as_json:
        print(study.model_dump_json(indent=2))
        return
    wide = Console()
    show_found(study, top, wide if wide.is_terminal else Console(width=160))


def adopt(
    name: Study,
    trial: Annotated[int | None, typer.Option(help="its number; else the best one")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change, and write nothing")] = False,
) -> None:
    """Put the values of the best trial into params.yaml; comments and every other line stay."""
    from rich.console import Console

    from ..autoconfig.report import show_difference
    from ..autoconfig.write import difference
    from ..tuning.execution.storage import reading
    from ..tuning.results.apply import adopt as adopt_trial
    from ..tuning.results.apply import write
    from ..tuning.results.report import scored

    enter_project()
    with reading(name):
        found = adopt_trial(name, trial)
    print(f"trial {found.trial.number} of {name}: {found.study.metric} {scored(found.trial)}")
    if found.after == found.before:
        print("params.yaml has these values already")
        return
    show_difference(difference(found.before, found.after), Console())
    found.refuse_others()
    if dry_run:
        print("nothing was written")
        return
    write(found)
    print(f"written; next: dvc repro evaluate@{found.study.model}")
