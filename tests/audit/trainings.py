"""Short trainings of a tiny network, in numpy, with the log that they leave.

One hidden layer of tanh and a softmax on three Gaussian clouds that overlap; records every
`every` steps, evaluations every 20.
"""

import numpy as np


def cloud(rng, n, noisy=0.0):
    """Examples with six features and their classes, of which a share has a random one."""
    y = rng.integers(3, size=n)
    x = rng.normal(size=(n, 6))
    x[np.arange(n), y] += 2.5
    wrong = rng.random(n) < noisy
    return x, np.where(wrong, rng.integers(3, size=n), y)


def train(seed=0, *, lr=0.3, steps=240, examples=300, hidden=16, noisy=0.0, batch=32, every=4,
          schedule=None):  # fmt: skip
    """The log of a training; `schedule(share)` multiplies the step size."""
    rng = np.random.default_rng(seed)
    x, y = cloud(rng, examples, noisy)
    apart = cloud(rng, 300)
    w = rng.normal(size=(6, hidden)) / np.sqrt(6)
    v = rng.normal(size=(hidden, 3)) / np.sqrt(hidden)
    log, window, norm, rate = [], [], 0.0, lr
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(1, steps + 1):
            rows = rng.choice(examples, min(batch, examples), replace=False)
            rate = lr if schedule is None else lr * schedule(step / steps)
            loss, grads = gradient(w, v, x[rows], y[rows])
            norm = float(np.sqrt(sum((g**2).sum() for g in grads)))
            w, v = w - rate * grads[0], v - rate * grads[1]
            window.append(loss)
            if step % every == 0:
                log.append({"event": "train", "step": step, "objective": float(np.mean(window)),
                            "lr": rate, "gradient_norm": norm})  # fmt: skip
                window = []
            if step % 20 == 0:
                loss, wrong = evaluate(w, v, *apart)
                log.append({"event": "evaluation", "step": step, "split": "validation", "n": 300,
                            "loss": loss, "error": wrong})  # fmt: skip
    return log


def logits(w, v, x):
    """Hidden values, and the logarithm of the probabilities."""
    hidden = np.tanh(x @ w)
    z = hidden @ v
    z = z - z.max(1, keepdims=True)
    return hidden, z - np.log(np.exp(z).sum(1, keepdims=True))


def evaluate(w, v, x, y):
    """Mean loss and share of errors."""
    _, logs = logits(w, v, x)
    return float(-logs[np.arange(len(y)), y].mean()), float((logs.argmax(1) != y).mean())


def gradient(w, v, x, y):
    """Mean loss and its gradients."""
    hidden, logs = logits(w, v, x)
    d = np.exp(logs)
    d[np.arange(len(y)), y] -= 1
    d /= len(y)
    back = (d @ v.T) * (1 - hidden**2)
    return float(-logs[np.arange(len(y)), y].mean()), (x.T @ back, hidden.T @ d)
