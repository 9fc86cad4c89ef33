"""Is a box ever both certified and broken? 10,000 random small networks say no, or which one.

Each network is traced by torch.export as any user's is, four of its inputs are certified in a
random ball at the largest radius at which one of them still is, and at a random one, and then
searched: corners, random points, and steps along the gradient of the margin from the worst of
them, each point inside the ball and the bounds as a set of real numbers, and each judged by the
network itself in float32. A tie is broken. Run `python reproductions/certified_or_broken.py`; a
row of certified-or-broken.jsonl is a hundred networks, and a study that was stopped goes on.
"""

import sys
import time

import torch
from _study import Log
from torch import nn

from wellposed.certify import certify, trace
from wellposed.perturb import L1, L2, Linf

NETWORKS, TOGETHER, EXAMPLES = 10_000, 100, 4
METHODS = ("ibp", "crown-ibp", "crown", "alpha-crown", "auto")


class Residual(nn.Module):
    """A block that adds what it computes to what it got."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        """The sum."""
        return x + self.block(x)


def pick(generator, *options):
    return options[int(torch.randint(len(options), (), generator=generator))]


def activation(generator):
    return pick(generator, nn.ReLU(), nn.ReLU(), nn.LeakyReLU(0.1), nn.Tanh(), nn.Sigmoid())


def dense(generator):
    width = pick(generator, 2, 3, 5, 8)
    layers, into = [nn.Flatten()], 32
    for _ in range(pick(generator, 0, 1, 2, 3)):
        layers += [nn.Linear(into, width), activation(generator)]
        into = width
        if pick(generator, False, True):
            layers.append(Residual(nn.Sequential(nn.Linear(width, width), activation(generator))))
    return nn.Sequential(*layers, nn.Linear(into, 3))


def convolutional(generator):
    channels, stride = pick(generator, 2, 4), pick(generator, 1, 2)
    layers = [nn.Conv2d(2, channels, 3, stride, 1)]
    if pick(generator, False, True):
        layers.append(nn.BatchNorm2d(channels))
    layers.append(activation(generator))
    if pick(generator, False, True):
        inner = nn.Conv2d(channels, channels, 3, padding=1, groups=pick(generator, 1, 2))
        layers.append(Residual(nn.Sequential(inner, activation(generator))))
    layers += pick(generator, [], [nn.MaxPool2d(2)], [nn.AvgPool2d(2)], [nn.AdaptiveAvgPool2d(1)])
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3))


def network(generator):
    model = pick(generator, dense, convolutional)(generator).eval()
    model(torch.zeros(1, 2, 4, 4))
    scale = 10 ** (torch.rand((), generator=generator) - 0.5)
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator)
                fan = max(1, value[0].numel()) if value.dim() > 1 else 4
                value.copy_(noise * scale / fan**0.5)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.abs_().add_(0.1)
    return model


def margins(model, x, labels):
    z = model(x)
    own = z.gather(1, labels[:, None])[:, 0]
    return own - z.scatter(1, labels[:, None], -torch.inf).amax(1)


def searched(model, x, labels, ball, generator, points=64, steps=6):
    """The least margin of each example that the search finds."""
    flat = x.repeat_interleave(points, 0)
    wanted = labels.repeat_interleave(points)
    corner = (torch.rand(flat.shape, generator=generator) < 0.5).to(flat) * 2 - 1
    start = ball.steepest(corner) if ball.norm == "linf" else ball.steepest(corner * flat)
    trial = ball.project(flat + ball.eps * start, flat)
    trial[::2] = ball.random(flat, generator=generator)[::2]
    trial[::points] = x
    best = margins(model, trial, wanted).detach()
    for _ in range(steps):
        at = trial.requires_grad_()
        [gradient] = torch.autograd.grad(margins(model, at, wanted).sum(), at)
        trial = ball.project(at.detach() - 2 * ball.eps * ball.steepest(gradient), flat)
        best = torch.minimum(best, margins(model, trial, wanted).detach())
    return best.reshape(-1, points).amin(1)


def edge(graph, x, labels, ball, method):
    """The largest radius, to some per cent, at which an example is certified."""
    low, high = 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2 if low else high / 8
        if certify(graph, x, labels, ball.resized(middle), method=method).certified.any():
            low = middle
        else:
            high = middle
    return low


def one(number):
    """Certified, broken and both, of the balls of one network; and how close the two came."""
    generator = torch.Generator().manual_seed(number)
    model = network(generator)
    x = torch.rand((EXAMPLES, 2, 4, 4), generator=generator)
    x[:, :, 0] = pick(generator, 0.0, 1.0)  # some inputs at their bounds
    labels = model(x).argmax(1)
    method = pick(generator, *METHODS)
    ball = pick(generator, Linf, L2, L1)(0.0)
    graph = trace(model, (2, 4, 4))
    radii = [2 * 10 ** (-2 * torch.rand((), generator=generator).item())]
    if number % 4 == 0:
        radii += [0.0, edge(graph, x, labels, ball, method)]
    counts = {"certified": 0, "broken": 0, "both": 0, "closest": 1.0}
    for radius in radii:
        ball = ball.resized(radius)
        found = certify(graph, x, labels, ball, method=method)
        least = searched(model, x, labels, ball, generator).double()
        broken = least <= 0
        counts["certified"] += int(found.certified.sum())
        counts["broken"] += int(broken.sum())
        counts["both"] += int((found.certified & broken).sum())
        wrong = found.margin > least  # a bound above a value is wrong, whatever their signs
        counts["both"] += int((wrong & ~(found.certified & broken)).sum())
        gap = ((least - found.margin) / (1 + least.abs())).min().item()
        counts["closest"] = min(counts["closest"], gap)
        if counts["both"]:
            sys.exit(f"network {number}, {method}, {ball}: {found.margin} and {least}")
    return counts


def hundred(first):
    began = time.process_time()
    rows = [one(number) for number in range(first, first + TOGETHER)]
    total = {key: sum(row[key] for row in rows) for key in ("certified", "broken", "both")}
    closest = min(row["closest"] for row in rows)
    return {**total, "closest": closest, "cpu_seconds": round(time.process_time() - began, 1)}


def main():
    log = Log("certified-or-broken")
    if "tables" in sys.argv:
        told(log.rows)
        return
    for first in range(0, NETWORKS, TOGETHER):
        log.once({"first": first}, lambda first=first: hundred(first))
    told(log.rows)


def told(rows):
    total = {key: sum(row[key] for row in rows) for key in ("certified", "broken", "both")}
    print(
        f"{TOGETHER * len(rows)} networks: {total['certified']} examples certified, "
        f"{total['broken']} broken, {total['both']} both or with a bound above a value that was "
        f"found; the closest a bound came is {min(row['closest'] for row in rows):.1e}, "
        f"in {sum(row['cpu_seconds'] for row in rows):.0f} CPU seconds"
    )


if __name__ == "__main__":
    main()
