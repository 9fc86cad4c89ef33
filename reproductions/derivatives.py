"""Do the audit's checks of derivatives find what is wrong, and are they silent where nothing is?

Five small architectures, twenty seeds each, trained for 120 steps on data that they can learn:
every verdict that is no PASS is a false alarm. Ten planted faults, five seeds each: which checks
see them. And the test of the gradient where a loss saturates: logits times 1, 6 and 50, of networks
that are trained to the end or not at all. Run `python reproductions/derivatives.py`; a row of
derivatives.jsonl is one audit, and a study that was stopped goes on with what is missing.
`python reproductions/derivatives.py tables` prints the tables of derivatives.md.
"""

import sys
from collections import Counter, defaultdict
from itertools import product

import torch
from _study import Log
from torch import nn
from torch.nn.functional import cross_entropy, dropout, linear

from wellposed.audit import CHECKS, Subject, examine

NAMES = [check.name for check in CHECKS if check.family == "derivatives"]


class Block(nn.Module):
    """A residual block that writes into its input."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        self.rectify = nn.ReLU(inplace=True)

    def forward(self, x):
        """The outputs."""
        y = self.rectify(self.norms[0](self.first(x)))
        return self.rectify(x + self.norms[1](self.second(y)))


class Recurrent(nn.Module):
    """An LSTM on integers."""

    def __init__(self):
        super().__init__()
        self.embed, self.cells = nn.Embedding(20, 6), nn.LSTM(6, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        """The outputs."""
        return self.head(self.cells(self.embed(x))[0][:, -1])


class Transformer(nn.Module):
    """Two encoder layers on integers."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        """The outputs."""
        return self.head(self.body(self.embed(x)).mean(1))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24, 16), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(16, 3),
    )  # fmt: skip


def mlp(*layers):
    inner = layers or (nn.Linear(12, 12), nn.GELU())
    return nn.Sequential(nn.Flatten(), nn.Linear(144, 12), nn.Tanh(), *inner, nn.Linear(12, 3))


def resnet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), Block(6), Block(6),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip


HEALTHY = {
    "lenet": lenet, "mlp": mlp, "resnet": resnet, "lstm": Recurrent, "transformer": Transformer,
}  # fmt: skip


class OffByAThousandth(torch.autograd.Function):
    """tanh, whose backward is 0.1 % too large."""

    @staticmethod
    def forward(ctx, x):
        """Of tanh, or nearly."""
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        """Of tanh, or nearly."""
        (y,) = ctx.saved_tensors
        return 1.001 * gradient * (1 - y * y)


class Layer(nn.Module):
    """A layer made of a function of the module and its input."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        """The outputs."""
        return self.function(self, x)


def cut_off_bias(layer, x):
    return linear(x, layer.parts[0].weight, layer.parts[0].bias.detach())


def unused(_, x):
    return x


FAULTS = {
    "backward 0.1 % too large": lambda: mlp(Layer(lambda _, x: OffByAThousandth.apply(x))),
    "bias without gradient": lambda: mlp(Layer(cut_off_bias, nn.Linear(12, 12))),
    "detach in the middle": lambda: mlp(Layer(lambda _, x: (x + x.detach()) / 2)),
    "noise in eval mode": lambda: mlp(Layer(lambda _, x: x + 0.01 * torch.randn_like(x))),
    "dropout left on": lambda: mlp(Layer(lambda _, x: dropout(x, 0.5))),
    "mean of the batch subtracted": lambda: mlp(Layer(lambda _, x: x - x.mean(0))),
    "batch statistics in eval mode": lambda: mlp(nn.BatchNorm1d(12, track_running_stats=False)),
    "running statistics frozen": lambda: mlp(nn.BatchNorm1d(12, momentum=0.0)),
    "running statistics too slow": lambda: mlp(nn.BatchNorm1d(12, momentum=0.001)),
    "unused layer": lambda: mlp(Layer(unused, nn.Linear(12, 12))),
}


class WrongSecond(torch.autograd.Function):
    """x^3, whose backward is right and a constant to autograd."""

    @staticmethod
    def forward(ctx, x):
        """x^3."""
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        """3 x^2 g."""
        return gradient * 3 * ctx.saved_tensors[0].detach() ** 2


def relu_net():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(144, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
    )


FACTORS = (1, 6, 50)
LOUD = {"lenet": lenet, "tanh": mlp, "relu": relu_net, "resnet": resnet}
LOUD_FAULTS = {
    "backward 0.1 % too large": FAULTS["backward 0.1 % too large"],
    "bias without gradient": FAULTS["bias without gradient"],
    "detach in the middle": FAULTS["detach in the middle"],
    "detach before relu": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(144, 12), Layer(lambda _, x: (x + x.detach()) / 2), nn.ReLU(),
        nn.Linear(12, 3),
    ),
    "wrong second derivative": lambda: mlp(Layer(lambda _, x: WrongSecond.apply(x))),
}  # fmt: skip


def loud(make, name, seed, factor, steps):
    """The test of the gradient where the logits are multiplied."""
    subject = trained(make, name, seed, steps)
    model = nn.Sequential(subject.model, Layer(lambda _, x: factor * x))
    subject = Subject(model, subject.parts, seed=seed)
    found = examine(subject, ["taylor"])["taylor"]
    return {
        "found": {"taylor": [found.verdict.value, round(found.seconds, 3), found.where]},
        "one_target": found.evidence.get("one_target"),
        "loss": float(subject.objective(*subject.take("train", 8))),
    }


def examples(name, seed, n=256):
    """Data of three classes that the architecture can learn."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(n) % 3
    if name in ("lstm", "transformer"):
        inputs = torch.randint(0, 20, (n, 7), generator=generator)
        inputs[:, 0] = targets
        return inputs, targets
    inputs = torch.rand(n, 1, 12, 12, generator=generator)
    inputs[inputs < 0.5] = 0  # black pixels
    for c in range(3):
        inputs[targets == c, :, 4 * c : 4 * c + 4] += 0.7
    return inputs, targets


