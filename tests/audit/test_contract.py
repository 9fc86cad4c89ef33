"""What every check keeps to, on a healthy network and on subjects that it cannot look at."""

import inspect
import json
import warnings

import pytest
import torch
from tests.audit.plain import foreign
from torch import nn

from wellposed import data, losses, models
from wellposed.audit import CHECKS, Subject, examine
from wellposed.runs import Finding, Verdict
from wellposed.runs._json import dumps

NAMES = [check.name for check in CHECKS]


@pytest.fixture(scope="module")
def digits():
    return data.load(data.Digits(), seed=0, examples=300)


@pytest.fixture(scope="module")
def trained(digits):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.MLP(shape=digits.shape, classes=10, hidden=(16,))
    inputs, targets = digits.train.take(torch.arange(len(digits.train)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    optimizer.zero_grad()
    log = [{"step": k, "objective": 2.3 * 0.97**k, "lr": 0.3} for k in range(60)]
    return lambda: Subject(model, digits, descent=optimizer, log=log)


@pytest.fixture(scope="module")
def audits(trained):
    return [examine(trained(), budget="quick") for _ in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [c.name for c in CHECKS if "quick" in c.settings])
class TestOnAHealthyNetwork:
    def test_the_statement_is_a_sentence(self, audits, name):
        finding = audits[0][name]
        assert finding.statement.endswith(".")
        assert "\n" not in finding.statement
        assert finding.statement[0].isupper()

    def test_what_was_found_was_verified(self, audits, name):
        finding = audits[0][name]
        if finding.verdict is not Verdict.UNKNOWN or not _not_checked(finding):
            assert finding.verified

    def test_it_does_not_fail(self, audits, name):
        assert audits[0][name].verdict is not Verdict.FAIL, audits[0][name]

    def test_it_finds_the_same_again(self, audits, name):
        def stable(finding):
            value, files = finding.to_dict()
            return {key: v for key, v in value.items() if key != "seconds"}, files

        first, second = (stable(audit[name]) for audit in audits)
        assert dumps(first[0]) == dumps(second[0]) or name == "throughput"
        assert first[1] == second[1]

    def test_it_holds_python_s_own_types(self, audits, name):
        assert foreign(audits[0][name], name) == []

    def test_it_survives_the_way_through_json(self, audits, name):
        finding = audits[0][name]
        value, files = finding.to_dict()
        again = Finding.from_dict(json.loads(dumps(value)), files)
        assert (again.verdict, again.statement) == (finding.verdict, finding.statement)
        assert repr(again.value) == repr(finding.value)
        assert len(again.figures) == len(finding.figures)
        third = Finding.from_dict(json.loads(dumps(again.to_dict()[0])), again.to_dict()[1])
        assert dumps(third.to_dict()[0]) == dumps(again.to_dict()[0])

    def test_an_interval_holds_its_value_and_has_a_level(self, audits, name):
        finding = audits[0][name]
        if finding.interval is not None and finding.value is not None:
            low, high = finding.interval
            assert low <= finding.value <= high or finding.value != finding.value
            certain = finding.threshold is not None and finding.threshold.kind == "arithmetic"
            assert low == high or finding.level is not None or certain


@pytest.mark.parametrize("check", CHECKS, ids=NAMES)
class TestEveryCheck:
    def test_says_what_it_costs_and_takes(self, check):
        doc = inspect.getdoc(check.run) or ""
        assert doc.splitlines()[0].endswith(".")
        assert "Cost" in doc
        for name in inspect.signature(check.run).parameters:
            assert f"{name}:" in doc, name

    def test_takes_its_settings(self, check):
        for settings in check.settings.values():
            inspect.signature(check.run).bind(None, **settings)
            inspect.signature(check.cost).bind(None, **settings)
            inspect.signature(check.shared).bind(None, **settings)
        assert check.settings


class Constant(nn.Module):
    """A model without parameters."""

    def forward(self, x):
        return torch.stack([x.flatten(1).mean(1), -x.flatten(1).mean(1)], 1)


def regression():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    parts = {"train": (x[:120], x[:120].sum(1, keepdim=True)), "test": (x[120:], x[120:, :1])}
    torch.manual_seed(0)
    return Subject(nn.Linear(3, 1), parts, losses.SquaredError())


def one_class():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(200, dtype=torch.int64)
    torch.manual_seed(0)
    return Subject(nn.Linear(3, 2), {"train": (x[:120], y[:120]), "test": (x[120:], y[120:])})


def no_parameters():
    x = torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    y = torch.arange(200) % 2
    return Subject(Constant(), {"train": (x[:120], y[:120]), "test": (x[120:], y[120:])})


def not_a_number():
    subject = one_class()
    with torch.no_grad():
        subject.model.weight[0, 0] = float("nan")
    return subject


def single_example():
    torch.manual_seed(0)
    return Subject(nn.Linear(3, 2), (torch.ones(1, 3), torch.zeros(1, dtype=torch.int64)))


def tokens():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 2))
    x = torch.randint(5, (100, 3), generator=torch.Generator().manual_seed(0))
    return Subject(model, {"train": (x[:60], x[:60, 0] % 2), "test": (x[60:], x[60:, 0] % 2)})


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [regression, one_class, no_parameters, not_a_number, single_example, tokens]
)
def test_what_cannot_be_checked_is_a_sentence(make):
    subject = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        audit = examine(subject, budget="quick")
    assert len(audit) > 0
    for finding in audit:
        assert "\n" not in finding.statement
        assert not _an_exception_s_words(finding), finding
        assert len(finding.statement) < 700
        assert foreign(finding, finding.check) == []


def test_weights_that_are_no_numbers_are_found_and_nothing_else_is_said_of_them():
    audit = examine(not_a_number(), budget="quick")
    assert audit["weights"].verdict is Verdict.FAIL
    looked = {c.name for c in CHECKS if c.weights and "quick" in c.settings}
    assert {f.verdict for f in audit if f.check in looked} <= {Verdict.UNKNOWN}


def _not_checked(finding):
    return finding.statement.startswith("Not checked: ")


def _an_exception_s_words(finding):
    word = finding.statement.removeprefix("Not checked: ").split(":")[0]
    return _not_checked(finding) and word.endswith(("Error", "Exception")) and " " not in word
