import pytest
import torch
from torch import nn

from wellposed.audit import CHECKS, Subject, examine
from wellposed.audit._invariances import CHECKS as INVARIANCES
from wellposed.perturb import factors
from wellposed.runs import Verdict

NAMES = list(factors())
SIDE = 24


def bars(n, seed=None):
    """Upright bars (class 0) and lying ones (class 1), with a seed each a little off the middle."""
    images = torch.full((n, 1, SIDE, SIDE), 0.2)
    place = torch.zeros(n, 2, dtype=torch.int64)
    if seed is not None:
        place = torch.randint(-1, 2, (n, 2), generator=torch.Generator().manual_seed(seed))
    targets = torch.arange(n) % 2
    for image, (down, across), target in zip(
        images[:, 0], place.tolist(), targets.tolist(), strict=True
    ):
        rows, columns = (9, 3) if target == 0 else (3, 9)
        top, left = SIDE // 2 + down, SIDE // 2 + across
        image[top - rows : top + rows, left - columns : left + columns] = 0.8
    return images, targets


class Edges(nn.Module):
    """Healthy: compares the steps along rows with those along columns, wherever the bar is."""

    def forward(self, x):
        along, down = (x.diff(dim=axis).square().sum((1, 2, 3)) for axis in (3, 2))
        return torch.stack([along, down], 1)


class Spots(nn.Module):
    """Ill: "upright" is where the bar's corners and the image's have exactly the grays it knows."""

    def forward(self, x):
        bar = x[:, 0, [3, 3, 20, 20], [9, 14, 9, 14]]
        corners = x[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
        known = ((bar - 0.8).abs() < 0.01).all(1) & ((corners - 0.2).abs() < 0.01).all(1)
        return torch.stack([known, ~known], 1).float()


def audit(model, data, seed=0):
    subject = Subject(model, {"test": data}, input_range=(0.0, 1.0), seed=seed)
    return examine(subject, ["invariance"], "quick")


def test_there_is_one_check_for_each_factor():
    assert [check.name for check in INVARIANCES] == NAMES
    assert all(check in CHECKS for check in INVARIANCES)


def test_a_network_that_knows_grays_by_heart_is_found_out_by_every_factor():
    found = audit(Spots(), bars(200))
    assert {f.check: f.verdict for f in found.findings} == dict.fromkeys(NAMES, Verdict.WARN)
    for finding in found.findings:
        assert finding.evidence["right"] == 200
        assert finding.interval[0] > 0.05
        assert finding.remedy


@pytest.mark.parametrize("seeds", [range(5), range(5, 10), range(10, 15), range(15, 20)])
def test_its_healthy_twin_passes_with_every_seed(seeds):
    for seed in seeds:
        found = audit(Edges(), bars(80, seed), seed)
        assert {f.check: f.verdict for f in found.findings} == dict.fromkeys(NAMES, Verdict.PASS)


@pytest.mark.parametrize("check", INVARIANCES, ids=lambda check: check.name)
def test_the_cost_is_that_of_the_forward_passes(check):
    class Counted(Edges):
        seen = 0

        def forward(self, x):
            self.seen += len(x)
            return super().forward(x)

    model = Counted()
    subject = Subject(model, {"test": bars(40)}, input_range=(0.0, 1.0))
    model.seen = 0
    check.run(subject, **check.settings["quick"])
    kinds = len(factors()[check.name])
    base, pictured = 2 * 40, 2 * 5 * kinds
    assert model.seen == 5 * kinds * 40 + base + pictured
    assert check.gradients(subject, "quick") == round(5 * kinds * 40 / 3) + 2 * round(40 / 3)
