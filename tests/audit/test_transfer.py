import pytest
import torch
from tests.perturb.masked import Quantized
from tests.perturb.victim import MODEL, X, Y
from torch import nn

from wellposed.audit import Subject, examine, require_alike, transfer_check
from wellposed.data import Standardization
from wellposed.errors import ArgumentError, UnknownNameError
from wellposed.perturb import Linf, transfer
from wellposed.report import render_audit
from wellposed.runs import Listing, RunFolder, Verdict
from wellposed.stats import clopper_pearson

EPS = 0.05
POINTS = 0.5 + 0.1 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
CLASSES = (POINTS[:, 0] > 0.5).long()
SCALES = {0.0: None, 60.0: Standardization((0.5, 0.4), (0.1, 0.2)), 90.0: None}


def normal(angle):
    turn = torch.tensor(angle).deg2rad()
    return torch.stack([turn.cos(), turn.sin()])


def plane(angle):
    """Two classes on the sides of a line through the middle; as its standardization wants it."""
    scale = SCALES[angle]
    model, w, middle = nn.Linear(2, 2), normal(angle), torch.full((1, 2), 0.5)
    with torch.no_grad():
        if scale is not None:
            w, middle = w * torch.tensor(scale.std), scale.apply(middle)
        model.weight.copy_(torch.stack([-w, w]))
        model.bias.copy_(torch.stack([(w * middle).sum(), -(w * middle).sum()]))
    points = POINTS if scale is None else scale.apply(POINTS)
    return Subject(
        model, {"test": (points, CLASSES)}, input_range=(0.0, 1.0), standardization=scale,
        name=f"plane {angle:g}",
    )  # fmt: skip


def images(model, n=60, **known):
    return Subject(model, {"test": (X[:n], Y[:n])}, input_range=(0.0, 1.0), **known)


def found(subject, others, *given):
    return examine(subject, [transfer_check(others, *given)])["transfer"]


def test_linear_networks_transfer_by_the_angle_between_them():
    planes = [plane(angle) for angle in SCALES]
    finding = found(planes[0], planes[1:], EPS, "l2", None)
    sides = (2 * CLASSES - 1)[:, None] * (POINTS - 0.5)
    leads = sides @ torch.stack([normal(angle) for angle in SCALES]).T
    for row, one in enumerate(SCALES):
        for column, another in enumerate(SCALES):
            both = (leads[:, row] > 0) & (leads[:, column] > 0)
            assert finding.evidence["counted"][row][column] == both.sum()
            # eps along one normal takes the cosine of the angle off the other's lead
            lost = EPS * float(normal(one) @ normal(another))
            low, high = ((leads[both, column] < lost + d).sum() for d in (-1e-5, 1e-5))
            assert low <= finding.evidence["breaks"][row][column] <= high
    breaks, counted = (finding.evidence[key][1][0] for key in ("breaks", "counted"))
    assert finding.value == breaks / counted
    expected = clopper_pearson(breaks, counted, 0.975)  # the largest of two
    assert finding.interval == pytest.approx((expected[0], expected[1]))
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["missed"] == []
    assert "crafted on plane 60 break" in finding.statement
    assert "the most of 2 other networks" in finding.statement
    assert finding.verified.startswith("shown again to the network each was crafted on, 0 of 600")
    assert finding.evidence["right"] == (leads > 0).sum(0).tolist()


def test_the_same_network_twice_breaks_by_the_same_examples():
    finding = found(images(MODEL, 40), [images(MODEL, 40)], 0.3)
    assert finding.value == 1
    assert finding.interval == pytest.approx(clopper_pearson(40, 40))
    assert finding.evidence["networks"] == ["Sequential", "Sequential (2)"]
    assert finding.evidence["mean_over_pairs"] == 1
    assert finding.family == "robustness"


def test_it_shows_what_transfer_finds_as_a_matrix(tmp_path):
    torch.manual_seed(1)
    other = nn.Sequential(nn.Linear(64, 10))
    optimizer = torch.optim.Adam(other.parameters(), 0.03)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(other(X), Y).backward()
        optimizer.step()
    subject = images(MODEL, name="relu")
    finding = found(subject, [images(other, name="linear")], 0.1)
    known = transfer({"relu": MODEL, "linear": other}, X[:60], Y[:60], Linf(0.1))
    assert finding.evidence["breaks"] == known.breaks.tolist()
    assert finding.evidence["counted"] == known.counted.tolist()
    off = known.shares[[0, 1], [1, 0]]
    assert finding.evidence["mean_over_pairs"] == pytest.approx(float(off.mean()))
    [matrix] = finding.figures
    assert isinstance(matrix, Listing)
    assert matrix.header == ("crafted on", "relu", "linear")
    low, high = (100 * end for end in known.interval("linear", "relu"))
    cell = f"{100 * finding.value:.1f} [{low:.1f}, {high:.1f}] of {int(known.counted[1, 0])}"
    assert matrix.rows[1][:2] == ("linear", cell)
    folder = RunFolder.create(tmp_path / "found", kind="audit", recipe="", provenance={})
    examine(subject, [lambda _: finding]).write(folder)
    page = render_audit(folder).read_text()
    assert "Who breaks whom" in page
    assert cell in page


