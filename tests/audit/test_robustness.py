import pytest
import torch
from tests.audit.test_check import Multiplications
from tests.perturb.masked import Quantized
from tests.perturb.victim import MODEL, X, Y
from torch import nn

from wellposed.audit import Subject, examine, robustness
from wellposed.audit._robustness import CHECK
from wellposed.perturb import LADDERS
from wellposed.runs import Curves, Pictures, Verdict
from wellposed.stats import clopper_pearson


def images(model, n=100, **known):
    parts = {"test": (X[:n].reshape(n, 1, 8, 8), Y[:n])}
    return Subject(nn.Sequential(nn.Flatten(), model), parts, input_range=(0.0, 1.0), **known)


QUICK = {"budget": "fast", "method": "crown-ibp"}


def blobs(reach):
    """A linear classifier, and two classes at a distance from its boundary: of each coordinate."""
    labels = torch.arange(200) % 2
    model = nn.Linear(4, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0] * 4, [1.0] * 4]))
        model.bias.copy_(torch.tensor([2.0, -2.0]))
    x = 0.5 + (2 * labels[:, None] - 1) * reach * torch.ones(200, 4)
    return Subject(model, {"test": (x, labels)}, input_range=(0.0, 1.0))


def test_a_network_that_holds_passes_and_one_that_does_not_warns():
    verdicts = []
    for reach in (0.1, 0.004):
        finding = robustness(blobs(reach), radii=(0.01, 0.05), **QUICK)
        verdicts.append(finding.verdict)
        assert finding.value == (0 if reach > 0.01 else 1)
    assert verdicts == [Verdict.PASS, Verdict.WARN]
    assert "AdversarialTraining(eps=0.01)" in finding.remedy
    assert '[[regularizer]] name = "adversarialtraining", eps = 0.01' in finding.remedy
    assert "counter-example" in finding.statement


@pytest.mark.parametrize(
    ("norm", "radius", "reach", "verdict"),
    [
        ("linf", 0.05, 0.1, Verdict.PASS),  # what holds at 0.05 holds at 0.01
        ("linf", 0.05, 0.02, Verdict.UNKNOWN),  # what breaks there need not break at 0.01
        ("linf", 0.001, 0.1, Verdict.UNKNOWN),
        ("linf", 0.001, 0.0005, Verdict.WARN),
        ("l2", 0.01, 0.1, Verdict.UNKNOWN),
        ("l2", 0.01, 0.0005, Verdict.WARN),
    ],
)
def test_another_radius_decides_only_what_it_can(norm, radius, reach, verdict):
    finding = robustness(blobs(reach), radii=(radius,), norm=norm, **QUICK)
    assert finding.verdict is verdict
    assert ("radius 0.01 in linf" in finding.remedy) == (verdict is Verdict.UNKNOWN)


def test_value_and_interval_are_of_what_is_right_and_broken():
    subject = images(MODEL)
    finding = robustness(subject, radii=(0.01, 0.04), **QUICK)
    at = finding.evidence["radii"][0]
    lost = round(100 * (1 - at["upper"]["value"]))
    assert finding.value == lost / 100
    open_ = round(100 * (1 - at["lower"]["value"]))
    assert finding.interval == (clopper_pearson(lost, 100)[0], clopper_pearson(open_, 100)[1])
    assert finding.evidence["judged_at"] == 0.01
    again = finding.verified.split(" of ")[0]
    assert f"{again} of {again} counter-examples" in finding.verified
    assert finding.evidence["violations"] == 0


def test_figures_show_the_bracket_and_counter_examples():
    curves, sheet = robustness(images(MODEL), radii=(0.02, 0.05), **QUICK).figures
    assert isinstance(curves, Curves)
    upper, lower = curves.series
    assert set(upper.x) == set(lower.x) == {0.0, 0.02, 0.05}
    assert all(low <= high for low, high in zip(lower.y, upper.y, strict=True))
    assert all(a <= y for a, y in zip(lower.low, lower.y, strict=True))
    assert isinstance(sheet, Pictures)
    assert len(sheet.rows[0]) == 3
    assert sheet.rows[0][0].png.startswith(b"\x89PNG")


def test_it_is_a_check_with_a_family_of_its_own():
    finding = examine(images(MODEL, 50), ["robustness"], "quick")["robustness"]
    assert finding.family == "robustness"
    assert finding.gradients > 0
    assert finding.verdict is not Verdict.FAIL


def test_without_certificates_it_says_why_and_does_not_pass():
    class Odd(nn.Module):
        def forward(self, x):
            return 100 * MODEL(0.5 + 0.001 * torch.special.erfcx(x))

    x = torch.rand(40, 64, generator=torch.Generator().manual_seed(0))
    labels = Odd()(x).argmax(1)
    subject = Subject(Odd(), {"test": (x, labels)}, input_range=(0.0, 1.0))
    finding = robustness(subject, radii=(0.0001,), **QUICK)
    assert finding.verdict is Verdict.UNKNOWN
    assert "Nothing is proven" in finding.statement
    assert "erfcx" in finding.statement
    assert "without certificates" in finding.remedy


@pytest.mark.slow
def test_a_masked_network_is_named():
    finding = robustness(images(Quantized(MODEL), 12), radii=(0.08,), **QUICK)
    assert "weak attack is suspected" in finding.statement
    assert finding.evidence["suspected"]


def test_what_it_cannot_judge_is_one_sentence():
    labels = torch.arange(20) % 2
    tokens = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 2))
    subjects = [
        Subject(tokens, (torch.randint(5, (20, 3)), labels)),
        Subject(
            nn.Linear(3, 1), (torch.rand(20, 3), torch.rand(20, 1)), nn.MSELoss(reduction="none")
        ),
        Subject(nn.Linear(3, 2), (torch.rand(20, 3), labels)),
    ]
    for subject in subjects:
        finding = examine(subject, ["robustness"], "quick")["robustness"]
        assert finding.verdict is Verdict.UNKNOWN
        assert finding.statement.startswith("Not checked: ")
        assert "\n" not in finding.statement


def test_what_it_states_is_what_it_computes():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10),
        )  # fmt: skip
    x = X[:5].reshape(5, 1, 8, 8)
    subject = Subject(model.eval(), {"test": (x, model(x).argmax(1))}, input_range=(0.0, 1.0))
    with Multiplications() as one:
        torch.autograd.grad(subject.objective(*subject.take("test", 5)), subject.parameters)
    stated = CHECK.cost(subject, radii=(0.01,), **QUICK)
    with Multiplications() as every:
        robustness(subject, radii=(0.01,), **QUICK)
    spent = every.count / one.count * 5
    assert stated / 2 < spent < 2 * stated


def test_an_undecided_finding_advises_what_the_command_takes():
    finding = robustness(blobs(0.1), radii=(0.01,), examples=4, **QUICK)
    assert finding.verdict is Verdict.UNKNOWN
    assert "wellposed robustness with --examples 1000, --method auto or" in finding.remedy
    assert finding.remedy.rsplit(maxsplit=1)[-1] in LADDERS
