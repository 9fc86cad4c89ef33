"""Does the audit find what is wrong, and is it silent where nothing is?

Four studies on scikit-learn's digits; run `python reproductions/audit.py STUDY`:

- `planted`: a network with a fault and its healthy twin, for nine faults; which checks see it.
- `healthy`: sixty trained networks, three architectures with twenty seeds each; who cries wolf.
- `thorough`: what the `quick` budget leaves out, on twenty perceptrons and twenty LeNets.
- `foreign`: seven architectures in the style of public model zoos, random and trained weights;
  whether every check answers, or says why not.

A row of audit-STUDY.jsonl is one audit; a study that was stopped goes on with what is missing.
`python reproductions/audit.py tables` writes the tables of audit.md.
"""

import sys
import time
from collections import Counter
from pathlib import Path

import torch
from _study import Log
from torch import nn
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.audit import zoo

from wellposed.audit import CHECKS, Descent, Subject, examine
from wellposed.data import Digits, load
from wellposed.models import LeNet
from wellposed.runs import Audit, Verdict

SEEDS = range(20_000, 20_020)  # none of them was seen while the checks were made
LR = 0.1
THOROUGH = ("adjoint", "gradcheck", "label-noise", "noise-scale", "pac-bayes", "spectrum", "saddle",
            "plane", "path")  # fmt: skip


def digits(wrong=0.0, seed=0):
    """Digits in three parts; a share of the training labels may be wrong."""
    return load(Digits(), seed=seed, wrong_labels=wrong)


def train(model, inputs, targets, *, steps=400, lr=LR, seed=0):
    """SGD with momentum and a step size that goes down to zero; returns optimizer and log."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = torch.Generator().manual_seed(seed)
    log = []
    for step in range(1, steps + 1):
        rows = torch.randint(len(inputs), (64,), generator=order)
        optimizer.zero_grad()
        value = cross_entropy(model(inputs[rows]), targets[rows])
        value.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
        log.append(
            {
                "step": step,
                "gradient_evaluations": step,
                "objective": value.item(),
                "lr": schedule.get_last_lr()[0],
                "gradient_norm": norm.item(),
            }
        )
        optimizer.step()
        schedule.step()
    optimizer.zero_grad()
    for group in optimizer.param_groups:
        group["lr"] = lr
    return optimizer, log


def all_of(part):
    """Inputs and targets of a part."""
    return part.take(torch.arange(len(part)))


def parts_of(data):
    """The parts of a dataset as tensors, to be spoiled."""
    return {name: all_of(part) for name, part in data.parts.items()}


def tanh_net(depth, gain, seed=0):
    """A deep perceptron with tanh and normal weights of standard deviation gain/sqrt(n)."""
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    for _ in range(depth):
        layer = nn.Linear(64, 64)
        nn.init.normal_(layer.weight, std=gain / 8)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def relu_net(seed=0, shift=0.0):
    """A perceptron with ReLU; a large negative shift of the biases kills most units."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    with torch.no_grad():
        net[1].bias -= shift
    return net


class Restless(nn.Module):
    """Adds noise in eval mode as well."""

    def forward(self, x):
        """The input and a little noise."""
        return x + 0.05 * torch.randn_like(x)


class WrongSquare(torch.autograd.Function):
    """x^2 with a derivative that is 2 % too large."""

    @staticmethod
    def forward(ctx, x):
        """x^2."""
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        """2.04 x g, and not 2 x g."""
        return 2.04 * ctx.saved_tensors[0] * g


class RightSquare(WrongSquare):
    """x^2 with its own derivative."""

    @staticmethod
    def backward(ctx, g):
        """2 x g."""
        return 2 * ctx.saved_tensors[0] * g


