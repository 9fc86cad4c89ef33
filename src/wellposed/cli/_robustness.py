"""`wellposed robustness RUN`: what is proven, what is broken, and what nobody knows."""

import shlex
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from wellposed.cli._audit import examined, subject_of, where_findings_go
from wellposed.cli._base import DataDir, Json, Trust, opened
from wellposed.cli._beside import findings_kept
from wellposed.cli._output import Output


def robustness(
    subject: Annotated[
        str,
        typer.Argument(metavar="RUN|MODULE:FACTORY", help="Run folder, or who makes a model."),
    ],
    eps: Annotated[
        list[float] | None,
        typer.Option("--eps", metavar="RADIUS...", help="In raw units; one or several."),
    ] = None,
    norm: Annotated[str, typer.Option(help="linf, l2 or l1.")] = "linf",
    examples: Annotated[int, typer.Option(min=1, help="How many, of the part judged.")] = 200,
    budget: Annotated[
        str, typer.Option(help="Of the attacks: fast, standard, full or autoattack.")
    ] = "standard",
    method: Annotated[
        str, typer.Option(help="Of the certificates: auto, ibp, crown-ibp, crown or alpha-crown.")
    ] = "auto",
    transfer: Annotated[
        list[Path] | None,
        typer.Option(
            "--transfer", metavar="OTHER", help="Who breaks whom, with that run; may be repeated."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights: .safetensors, or of torch.save.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="A dataset, a folder of images, or an .npz file."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The model takes inputs that are not standardized.")
    ] = False,
    split: Annotated[
        bool, typer.Option("--split", help="Trained on the parts that wellposed draws (MODULE).")
    ] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the attacks here, and go on from it.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of every draw.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where findings go. Default: RUN itself.")
    ] = None,
    data_dir: DataDir = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    r"""Bracket the robust accuracy of a trained network, radius by radius.

    Attacks show how many answers can be changed by perturbations of the inputs up to a radius, and
    certificates prove how many cannot; what lies between is undecided. Radii are in the units of
    raw inputs, before any standardization: 0.031 is 8/255 of images in [0, 1].

    The folder DIR/robustness gets statement.txt, bracket.json, counterexamples.safetensors and
    pictures of counter-examples; the finding goes to findings.json and audit.html beside those of
    `wellposed audit`.

    With --transfer, the worst examples of the largest radius that are found on this network and on
    those of other runs on the same data are shown to all: a second finding, with its matrix.

    \b
    Examples:
      wellposed robustness runs/mine --eps 0.01 0.02 0.05
      wellposed robustness runs/mine --eps 0.5 --norm l2 --examples 1000 --budget full
      wellposed robustness runs/mine --eps 0.02 --transfer runs/cnn --transfer runs/wide
      wellposed robustness package.module:factory --weights model.safetensors --data mnist

    \b
    Exit codes: 0 done, 2 bad input.
    """
    from wellposed.audit import (
        bracket_of,
        plan,
        require_alike,
        robustness_check,
        transfer_check,
    )
    from wellposed.errors import Interrupted
    from wellposed.recipe import subject_of_run
    from wellposed.report import render, render_audit
    from wellposed.runs import exclusive

    radii = _radii(eps or (0.005, 0.01, 0.02, 0.05))
    given: tuple[Any, ...] = (radii, norm, examples, budget, method, checkpoint)
    checks = [robustness_check(*given)]
    console = Output(as_json=as_json)
    settings = {
        "subject": subject, "weights": weights, "data": data, "other": None, "initial": None,
        "loss": "crossentropy", "lr": None, "raw": raw, "split": split, "seed": seed,
    }  # fmt: skip
    made, foreign = subject_of(console, settings, data_dir, trust=trust)
    with console.apart():
        runs = [opened(path, trust=trust) for path in transfer or ()]
        others = [subject_of_run(run, data_dir=data_dir, seed=seed) for run in runs]
        if others:
            require_alike(made, others)
            checks.append(transfer_check(others, radii[-1], norm, examples))
        agenda = plan(made, checks)
    folder = where_findings_go(subject, out, settings, foreign=foreign)
    try:
        with exclusive(folder.path), console.apart(), findings_kept(folder):
            audit = examined(console, made, agenda, folder, resume=False)
            _, found = bracket_of(made, *given)  # what could not be measured raises here
            kept = found.save(folder.path / "robustness")
    except KeyboardInterrupt:
        where = f", with --out {shlex.quote(str(folder.path))}" if foreign and out is None else ""
        raise Interrupted(signal.SIGINT, f"the same command{where}") from None
    render(folder)
    page = render_audit(folder)
    console.record({"event": "bracket", "folder": str(kept), "report": str(page)} | found.to_dict())
    console.line()
    for line in found.statement().splitlines():
        console.paragraph(line)
    if others:
        console.paragraph(audit["transfer"].statement)
    console.line()
    console.line(f"Counter-examples: {shlex.quote(str(kept / 'counterexamples.safetensors'))}")
    console.line(f"Report: {shlex.quote(str(page))}")


def _radii(eps: Iterable[float]) -> tuple[float, ...]:
    """Each once, ascending."""
    from wellposed.errors import require

    radii = tuple(sorted(set(eps)))
    wrong = [radius for radius in radii if not 0 < radius < float("inf")]
    require(
        not wrong,
        f"--eps needs radii that are positive and finite, got {', '.join(map(str, wrong))}",
    )
    return radii
