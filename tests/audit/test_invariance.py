import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject, examine, invariance
from wellposed.audit._invariance import largest_loss
from wellposed.data import Standardization
from wellposed.errors import ArgumentError
from wellposed.losses import SquaredError
from wellposed.perturb import Brightness
from wellposed.runs import Finding, Verdict
from wellposed.stats import paired_shares, wilson

RANGE = (0.0, 1.0)


class Mean(nn.Module):
    """Class 1 where the mean of the inputs is above a number."""

    def __init__(self, above=0.5):
        super().__init__()
        self.above = above

    def forward(self, x):
        mean = x.mean((1, 2, 3)) - self.above
        return torch.stack([-mean, mean], 1)


def grays(n=100, channels=1, height=8, width=8):
    """Flat images, dark (class 0) and light (class 1)."""
    targets = torch.arange(n) % 2
    images = torch.where(targets == 0, 0.3, 0.7)[:, None, None, None]
    return images.expand(n, channels, height, width).clone(), targets


def subject(model=None, data=None, **more):
    more.setdefault("input_range", RANGE)
    return Subject(model or Mean(), {"test": data or grays()}, **more)


def severities(finding, name):
    return next(p for p in finding.evidence["perturbations"] if p["name"] == name)["severities"]


def test_accuracy_under_brightness_is_what_arithmetic_says():
    finding = invariance(subject(), "illumination")
    rows = severities(finding, "Brightness")
    # 0.3 and 0.7 cross 0.5 by 0.24 and more, and by nothing less; half of them in each direction.
    assert [row["right"] for row in rows[:2]] == [100, 100]
    images, targets = grays()
    seed = finding.evidence["batch_seeds"][0]
    for row in rows[2:]:
        changed = Brightness(row["severity"], seed=seed)(images).mean((1, 2, 3)) > 0.5
        right = int((changed.long() == targets).sum())
        assert 30 < right < 70
        assert row["right"] == right
        assert row["sha256"] == Brightness(row["severity"], seed=seed).sha256
        assert row["accuracy_interval"] == list(wilson(right, 100))
        assert row["unchanged"] == row["accuracy"], "all are right at severity 0"
    assert finding.value == 0
    assert finding.verdict is Verdict.PASS
    few = invariance(subject(), "illumination", examples=40)
    assert few.value == 0
    assert few.verdict is Verdict.UNKNOWN
    assert "more examples decide" in few.remedy


def test_the_value_is_the_loss_at_severity_2_with_its_paired_interval():
    finding = invariance(subject(Mean(0.4), grays(200)), "illumination")
    rows = severities(finding, "Brightness")  # 0.3 + 0.16 > 0.4, and 0.7 - 0.16 is not below it
    lost = 200 - rows[1]["right"]
    assert 30 < lost < 70
    assert finding.value == lost / 200
    assert finding.interval == pytest.approx(paired_shares(lost, 0, 200, 1 - 0.05 / 3))
    assert finding.verdict is Verdict.WARN
    assert "Brightness (share of the range 0.16, severity 2) costs" in finding.statement
    assert "the most of Brightness, Contrast, Lighting" in finding.statement
    assert "no augmentation of wellposed.data varies this" in finding.remedy
    assert finding.threshold.kind == "convention"


def test_the_largest_loss_is_covered_at_its_level():
    generator = np.random.default_rng(0)
    n, covered = 150, 0
    for _ in range(1000):
        shares = generator.uniform(0, 0.1, (3, 2))
        counts = [generator.multinomial(n, [*pair, 1 - pair.sum()])[:2] for pair in shares]
        _, (low, high), _ = largest_loss([(int(a), int(b)) for a, b in counts], n)
        covered += low <= (shares[:, 0] - shares[:, 1]).max() <= high
    assert covered >= 950 - 21  # three standard deviations; Bonferroni makes it more, not less


def test_the_largest_loss_names_its_change():
    value, interval, worst = largest_loss([(3, 1), (9, 2), (4, 0)], 100)
    assert (value, worst) == (0.07, 1)
    assert interval[0] < 0.07 < interval[1]