def trained(make, name, seed, steps=120):
    torch.manual_seed(seed)
    model = make().train()
    x, y = examples(name, seed)
    descent = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for step in range(steps):
        rows = torch.randperm(len(x))[:64]
        descent.param_groups[0]["lr"] = 0.05 * (1 - step / steps)
        descent.zero_grad()
        cross_entropy(model(x[rows]), y[rows]).backward()
        descent.step()
    descent.zero_grad()
    return Subject(model, {"train": (x, y), "test": examples(name, 1000 + seed)}, seed=seed)


def audited(make, name, seed):
    audit = examine(trained(make, name, seed), ["derivatives"])
    return {
        "found": {f.check: [f.verdict.value, round(f.seconds, 3), f.where] for f in audit.findings}
    }


def main():
    log = Log("derivatives")
    for kind, seeds, table in (("healthy", 20, HEALTHY), ("fault", 5, FAULTS)):
        for seed in range(seeds):
            for name, make in table.items():
                key = {"kind": kind, "name": name, "seed": seed}
                log.once(key, lambda m=make, n=name, s=seed: audited(m, n, s))
    for kind, seeds, table in (("loud", 13, LOUD), ("loud fault", 3, LOUD_FAULTS)):
        for seed, name, factor, steps in product(range(seeds), table, FACTORS, (0, 400)):
            key = {"kind": kind, "name": name, "seed": 10_000 + seed}
            key |= {"factor": factor, "steps": steps}
            log.once(key, lambda m=table[name], k=key: loud(m, *list(k.values())[1:]))


def tables():
    log = Log("derivatives")
    count = defaultdict(Counter)
    for row in log.find(kind="healthy") + log.find(kind="fault"):
        for check, (verdict, _, _) in row["found"].items():
            count[row["kind"], row["name"]][check, verdict] += 1
    lines = ["| | " + " | ".join(NAMES) + " |", "|---" * (len(NAMES) + 1) + "|"]
    for (_, name), seen in count.items():
        cells = []
        for check in NAMES:
            parts = [f"{seen[check, v]} {v}" for v in ("fail", "warn", "unknown", "pass")]
            cells.append(", ".join(p for p in parts if not p.startswith("0 ")))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    loud_tables(log)


def loud_tables(log):
    heads = [f"{state}, x {f}" for state in ("untrained", "trained") for f in FACTORS]
    print("\n| | " + " | ".join(heads) + " |\n" + "|---" * (len(heads) + 1) + "|")
    for kind, table in (("loud", LOUD), ("loud fault", LOUD_FAULTS)):
        for name in table:
            cells = []
            for steps, factor in product((0, 400), FACTORS):
                rows = log.find(kind=kind, name=name, factor=factor, steps=steps)
                seen = Counter(row["found"]["taylor"][0] for row in rows)
                cells.append(", ".join(f"{n} {verdict}" for verdict, n in seen.items()))
            print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    tables() if sys.argv[1:] == ["tables"] else main()
