"""Which charts a run and a race have, and what they say to those who do not see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from markupsafe import Markup

from wellposed.report._axis import wants_log
from wellposed.report._curves import Curve, History, mean_curve, smooth
from wellposed.report._figures import Frame, Line, line_chart
from wellposed.report._sentences import percent, plain, shorten


@final
@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with its heading.

    Args:
        heading: What is drawn.
        note: A sentence below it.
        narrow: The figure for a narrow place.
        wide: The same for a wide place; "" if one serves both.
    """

    heading: str
    note: str
    narrow: Markup
    wide: Markup


@final
@dataclass(frozen=True, slots=True)
class Team:
    """The runs of one method, for a chart of a race.

    Args:
        name: Of the method.
        series: Decides its color, dash and marker.
        histories: Of its runs.
    """

    name: str
    series: int
    histories: Sequence[History]


_NOISY = frozenset({"error train", "objective", "gradient_norm"})  # windows of a few batches
_WORDS = {
    "objective": ("Objective", "mean loss + penalty on training batches"),
    "lr": ("Step size", "lr of the first parameter group"),
    "gradient_norm": ("Gradient norm", "Euclidean, over all parameters"),
}


_TOLD = {  # what a relaxation tells about itself, in the order in which it is shown
    "optimizer kappa": ("Pull of a cycle: kappa", "below 0.1 averaging, above 1 proximal"),
    "optimizer gamma": ("Pull: gamma", "to the anchor, the inverse of t"),
    "optimizer pde_time": ("Time of the relaxation: pde_time", "t = 1/gamma"),
    "optimizer anchor_distance": ("Anchor distance", "from the anchor to the mean of its cycle"),
    "optimizer cosine": ("Cosine", "of what moves the anchor with the gradient"),
    "optimizer noise_ratio": ("Noise ratio", "injected noise over the gradient's own step"),
    "lambda_min": ("Most negative curvature: lambda_min", "of the loss, where it was measured"),
}


def run_charts(history: History) -> list[Chart]:
    """The charts of one run: objective, error, step size, gradient norm, optimizer diagnostics."""
    curves = history.curves
    charts = []
    if "objective" in curves:
        lines = {"objective": curves["objective"]}
        if any(curves["penalty"].finite) if "penalty" in curves else False:
            lines |= {"loss": curves["loss"]} if "loss" in curves else {}
        charts.append(_chart(*_WORDS["objective"], lines))
    errors = {
        name.removeprefix("error "): smooth(curve) if name == "error train" else curve
        for name, curve in curves.items()
        if name.startswith("error ")
    }
    if errors:
        charts.append(_chart("Error", "fraction of examples wrong", errors, percentage=True))
    charts += [_chart(*_WORDS[n], {"": curves[n]}) for n in ("lr", "gradient_norm") if n in curves]
    charts += [
        _chart(*_told(name), {"": curves[name]})
        for name in [*_TOLD, *(name for name in curves if name not in _TOLD)]
        if name in curves and _is_diagnostic(name) and len(set(curves[name].finite)) > 1
    ]
    return charts


def constants(history: History) -> list[tuple[str, str]]:
    """What the optimizer reported and never changed, with its value."""
    return [
        (name.removeprefix("optimizer "), f"{curve.finite[0]:.4g}")
        for name, curve in history.curves.items()
        if _is_diagnostic(name) and len(set(curve.finite)) == 1
    ]


def _is_diagnostic(name: str) -> bool:
    """Whether the optimizer tells this about itself; its position in a cycle does not count."""
    return name in _TOLD or (name.startswith("optimizer ") and not name.endswith("_index"))


def _told(name: str) -> tuple[str, str]:
    """Heading and note of what an optimizer tells about itself."""
    return _TOLD.get(name, (name.removeprefix("optimizer "), "as the optimizer reports it"))


def race_charts(teams: Sequence[Team]) -> list[Chart]:
    """The charts of a race: means over the seeds, each run faintly behind; the first is wide."""
    present = {name for team in teams for history in team.histories for name in history.curves}
    validation = sorted(n for n in present if n.startswith("error ") and n != "error train")
    wanted = [(n, f"{n.removeprefix('error ').capitalize()} error", "") for n in validation[:2]]
    wanted.append(("error train", "Training error", "in train mode, smoothed"))
    wanted += [(name, *_WORDS[name]) for name in ("objective", "lr", "gradient_norm")]
    shown = [item for item in wanted if item[0] in present]
    return [_race_chart(*item, teams, wide=k == 0) for k, item in enumerate(shown)]


def _chart(heading: str, note: str, lines: dict[str, Curve], *, percentage: bool = False) -> Chart:
    """A chart of one run."""
    log = wants_log([y for curve in lines.values() for y in curve.finite])
    said = _said(lines, percentage=percentage)
    frame = Frame(heading, said, percent=percentage, log=log)
    drawn = [
        Line(name if len(lines) > 1 else "", curve.x, curve.y, k)
        for k, (name, curve) in enumerate(lines.items())
    ]
    return Chart(heading, _note(note, said, log=log), line_chart(frame, drawn), Markup(""))


def _race_chart(name: str, heading: str, note: str, teams: Sequence[Team], *, wide: bool) -> Chart:
    """A chart of all methods."""
    lines, means = [], {}
    for team in teams:
        curves = [h.curves[name] for h in team.histories if name in h.curves]
        curves = [smooth(c) for c in curves] if name in _NOISY else curves
        mean = mean_curve(curves)
        if mean is None:
            continue
        means[team.name] = mean
        if len(curves) > 1:
            lines += [Line("", c.x, c.y, team.series, faint=True) for c in curves]
        lines.append(Line(team.name, mean.x, mean.y, team.series))
    percentage = name.startswith("error ")
    log = wants_log([y for mean in means.values() for y in mean.finite], 10 if wide else 20)
    said = _said(means, percentage=percentage)
    frame = Frame(heading, said, percent=percentage, log=log, height=300 if wide else 220)
    big = Frame(heading, said, percent=percentage, log=log, width=740, height=360)
    return Chart(
        heading,
        _note(note, "", log=log),
        line_chart(frame, lines if wide else [_unnamed(line) for line in lines]),
        line_chart(big, lines) if wide else Markup(""),
    )


def _unnamed(line: Line) -> Line:
    """The line without the name at its end."""
    return Line("", line.x, line.y, line.series, line.faint)


def _said(curves: dict[str, Curve], *, percentage: bool) -> str:
    """First, last and smallest value of each curve."""
    parts = []
    for name, curve in curves.items():
        if not curve.finite:
            continue
        first, last, least = (
            percent(v) if percentage else plain(v)
            for v in (curve.finite[0], curve.finite[-1], min(curve.finite))
        )
        parts.append(f"{shorten(name, 40)} from {first} to {last}, lowest {least}".strip())
    return "; ".join(parts)


def _note(*parts: str, log: bool) -> str:
    """The line below a heading."""
    words = [*filter(None, parts), "logarithmic scale" if log else ""]
    return "; ".join(filter(None, words))
