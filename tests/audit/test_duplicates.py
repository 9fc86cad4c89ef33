import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from wellposed.audit import CHECKS, Subject, duplicates, examine, plan
from wellposed.audit._operations import as_gradients
from wellposed.data import Digits, Standardization, load
from wellposed.runs import Listing, Pictures, Verdict


def parts(seed, n=(500, 200)):
    """Smooth pictures of two classes."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for part, size in zip(("train", "test"), n, strict=True):
        y = torch.arange(size) % 2
        coarse = torch.rand(size, 1, 4, 4, generator=generator)
        coarse[:, 0, 0] += y[:, None]
        found[part] = (nn.functional.interpolate(coarse, scale_factor=3, mode="bilinear"), y)
    return found


def model(size=144):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 2))


def found(data, **known):
    return examine(Subject(model(), data, **known), ["duplicates"])["duplicates"]


def test_healthy_parts_raise_no_alarm():
    assert all(found(parts(seed), seed=seed).verdict is Verdict.PASS for seed in range(20))


def test_healthy_digits_raise_no_alarm():
    data = load(Digits())
    finding = examine(Subject(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), data), ["duplicates"])
    assert finding["duplicates"].verdict is Verdict.PASS
    assert finding["duplicates"].evidence["near"]["judged"] > 300


def test_test_examples_in_the_training_part_fail():
    data = parts(0)
    data["train"][0][100:120] = data["test"][0][:20]
    finding = found(data)
    assert finding.verdict is Verdict.FAIL
    assert finding.evidence["equal"] == 20
    assert finding.value == 20 / 200
    assert finding.where.startswith("test 0, test 1")
    assert "16 twins compared entry by entry: equal" in finding.verified
    assert finding.evidence["label_conflicts"] == {"within_train": 0, "across": 0}
    figure = finding.figures[0]
    assert isinstance(figure, Pictures)
    assert figure.rows[0][1].caption == "train 100: 0 (equal)"
    assert "without equal and near ones" in finding.statement


def test_one_twin_is_a_warning():
    data = parts(0)
    data["train"][0][100] = data["test"][0][0]
    assert found(data).verdict is Verdict.WARN


def test_conflicting_labels_are_counted():
    data = parts(0)
    data["train"][0][101:104] = data["test"][0][0]  # labels 1, 0, 1 for a test label 0
    finding = found(data)
    assert finding.evidence["label_conflicts"] == {"within_train": 1, "across": 1}
    assert finding.evidence["equal_within_train"] == 3


def test_near_duplicates_warn_and_never_fail():
    data = parts(0)
    noise = 0.002 * torch.randn(20, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    data["train"][0][100:120] = 0.8 * data["test"][0][:20] + 0.1 + noise
    finding = found(data)
    assert finding.verdict is Verdict.WARN
    assert finding.evidence["equal"] == 0
    assert finding.evidence["near"]["above"]["0.999"]["judged"] == 20
    assert finding.value == pytest.approx(0.1, abs=0.001)
    assert finding.interval[0] > 0
    assert finding.evidence["clean"]["near_or_equal"]["examples"] >= 20
    assert "equal" in finding.verified


def test_twins_in_the_nature_of_the_data_do_not_fail():
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(60, 1, 12, 12, generator=generator)
    data = {
        part: (patterns[torch.randint(60, (n,), generator=generator)], torch.arange(n) % 2)
        for part, n in (("train", 500), ("test", 200))
    }
    finding = found(data)
    assert finding.verdict is Verdict.WARN
    assert finding.evidence["equal_within_train"] > 400


def test_standardized_parts_are_compared_as_they_are():
    known = Standardization((0.5,), (0.25,))
    data = {k: (known.apply(x), y) for k, (x, y) in parts(0).items()}
    data["train"][0][:20] = data["test"][0][:20]
    assert found(data, standardization=known, input_range=(0, 2)).verdict is Verdict.FAIL


def test_tokens_are_hashed():
    generator = torch.Generator().manual_seed(0)
    data = {
        part: (torch.randint(90, (n, 8), generator=generator), torch.arange(n) % 2)
        for part, n in (("train", 300), ("test", 100))
    }
    network = nn.Sequential(nn.Embedding(90, 3), nn.Flatten(), nn.Linear(24, 2))
    healthy = examine(Subject(network, data), ["duplicates"])["duplicates"]
    assert healthy.verdict is Verdict.PASS
    assert "integers" in healthy.statement
    data["train"][0][:10] = data["test"][0][:10]
    finding = examine(Subject(network, data), ["duplicates"])["duplicates"]
    assert finding.verdict is Verdict.FAIL
    assert isinstance(finding.figures[0], Listing)


def test_a_regression_of_few_numbers():
    generator = torch.Generator().manual_seed(0)
    data = {
        part: (torch.randn(n, 5, generator=generator), torch.randn(n, 1, generator=generator))
        for part, n in (("train", 300), ("test", 100))
    }
    known = Subject(nn.Linear(5, 1), data, nn.MSELoss(reduction="none"))
    finding = examine(known, ["duplicates"])["duplicates"]
    assert finding.verdict is Verdict.PASS
    assert "too few" in finding.statement
    assert finding.evidence["clean"] is None


def test_needs_both_parts():
    finding = found({"test": parts(0)["test"]})
    assert finding.verdict is Verdict.UNKNOWN
    assert "duplicates needs a train part" in finding.statement


@pytest.mark.parametrize("budget", ["quick", "standard", "deep"])
def test_the_stated_cost_counts_the_products(budget):
    subject = Subject(model(), parts(0, (1500, 700)))
    stated = plan(subject, ["duplicates"], budget).total
    settings = next(c for c in CHECKS if c.name == "duplicates").settings[budget]
    with FlopCounterMode(display=False) as counter:
        duplicates(subject, **settings)
    assert stated == pytest.approx(as_gradients(subject, counter.get_total_flops()), rel=0.1)


def test_where_nothing_looks_for_neighbours_nothing_is_stated_for_it():
    few = {part: (x[..., :2, :2], y) for part, (x, y) in parts(0).items()}
    assert plan(Subject(model(4), few), ["duplicates"]).total == 67  # forward passes of 200
