"""Run folders as training and comparison leave them, with pictures and curves that look real."""

import fcntl
import json
import math
import os
import select
import struct
import subprocess
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from wellposed.runs import (
    Audit,
    Bars,
    Curves,
    Finding,
    Listing,
    Mark,
    Picture,
    Pictures,
    RunFolder,
    Series,
    Status,
    Surface,
    Threshold,
    Verdict,
)

RECIPE = """\
seed = 0

[data]
name = "digits"
validation = 0.15

[model]
name = "lenet"

[loss]
name = "crossentropy"

[optimizer]
name = "{optimizer}"
lr = 0.05

[train]
epochs = 20
batch_size = 32
"""
PROVENANCE = {
    "created": "2026-11-20T19:13:00Z",
    "command": "wellposed train digits.toml --seed 0",
    "python": "3.11.7",
    "versions": {"wellposed": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"},
    "platform": "Linux-6.18-x86_64",
    "machine": {"processor": "AMD EPYC", "cores": 2, "memory_bytes": 25_276_502_016},
    "git": {"commit": "d46aed067e620d4df189bec84baafe74c6f1317b", "dirty": False},
    "seeds": {"all": 0},
}
SPREAD = {"sgd": 0.036, "sgd-ema": 0.031, "adamw": 0.042, "entropysgd": 0.029}


def png(pixels):
    """A gray picture, rows of 0 to 255, as PNG."""

    def chunk(kind, data):
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(int(p) for p in row) for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def data(classes):
    return {
        "name": "digits",
        "license": "CC BY 4.0",
        "source": "scikit-learn, embedded",
        "classes": classes,
        "shape": [1, 8, 8],
        "parts": {
            "train": {"n": 1222, "sha256": "3f" * 32},
            "validation": {"n": 215, "sha256": "a1" * 32},
            "test": {"n": 360, "sha256": "7c" * 32},
        },
        "standardization": {"mean": [0.3], "std": [0.37]},
        "input_range": [0, 1],
    }


def write_log(folder, rng, floor, steps, relaxed):
    for step in range(20, steps + 1, 20):
        decay = math.exp(-step / 150)
        noise = float(np.exp(rng.normal(0, 0.12)))
        objective = (2.3 * decay + 0.02) * noise
        told = {"gamma": 0.01 * 1.001**step, "kappa": 0.1, "mean_distance": 0.4 * decay + 0.05}
        folder.log.append(
            {
                "event": "train",
                "step": step,
                "epoch": step / 39,
                "gradients": step,
                "objective": objective,
                "loss": objective * 0.98,
                "penalty": objective * 0.02,
                "error": min(0.9, (0.9 * decay + 0.004) * noise),
                "lr": 0.05 * (1 + math.cos(math.pi * step / steps)) / 2 + 1e-5,
                "gradient_norm": (1.5 * decay + 0.2) * noise,
                "optimizer": told if relaxed else {},
            }
        )
        if step % 40 == 0:
            folder.log.append(
                {
                    "event": "evaluation",
                    "step": step,
                    "epoch": step / 39,
                    "gradients": step,
                    "split": "validation",
                    "n": 215,
                    "loss": objective * 1.2,
                    "error": min(0.9, 0.9 * decay + floor * noise),
                }
            )
        folder.clock.append(
            {
                "step": step,
                "seconds": step / 90,
                "cpu_seconds": step / 60,
                "examples_per_second": 2880,
            }
        )


def results(folder, rng, error, classes):
    count = len(classes)
    confusion = np.zeros((count, count), dtype=int)
    np.fill_diagonal(confusion, 360 // count)
    for _ in range(round(error * 360)):
        true, said = rng.choice(count, 2, replace=False)
        confusion[true, said] += 1
        confusion[true, true] -= 1
    mistakes = []
    for k in range(12):
        true, said = rng.choice(count, 2, replace=False)
        name = f"pictures/mistake-{k:02d}.png"
        folder.write(name, png(digit(rng, int(true))))
        mistakes.append(
            {
                "index": int(rng.integers(360)),
                "target": int(true),
                "predicted": int(said),
                "confidence": 0.999 - 0.02 * k,
                "picture": name,
            }
        )
    for k in range(4):
        folder.write(f"pictures/filter-{k:02d}.png", png(rng.integers(0, 256, (5, 5))))
    half = 1.96 * math.sqrt(error * (1 - error) / 360)
    folder.write_json(
        "results.json",
        {
            "weights": "anchor",
            "splits": {
                "test": split(360, error, half),
                "validation": split(215, error * 0.9, half * 1.3),
                "train": split(1222, 0.0008, 0.0016),
            },
            "confusion": confusion.tolist(),
            "mistakes": mistakes,
            "first_layer": [{"picture": f"pictures/filter-{k:02d}.png"} for k in range(4)],
            "cost": {
                "gradient_evaluations": 780,
                "examples": 24440,
                "seconds": 8.71,
                "cpu_seconds": 12.9,
                "examples_per_second": 2806.0,
                "optimizer_bytes": 41_232,
                "weights_bytes": 20_616,
                "parameters": 5154,
            },
        },
    )


def split(n, error, half):
    interval = [max(0.0, error - half), error + half]
    return {"n": n, "loss": 3 * error, "error": error, "error_interval": interval, "level": 0.95}


def digit(rng, kind):
    """Something that looks like a digit: a stroke on eight by eight pixels."""
    picture = rng.integers(0, 40, (8, 8))
    for t in np.linspace(0, 2 * math.pi, 24):
        row = round(3.5 + 3 * math.sin(t * (1 + kind % 3)))
        column = round(3.5 + 2.5 * math.cos(t + kind / 3))
        picture[row, column] = 215 + rng.integers(0, 40)
    return picture


def build_run(path, *, optimizer="entropysgd", seed=0, classes=None, steps=780, error=0.0361):
    classes = [str(k) for k in range(10)] if classes is None else classes
    with mock.patch("os.fsync"):  # a thousand small files need not survive a power cut
        return fill_run(path, optimizer, np.random.default_rng(seed), classes, steps, error)


def fill_run(path, optimizer, rng, classes, steps, error):
    folder = RunFolder.create(
        path, kind="run", recipe=RECIPE.format(optimizer=optimizer), provenance=PROVENANCE
    )
    folder.write_json("data.json", data(classes))
    folder.write_json("choices.json", {"precision": "float32", "layout": "contiguous"})
    write_log(folder, rng, error, steps, relaxed=optimizer == "entropysgd")
    results(folder, rng, error, classes)
    folder.set_status(Status.DONE, step=steps)
    return folder


def build_race(path, *, seeds=(0, 1, 2), methods=SPREAD, steps=780, compared=True):
    recipe = RECIPE.format(optimizer="sgd") + "\n[compare]\nseeds = [0, 1, 2]\n"
    race = RunFolder.create(path, kind="race", recipe=recipe, provenance=PROVENANCE)
    rng = np.random.default_rng(7)
    rows = []
    for k, (name, center) in enumerate(methods.items()):
        errors = [round(float(center + rng.normal(0, 0.004)), 4) for _ in seeds]
        for seed, error in zip(seeds, errors, strict=True):
            build_run(
                path / "runs" / name / f"seed-{seed}",
                optimizer=name.split("-")[0],
                seed=10 * k + seed,
                error=error,
                steps=steps,
            )
        mean, scatter = (
            float(np.mean(errors)),
            float(np.std(errors, ddof=1) / math.sqrt(len(seeds))),
        )
        rows.append(
            {
                "name": name,
                "optimizer": {"sgd": "SGD", "sgd-ema": "SGD", "adamw": "AdamW"}.get(
                    name, "EntropySGD"
                ),
                "errors": errors,
                "mean": mean,
                "standard_error": scatter,
                "interval": [mean - 4.303 * scatter, mean + 4.303 * scatter],
                "gradient_evaluations": 780,
                "seconds": 8.7 + k,
                "cpu_seconds": 12.2 + k,
                "optimizer_bytes": 20_616 * (k + 1),
                "runs": [f"runs/{name}/seed-{seed}" for seed in seeds],
            }
        )
    if compared:
        race.write_json("comparison.json", comparison(rows, list(seeds)))
        race.set_status(Status.DONE)
    return race


def comparison(rows, seeds):
    pairs = [
        {
            "a": a["name"],
            "b": b["name"],
            "difference": a["mean"] - b["mean"],
            "interval": [a["mean"] - b["mean"] - 0.012, a["mean"] - b["mean"] + 0.012],
            "decided": abs(a["mean"] - b["mean"]) > 0.012,
            "statement": f"undecided between {a['name']} and {b['name']}",
        }
        for k, a in enumerate(rows)
        for b in rows[k + 1 :]
    ]
    return {
        "metric": "test error",
        "level": 0.95,
        "seeds": seeds,
        "methods": rows,
        "pairs": pairs,
        "statement": "No winner: with 3 seeds and 780 gradient evaluations each, the intervals of "
        "all four methods overlap, and no pair differs by more than its uncertainty.",
    }


def figures(rng):
    """One figure of every kind, and of every feature."""
    x = tuple(np.linspace(0.1, 10, 60).tolist())
    y = tuple((np.exp(-np.array(x) / 3) + rng.normal(0, 0.01, 60)).tolist())
    broken = (*y[:20], float("nan"), float("inf"), *y[22:])
    up, down = tuple(v + 0.1 for v in y), tuple(max(v - 0.1, 1e-4) for v in y)
    grid = np.linspace(-1, 1, 21)
    bowl = grid[None, :] ** 2 + 4 * grid[:, None] ** 2 + 0.01
    bowl[0, 0] = np.nan
    names = ("features.0.weight", "features.3.weight", "classifier.weight")
    curves = Curves(
        "Loss along the way",
        "t",
        "loss",
        (
            Series("train", x, broken, down, up),
            Series("test", x, up),
            Series("measured", x[::6], y[::6], down[::6], up[::6], points=True),
            Series("each seed", x, down, faint=True),
        ),
        (Mark("x", 2.5, "2/lr"), Mark("y", 0.9, "chance"), Mark("x", 3.0, "lambda_max")),
        note="Bands are 95 % intervals.",
    )
    return (
        curves,
        Curves("Spectrum", "eigenvalue", "density", (Series("", x, y),), log_x=True, log_y=True),
        Bars("Error by factor", names, (0.1, 0.3, float("nan")), (0.05, 0.2, 0.0),
             (0.2, 0.4, 1.0), "error", percent=True, marks=(Mark("y", 0.25, "clean"),)),
        Bars("Gain per layer", names, (1e-6, 1.0, 30.0), log=True),
        Surface("Loss around w", tuple(grid.tolist()), tuple(grid.tolist()),
                tuple(map(tuple, bowl.tolist())), "first direction", "second direction", log=True,
                points=((0.0, 0.0, "w"), (0.8, 0.5, "w of the other run"))),
        Pictures("Worst examples", tuple(
            tuple(Picture(png(digit(rng, k)), f"{k}, severity {row}") for k in range(6))
            for row in range(2))),
        Listing("Layers", ("layer", "kind", "gain"),
                tuple((name, "conv", f"{k}.5") for k, name in enumerate(names)), right=2),
    )  # fmt: skip


def findings(rng):
    """A finding of every verdict, with all that findings can say."""
    limit = Threshold(20.0, "above", "theorem", "2/lr, beyond which gradient descent diverges")
    return (
        Finding("weights", Verdict.PASS, "All 61,706 weights are finite.", 0.0, (0.0, 0.0),
                unit="entries", family="weights", verified="sums in float64 agree"),
        Finding("sharpness", Verdict.FAIL, "The largest eigenvalue is beyond 2/lr.", 31.4,
                (29.8, 33.1), 0.99, "", limit, "features.0", {"examples": 2000, "seed": 0,
                "ritz": [31.4, 12.0]}, "finite difference agrees to 1e-6",
                "halve the step size: [optimizer] lr = 0.05", 17.2, figures(rng), "curvature",
                12_000, 3.25),
        Finding("gap", Verdict.WARN, "The error is 7.2 % on test and 1.1 % on train.", 0.061,
                (0.052, 0.07), 0.95, "share", Threshold(0.0, "above", "convention", "fresh data"),
                family="generalization", seconds=0.2, remedy="more data"),
        Finding("shift", Verdict.UNKNOWN, "Not checked: no input range is known.",
                family="invariance"),
    )  # fmt: skip


def build_audit(folder, found=None, **changes):
    """Write an audit into a folder, and return the folder."""
    subject = {
        "name": "lenet", "model": "wellposed.models._lenet.LeNet", "parameters": 61_706,
        "weights_sha256": "ab" * 32, "data": "fashion-mnist", "parts": {"train": 60_000},
        "classes": ["shirt", "bag"], "loss": "CrossEntropy",
    } | changes  # fmt: skip
    found = findings(np.random.default_rng(3)) if found is None else tuple(found)
    with mock.patch("os.fsync"):
        Audit(subject, "standard", 0, found).write(folder)
    return folder


@pytest.fixture
def make_audit():
    return build_audit


@pytest.fixture
def every_figure():
    """One figure of every kind."""
    return figures(np.random.default_rng(3))


@pytest.fixture
def audit_folder(tmp_path):
    """The folder of an audit of a foreign network."""
    recipe = '[audit]\nsubject = "package.module:factory"\n'
    folder = RunFolder.create(
        tmp_path / "audit", kind="audit", recipe=recipe, provenance=PROVENANCE
    )
    folder.set_status(Status.DONE)
    return build_audit(folder)


@pytest.fixture
def make_run():
    return build_run


@pytest.fixture
def make_race():
    return build_race


@pytest.fixture
def make_png():
    return png


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A finished run; tests may render it but not change it."""
    return build_run(tmp_path_factory.mktemp("runs") / "2026-11-20T19-13-00-lenet-digits")


@pytest.fixture(scope="session")
def race_folder(tmp_path_factory):
    """A finished race; tests may render it but not change it."""
    return build_race(tmp_path_factory.mktemp("runs") / "2026-11-20T19-13-00-race")


class Browser:
    """Chromium without a window, spoken to over a pipe: no further package is needed.

    Every page opened leaves what the browser complained about and what it asked for.
    """

    FLAGS = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-pipe",
    )

    def __init__(self, home):
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        there = [fcntl.fcntl(fd, fcntl.F_DUPFD, 50) for fd in (commands, answers)]
        redirect = f'exec "$@" 3<&{there[0]} 4>&{there[1]}'  # where chromium expects the pipes
        command = ["chromium", *self.FLAGS, f"--user-data-dir={home}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", redirect, "bash", *command],
            pass_fds=there,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for descriptor in (commands, answers, *there):
            os.close(descriptor)
        self._buffer, self._count, self._session, self.events = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _receive(self):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], 60)
            received = os.read(self._from, 1 << 16) if ready else b""
            assert received, "chromium does not answer"
            self._buffer += received
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, path, width=1280, scheme="light", media=""):
        self.events = []
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.call("Page.navigate", url=Path(path).as_uri())
        while not self._seen("Page.loadEventFired"):
            self.events.append(self._receive())

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _seen(self, *methods):
        return [e["params"] for e in self.events if e.get("method") in methods]

    @property
    def complaints(self):
        return self._seen("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")

    @property
    def requests(self):
        sent = self._seen("Network.requestWillBeSent")
        return [request["request"]["url"] for request in sent]

    def close(self):
        self._process.terminate()
        self._process.wait(30)
        os.close(self._to)
        os.close(self._from)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