def test_a_network_that_was_standardized_sees_the_same_as_one_that_was_not():
    images, targets = grays(60)
    scaled = Standardization((0.5,), (0.25,))
    raw = invariance(subject(data=(images, targets)), "blur")
    inside = subject(Mean(0.0), (scaled.apply(images), targets), standardization=scaled)
    found = invariance(inside, "blur")
    assert found.evidence == raw.evidence
    assert "0 of 60 predictions differ" in found.verified
    assert "20 of 20 changed examples" in found.verified


def test_other_seeds_change_images_otherwise_and_the_same_seed_the_same():
    first, again, other = (
        invariance(subject(Mean(0.4), seed=seed), "illumination") for seed in (1, 1, 2)
    )
    assert first == again
    assert severities(first, "Brightness") != severities(other, "Brightness")


def test_many_batches_are_as_one_but_for_their_seeds():
    finding = invariance(subject(data=grays(101), batch_size=50), "compression")
    assert len(set(finding.evidence["batch_seeds"])) == 3
    assert finding.evidence["examples"] == 101
    assert [row["right"] for row in severities(finding, "Compression")] == [101] * 5


def test_colors_odd_sides_and_doubles_are_taken():
    images, targets = grays(40, 3, 9, 14)
    for data in ((images, targets), (images.double(), targets)):
        assert invariance(subject(data=data), "viewpoint").value == 0


def test_a_finding_survives_json():
    finding = invariance(subject(data=grays(20)), "noise")
    assert Finding.from_dict(*finding.to_dict()) == finding


def test_what_small_images_do_not_allow_is_said_and_the_rest_is_measured():
    finding = invariance(subject(data=grays(60, 1, 2, 2)), "viewpoint")
    assert [p["name"] for p in finding.evidence["perturbations"]] == ["Shift"]
    assert "Not measured: Rotation needs images of at least 4x4 pixels" in finding.statement
    with pytest.raises(ArgumentError, match=r"clutter cannot be varied: .* at least 16x16"):
        invariance(subject(data=grays(60, 1, 1, 1)), "clutter")


def test_channels_that_are_no_picture_are_measured_but_not_shown():
    finding = invariance(subject(data=grays(60, 2)), "noise")
    assert len(finding.figures) == 2
    with pytest.raises(ArgumentError, match="1 or 3 channels, got 2"):
        invariance(subject(data=grays(60, 2)), "compression")


def only_class_0():
    images, targets = grays(50)
    return images[targets == 0], targets[targets == 0]


class Random(nn.Module):
    """A network that never says the same twice."""

    def forward(self, x):
        return torch.randn(len(x), 2)


class Moody(Mean):
    """A network that is random on a few images at a time, and not on many."""

    def forward(self, x):
        return super().forward(x) if len(x) > 5 else torch.randn(len(x), 2)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: subject(input_range=None), "which is not known here; give .*input_range="),
        (lambda: subject(input_range=(0.0, 0.4)), "from 0.3 to 0.7, outside their range"),
        (lambda: subject(nn.Flatten(), (torch.rand(9, 4), torch.arange(9) % 4)), "shape .*9, 4"),
        (
            lambda: subject(nn.Flatten(), (torch.ones(9, 1, 2, 2).byte(), torch.arange(9) % 4)),
            "real numbers .* torch.uint8 of shape",
        ),
        (lambda: subject(loss=SquaredError()), "noise is about classifiers"),
        (lambda: subject(Mean(2.0)), "50 of 100 test examples are right, .* class has 50; train"),
        (lambda: subject(data=only_class_0()), "25 of 25 .* give data of more than one class"),
        (lambda: subject(Random()), "changes .* of 100 predictions; .* random in it in eval mode"),
        (lambda: subject(Moody()), "when asked twice, .* random in eval mode"),
    ],
)
def test_what_it_cannot_run_on_is_said_in_one_sentence(made, sentence):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        finding = examine(made(), ["noise"])["noise"]
    assert finding.verdict is Verdict.UNKNOWN
    with pytest.raises(ArgumentError, match=sentence):
        raise ArgumentError(finding.statement)
    assert "\n" not in finding.statement


def test_standardization_that_is_not_the_models_is_found():
    class Wrong:
        def undo(self, x):
            return x

        def apply(self, x):
            return 0.5 * x

    finding = examine(subject(standardization=Wrong()), ["noise"])["noise"]
    assert "undoing the standardization and applying it again alone changes 50" in finding.statement
