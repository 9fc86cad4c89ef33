import re
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from wellposed.audit import CHECKS, Check, Subject, examine, gap, plan, weights
from wellposed.audit._subject import weights_digest
from wellposed.errors import ArgumentError, UnknownNameError
from wellposed.runs import Finding, Verdict


def fine(subject):
    return Finding("fine", Verdict.PASS, "All is well.")


def stumbles(subject):
    raise RuntimeError("no luck\nsecond line")


def refuses(subject):
    raise ArgumentError("refuses needs the moon; try at night")


def tampers(subject):
    with torch.no_grad():
        subject.parameters[0].add_(1)
    return Finding("tampers", Verdict.PASS, "Nothing happened.")


def breaks(subject):
    subject.parameters[0].requires_grad_(False)
    raise RuntimeError("half way")


def mislabels(subject):
    return Finding("gap", Verdict.WARN, "Somebody else.")


class Counts(nn.Module):
    """Counts its calls, in eval mode too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs):
        self.calls += 1
        return inputs


class Watch:
    """Keeps what an audit tells."""

    def __init__(self):
        self.told, self.audits = [], []

    def begin(self, plan):
        self.told.append(f"begin {plan.total}")

    def begin_check(self, check):
        self.told.append(check.name)

    def end_check(self, finding, audit):
        self.told.append(finding.verdict.value)
        self.audits.append(audit)


def test_one_check_that_fails_does_not_stop_the_others(subject):
    audit = examine(subject(), [fine, stumbles, refuses, fine])
    assert [f.verdict.value for f in audit.findings] == ["pass", "unknown", "unknown", "pass"]
    assert audit["stumbles"].statement == "Not checked: RuntimeError: no luck."
    assert audit["refuses"].statement == "Not checked: refuses needs the moon; try at night."
    assert audit.complete
    assert not audit.passed


@pytest.mark.parametrize("check", [tampers, breaks])
def test_a_check_that_changes_the_network_is_named_and_not_believed(subject, check):
    made = subject()
    before = weights_digest(made.model.state_dict())
    found = examine(made, [check])[check.__name__]
    assert weights_digest(made.model.state_dict()) == before
    assert all(p.requires_grad for p in made.model.parameters())
    assert found.verdict is Verdict.UNKNOWN
    assert re.search(r"changed (the values|requires_grad) of 0.weight, which", found.statement)
    assert "Nothing happened" in found.statement or "half way" in found.statement


def test_a_model_that_changes_itself_is_put_back_and_no_check_is_blamed(subject, net):
    made = subject(net(0, Counts(), nn.Linear(4, 3)))

    def looks(subject):
        subject.model(subject.take("test")[0])
        return fine(subject)

    assert examine(made, [looks])["looks"].verdict is Verdict.PASS
    assert made.model[0].calls == 0
    assert examine(made, [tampers])["tampers"].verdict is Verdict.UNKNOWN


def test_a_finding_bears_the_name_of_its_check_and_its_cost(subject):
    check = Check(mislabels, "own", "?", lambda _: 12, {"quick": {}})
    found = examine(subject(), [check], "quick").findings[0]
    assert (found.check, found.family, found.gradients) == ("mislabels", "own", 12)
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("name", "offer"), [("weihgts", "did you mean 'weights'"), ("generalisation", "generalization")]
)
def test_an_unknown_name_is_answered_by_the_nearest(subject, name, offer):
    with pytest.raises(UnknownNameError, match=rf"no check is called '{name}'.*{offer}"):
        examine(subject(), [name])


@pytest.mark.wrong_types
def test_what_is_no_check_is_said(subject):
    with pytest.raises(ArgumentError, match="found a int among the checks"):
        examine(subject(), [3])
    with pytest.raises(UnknownNameError, match="no budget is called 'huge'"):
        examine(subject(), [], "huge")


def test_checks_are_chosen_by_name_family_or_function_and_run_in_their_order(subject):
    made = subject()
    for asked in (["gap", "weights"], [gap, weights], [CHECKS[-1], gap, "weights"]):
        names = [check.name for check in plan(made, asked).checks]
        assert names[:2] == ["weights", "gap"]
    assert [c.name for c in plan(made, "weights").checks] == ["weights"]
    family = {c.name for c in plan(made, ["generalization"]).checks}
    assert family == {c.name for c in CHECKS if c.family == "generalization"}
    everything = [c for c in CHECKS if "quick" in c.settings]
    assert list(plan(made, None, "quick").checks) == everything
    assert [c.name for c in plan(made, [fine, weights]).checks] == ["weights", "fine"]


def test_a_check_that_the_budget_leaves_out_runs_where_it_is_named(subject):
    dear = Check(fine, "own", "?", lambda _, n: n, {"deep": {"n": 7}})
    assert plan(subject(), [dear], "quick").gradients == (7,)


def test_a_plan_says_what_it_costs_beforehand(subject):
    agenda = plan(subject(), ["gap"], "quick")
    assert agenda.gradients == (30,)  # forward passes for 90 examples
    assert agenda.total == 30
    assert agenda.seconds > 0
    assert agenda.eta == pytest.approx(30 * agenda.seconds)
    hopeless = Check(fine, "own", "?", lambda _: 1 / 0, {"quick": {}})
    assert plan(subject(), [hopeless], "quick").total == 0


def test_nan_weights_make_all_but_the_check_of_weights_unknown(subject, net):
    model = net()
    with torch.no_grad():
        model[2].bias[1] = float("nan")
    audit = examine(subject(model), ["weights", "gap"])
    assert audit["weights"].verdict is Verdict.FAIL
    assert audit["gap"].verdict is Verdict.UNKNOWN
    assert "1 of the 3 weights of 2.bias are not finite" in audit["gap"].statement
    assert audit["gap"].gradients == 0


def test_an_observer_sees_every_step_and_the_findings_so_far(subject):
    watch = Watch()
    examine(subject(), [fine, refuses], observer=watch)
    assert watch.told == ["begin 0", "fine", "pass", "refuses", "unknown"]
    assert [(len(a), a.complete) for a in watch.audits] == [(1, False), (2, False)]


def test_an_interrupted_audit_goes_on_and_only_for_the_same_subject(subject, net, blobs):
    class Stopped(Watch):
        def begin_check(self, check):
            if check.name == "gap":
                raise KeyboardInterrupt

    watch = Stopped()
    with pytest.raises(KeyboardInterrupt):
        examine(subject(), ["weights", "gap"], observer=watch)
    known = watch.audits[-1]
    marked = replace(known, findings=(replace(known["weights"], statement="From before."),))

    def reused(made, budget="standard"):
        found = examine(made, ["weights"], budget, known=marked)
        return found["weights"].statement == "From before."

    assert reused(subject())
    assert not reused(subject(), "quick")
    assert not reused(subject(net(1)))
    assert not reused(subject(data={"train": blobs(60, 1), "test": blobs(30, 9)}))
    assert not reused(Subject(subject().model, subject().parts, seed=1))
    [finding] = marked.findings
    marked = replace(marked, findings=(replace(finding, earlier="of an audit before it"),))
    assert not reused(subject())


def test_nothing_is_left_behind_by_any_check(subject, net):
    model = net(0, nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3))
    model.train()
    made = subject(model)
    before = (weights_digest(model.state_dict()), torch.get_rng_state().tolist())
    audit = examine(made, [c for c in CHECKS if c.family in ("weights", "derivatives")], "quick")
    assert (weights_digest(model.state_dict()), torch.get_rng_state().tolist()) == before
    assert model.training
    assert model[0].weight.grad is None
    assert not [f.statement for f in audit if "the check changed" in f.statement]


def test_a_plan_is_carried_out_as_it_is(subject):
    made = subject()
    agenda = plan(made, ["weights", "gap"], "quick")
    audit = examine(made, agenda)
    assert (audit.budget, [f.check for f in audit.findings]) == ("quick", ["weights", "gap"])
    assert [f.gradients for f in audit.findings] == list(agenda.gradients)


@pytest.mark.parametrize("kind", ["scripted", "checkpointed", "inference"])
def test_what_torch_forbids_is_said_in_words(net, blobs, kind):
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.last = nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Linear(8, 3)

        def forward(self, inputs):
            return self.last(checkpoint(self.inner, inputs, use_reentrant=False))

    if kind == "scripted":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.jit.script(net())
    elif kind == "checkpointed":
        model = Checkpointed()
    else:
        with torch.inference_mode():
            model = net()
    words = {
        "scripted": "give the module that it was made from",
        "checkpointed": "switch it off for the audit",
        "inference": "make them in torch.no_grad instead",
    }
    found = examine(Subject(model, blobs()), ["signal", "margins"])
    assert words[kind] in found["signal"].statement
    assert found["margins"].value == 0