class Square(nn.Module):
    """One of the two squares as a layer."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        """The square."""
        return self.kind.apply(x)


def square_net(kind):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), Square(kind), nn.Linear(32, 10))


def trained_subject(model, data, parts=None, **more):
    """The subject of a network that is trained on the training part first."""
    parts = parts or parts_of(data)
    optimizer, log = train(model, *parts["train"], **more.pop("how", {}))
    return Subject(
        model,
        parts,
        classes=data.classes,
        descent=more.pop("descent", optimizer),
        log=log,
        input_range=data.input_range,
        standardization=data.standardization,
        **more,
    )


def leaky(parts, leak):
    """One pixel of the corner holds the label."""
    found = {}
    for name, (inputs, targets) in parts.items():
        inputs = inputs.clone()
        inputs[:, 0, 0, 0] = targets / 4.5 - 1 if leak else 0
        found[name] = (inputs, targets)
    return found


def duplicated(parts, copies):
    """The first test images are training images."""
    inputs, targets = (t.clone() for t in parts["test"])
    inputs[:copies], targets[:copies] = (t[:copies] for t in parts["train"])
    return parts | {"test": (inputs, targets)}


class Loud(nn.Module):
    """A network whose logits are multiplied."""

    def __init__(self, net, factor):
        super().__init__()
        self.net, self.factor = net, factor

    def forward(self, x):
        """The logits, multiplied."""
        return self.factor * self.net(x)


def loud(data, factor):
    model = relu_net()
    subject = trained_subject(model, data)
    return Subject(Loud(model, factor).eval(), subject.parts, classes=data.classes)


def planted():
    """Fault: (the check that must see it, subject with the fault, healthy twin)."""
    data = digits()
    untrained = {"how": {"steps": 1, "lr": 1e-6}}
    return {
        "vanishing 30-layer tanh net": (
            "signal",
            lambda: trained_subject(tanh_net(30, 0.4), data, **untrained),
            lambda: trained_subject(tanh_net(30, 1.0), data, **untrained),
        ),
        "dead ReLUs": (
            "dead-units",
            lambda: trained_subject(relu_net(shift=30.0), data, **untrained),
            lambda: trained_subject(relu_net(), data, **untrained),
        ),
        "step size above the edge": (
            "sharpness",
            lambda: trained_subject(relu_net(), data, descent=Descent("sgd", 300.0)),
            lambda: trained_subject(relu_net(), data),
        ),
        "a pixel holds the label": (
            "leak",
            lambda: trained_subject(relu_net(), data, leaky(parts_of(data), leak=True)),
            lambda: trained_subject(relu_net(), data, leaky(parts_of(data), leak=False)),
        ),
        "10 % wrong labels": (
            "label-noise",
            lambda: trained_subject(relu_net(), digits(wrong=0.1)),
            lambda: trained_subject(relu_net(), data),
        ),
        "60 test images are training images": (
            "duplicates",
            lambda: trained_subject(relu_net(), data, duplicated(parts_of(data), 60)),
            lambda: trained_subject(relu_net(), data),
        ),
        "logits times six": ("calibration", lambda: loud(data, 6.0), lambda: loud(data, 1.0)),
        "a layer that draws noise": (
            "determinism",
            lambda: trained_subject(nn.Sequential(Restless(), relu_net()).eval(), data),
            lambda: trained_subject(nn.Sequential(nn.Identity(), relu_net()).eval(), data),
        ),
        "a custom backward 2 % too large": (
            "taylor",
            lambda: trained_subject(square_net(WrongSquare), data, how={"lr": 0.01}),
            lambda: trained_subject(square_net(RightSquare), data, how={"lr": 0.01}),
        ),
    }


def row_of(audit: Audit, seconds):
    """What is kept of an audit."""
    return {
        "verdicts": {f.check: f.verdict.value for f in audit.findings},
        "said": {f.check: f.statement for f in audit.findings if f.verdict is not Verdict.PASS},
        "seconds": round(seconds, 1),
    }


def audited(subject, budget, checks=None):
    began = time.process_time()
    audit = examine(subject, checks, budget=budget)
    return row_of(audit, time.process_time() - began)


def study_planted(log):
    for fault, (check, sick, well) in planted().items():
        for state, make in (("fault", sick), ("twin", well)):
            key = {"fault": fault, "state": state, "check": check}
            log.once(key, lambda make=make: audited(make(), "standard"))


def study_healthy(log):
    for seed in SEEDS:
        for kind in ("perceptron", "lenet", "resnet"):
            log.once(
                {"network": kind, "seed": seed},
                lambda k=kind, s=seed: audited(healthy(k, s), "quick"),
            )


def study_thorough(log):
    for seed in SEEDS:
        for kind in ("perceptron", "lenet"):
            log.once(
                {"network": kind, "seed": seed},
                lambda k=kind, s=seed: audited(healthy(k, s), "standard", THOROUGH),
            )


def healthy(kind, seed):
    """A network that is trained well, as far as anybody knows."""
    data = digits(seed=seed)
    if kind == "resnet":
        model, parts = zoo.made("resnet", seed), zoo.digits("resnet")
        optimizer, log = train(model, *parts["train"], seed=seed)
        return Subject(
            model.eval(), parts, descent=optimizer, log=log, input_range=(0, 1), seed=seed
        )
    torch.manual_seed(seed)
    model = relu_net(seed) if kind == "perceptron" else LeNet(shape=data.shape, classes=10)
    return trained_subject(model, data, how={"seed": seed}, seed=seed)


def study_foreign(log):
    for kind in zoo.ZOO:
        for weights in ("random", "trained"):
            model = zoo.made(kind) if weights == "random" else zoo.trained(kind, epochs=12)
            log.once(
                {"network": kind, "weights": weights},
                lambda m=model, k=kind: audited(Subject(m.eval(), zoo.digits(k)), "standard"),
            )


def counted(log, kinds, names):
    """Print how often each check said what, on healthy networks."""
    print(f"\n| check | {' | '.join(kinds)} |")
    print("|---" * (1 + len(kinds)) + "|")
    for name in names:
        cells = []
        for kind in kinds:
            counts = Counter(r["verdicts"].get(name, "-") for r in log.find(network=kind))
            cells.append(", ".join(f"{n} {v}" for v, n in sorted(counts.items())))
        if any(cell.strip("0123456789 -") for cell in cells):
            print(f"| {name} | {' | '.join(cells)} |")


def tables():
    """Print the tables of audit.md from the logs."""
    print("| fault | must be seen by | found there | seen by others too | twin: warn or fail |")
    print("|---|---|---|---|---|")
    log = Log("audit-planted")
    for row in log.find(state="fault"):
        [twin] = log.find(state="twin", fault=row["fault"])
        bad = [c for c, v in row["verdicts"].items() if v in ("warn", "fail")]
        cries = [c for c, v in twin["verdicts"].items() if v in ("warn", "fail")]
        others = [c for c in bad if c != row["check"] and c not in cries]
        cells = [
            row["fault"],
            row["check"],
            row["verdicts"].get(row["check"], "not run"),
            ", ".join(others) or "-",
            ", ".join(cries) or "-",
        ]
        print(f"| {' | '.join(cells)} |")
    counted(Log("audit-healthy"), ("perceptron", "lenet", "resnet"), [c.name for c in CHECKS])
    counted(Log("audit-thorough"), ("perceptron", "lenet"), THOROUGH)
    log = Log("audit-foreign")
    print("\n| check | random weights | trained | of the trained, warned or failed |")
    print("|---|---|---|---|")
    for check in CHECKS:
        cells = []
        for weights in ("random", "trained"):
            counts = Counter(r["verdicts"].get(check.name) for r in log.find(weights=weights))
            cells.append(", ".join(f"{n} {v}" for v, n in sorted(counts.items()) if v))
        named = log.find(weights="trained")
        bad = [r["network"] for r in named if r["verdicts"].get(check.name) in ("warn", "fail")]
        if cells[0]:
            print(f"| {check.name} | {' | '.join(cells)} | {', '.join(bad)} |")
    print("\nCPU seconds:", [r["seconds"] for r in log.rows])


STUDIES = {
    "planted": study_planted,
    "healthy": study_healthy,
    "thorough": study_thorough,
    "foreign": study_foreign,
}

if __name__ == "__main__":
    asked = sys.argv[1:] or list(STUDIES)
    for name in asked:
        if name == "tables":
            tables()
        else:
            STUDIES[name](Log(f"audit-{name}"))
