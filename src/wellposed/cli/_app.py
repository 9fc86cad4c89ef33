"""The commands, under one name. No command imports torch before it runs."""

import inspect
import sys
from collections.abc import Callable
from typing import Annotated

import typer

import wellposed
from wellposed.cli._audit import audit
from wellposed.cli._cite import cite
from wellposed.cli._data import data
from wellposed.cli._evaluate import evaluate
from wellposed.cli._list import show_list
from wellposed.cli._many_numbers import ManyNumbers
from wellposed.cli._predict import predict
from wellposed.cli._recipe import recipe
from wellposed.cli._relax import relax
from wellposed.cli._report import report
from wellposed.cli._resume import resume
from wellposed.cli._robustness import robustness
from wellposed.cli._train import train

HELP = """Train deep networks as well-posed numerical problems, and see the evidence.

\b
  min_w  E_{x ~ data} loss(model(x; w), y) + regularizer(w)

Everything a run depends on is in a recipe, a TOML file; everything it finds is in a run folder.

\b
Examples:
  wellposed train                        four methods, three seeds, real digits; about a minute
  wellposed recipe main > mine.toml      the recipe behind it, to edit
  wellposed train mine.toml --set optimizer.lr=0.1 --out runs/mine
  wellposed resume runs/mine             go on after Ctrl-C or a crash, to the same bits
  wellposed audit RUN                    can it be trusted? findings, and what to try
  wellposed robustness RUN --eps 0.02    what is proven of it, and what breaks it
  wellposed predict RUN digit.png        what the trained network says about a picture
  wellposed list optimizers              what a recipe can name

\b
Exit codes:
  0    done
  1    done, but a goal that the recipe states was not met, or a check of an audit failed
  2    bad input; one sentence says what was found and what to try
  70   a fault of wellposed itself; the message names a file with the details
  130  interrupted by Ctrl-C (143: by SIGTERM); `wellposed resume RUN` goes on
  141  whoever read the output closed it

Environment: WELLPOSED_DATA names a folder of datasets, WELLPOSED_OFFLINE=1 forbids downloads,
NO_COLOR=1 switches colors off.
"""

app = typer.Typer(
    name="wellposed",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "train": (train, "Train what a recipe says; without one, run the main job."),
    "resume": (resume, "Go on with an interrupted run or race."),
    "evaluate": (evaluate, "Measure a trained network again, or on other data."),
    "predict": (predict, "Classify pictures with a trained network."),
    "audit": (audit, "Examine a trained network: findings, and what to try."),
    "robustness": (robustness, "Bracket the robust accuracy of a trained network."),
    "report": (report, "Write the report of a run or a race again."),
    "relax": (relax, "Draw what relaxations make of a loss."),
    "recipe": (recipe, "Print a recipe with comments, to copy and edit."),
    "list": (show_list, "List what a recipe can name."),
    "cite": (cite, "Print BibTeX of what a run has used."),
}
for _name, (_command, _short) in COMMANDS.items():
    _text = (inspect.getdoc(_command) or "").replace("\\b", "\b")  # \b keeps line breaks
    app.command(_name, cls=ManyNumbers, help=_text, short_help=_short)(_command)
app.add_typer(data, name="data")


def _version(value: bool) -> bool:
    if value:
        typer.echo(f"wellposed {wellposed.__version__}, Python {sys.version.split()[0]}")
        raise typer.Exit
    return value


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options before the command."""