def test_a_network_that_hides_its_gradients_is_found_out():
    hidden, plain = images(Quantized(MODEL), name="hidden"), images(MODEL, name="open")
    finding = found(hidden, [plain], 0.1)
    assert finding.verdict is Verdict.WARN
    assert len(finding.evidence["missed"]) > 15
    assert "that others break no attack on itself does" in finding.statement
    assert "--budget full" in finding.remedy
    assert found(plain, [hidden], 0.1).verdict is Verdict.PASS


def test_what_one_start_misses_and_targets_find_is_no_alarm():
    """The nearest class is out of reach, and its gradient says nothing of the one within it."""

    def network(near):
        model = nn.Linear(2, 3)
        with torch.no_grad():
            model.weight.copy_(torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 50.0]]))
            model.bias.copy_(torch.tensor([0.0, near - 5, -27.0]))
        data = {"test": (torch.full((40, 2), 0.5), torch.zeros(40).long())}
        return Subject(model, data, input_range=(0.0, 1.0))

    finding = found(network(-1), [network(-20)], EPS)
    assert finding.value == 1
    assert finding.evidence["missed_by_apgd"] > 10
    assert finding.evidence["missed"] == []
    assert finding.verdict is Verdict.PASS


def test_the_rows_that_its_attack_missed_are_rows_of_the_part():
    hidden, plain = images(Quantized(MODEL), 100), images(MODEL, 100)
    finding = found(hidden, [plain], 0.1, "linf", 30)
    assert set(finding.evidence["missed"]) <= set(hidden.rows("test", 30).tolist())
    assert max(finding.evidence["missed"]) >= 30


def test_a_network_of_other_data_is_refused_in_a_sentence():
    subject = images(MODEL, name="mine")
    wide = Subject(nn.Linear(9, 10), (torch.rand(20, 9), torch.arange(20) % 10), name="wide")
    named = images(MODEL, classes=[f"digit {i}" for i in range(10)])
    ranged = Subject(MODEL, {"test": (255 * X[:20], Y[:20])}, input_range=(0.0, 255.0))
    cases = {
        r"examples of mine to wide, which knows inputs of shape \(9,\) where": wide,
        r"knows classes \('digit 0', .* where they have \('0', ": named,
        r"knows raw inputs in \(0.0, 255.0\) where they have \(0.0, 1.0\)": ranged,
    }
    for said, other in cases.items():
        with pytest.raises(ArgumentError, match=said):
            require_alike(subject, [images(MODEL), other])
        assert found(subject, [other], 0.1).verdict is Verdict.UNKNOWN


def test_what_it_cannot_count_is_said():
    class Flipped(nn.Module):
        def forward(self, x):
            return -MODEL(x)

    finding = found(images(MODEL, 20), [images(Flipped(), 20)], 0.1)
    assert finding.verdict is Verdict.UNKNOWN
    assert "of 20 there is none for Sequential and another" in finding.statement


def test_refuses_no_other_network_a_radius_of_zero_and_an_unknown_norm():
    with pytest.raises(ArgumentError, match="at least one other network"):
        transfer_check([], 0.1)
    with pytest.raises(ArgumentError, match="radius above 0, and finite, got 0"):
        transfer_check([images(MODEL)], 0.0)
    with pytest.raises(UnknownNameError, match="no norm is called 'l3'"):
        transfer_check([images(MODEL)], 0.1, "l3")


def test_what_it_states_is_what_it_counts():
    subject, others = images(MODEL, 20), [images(Quantized(MODEL), 20)]
    finding = found(subject, others, EPS, "l2")
    spent, passes = (sum(finding.evidence[key]) for key in ("gradients", "forwards"))
    assert finding.gradients == pytest.approx(2 * spent / 3 + passes / 3, rel=0.05)
    assert (finding.evidence["norm"], finding.evidence["eps"]) == ("l2", EPS)
