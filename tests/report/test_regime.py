import math

import pytest

from wellposed.optim import EntropySGD
from wellposed.report._curves import Curve, History, read_history
from wellposed.report._regime import regime_sentences
from wellposed.runs import RunFolder


def sentences(lambda_min=None, **told):
    curves = {f"optimizer {name}": curve(values) for name, values in told.items()}
    if lambda_min is not None:
        curves["lambda_min"] = curve(lambda_min)
    found = regime_sentences(History(curves))
    return [text.replace("\u202f", " ").replace("\u00a0", " ") for text in found]


def curve(values):
    return Curve(tuple(range(0, 10 * len(values), 10)), tuple(values))


@pytest.mark.parametrize(
    ("kappa", "said"),
    [
        ([0.0, 0.0], "kappa 0: nothing pulls to the anchor; this is averaging"),
        (
            [0.02],
            "kappa 0.020: the pull has hardly acted; this is averaging, not a proximal method.",
        ),
        ([0.002, 0.02], "kappa 0.0020 to 0.020: the pull has hardly acted"),
        ([0.02, 0.3, 0.4], "kappa 0.020 to 0.40: the pull has acted without deciding"),
        ([0.6, 30.0, 20.0], "kappa 0.60 to 30: the pull decides where a cycle ends"),
    ],
)
def test_pull(kappa, said):
    [found] = sentences(kappa=kappa)
    assert found.startswith(said)


def test_gamma_of_zero_is_no_pull_whatever_kappa_says():
    assert sentences(kappa=[1e-9], gamma=[0.0])[0].startswith("kappa 0: nothing pulls")


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        ([0.0], "No noise is injected: that of the minibatches is the only temperature."),
        (
            [0.001, 0.001],
            "Injected noise is 0.0010 of the step that the gradient makes: too little",
        ),
        (
            [0.1, 0.5, 3.0],
            "Injected noise is 0.50 of the step that the gradient makes: both count.",
        ),
        ([2.0, math.nan], "Injected noise is 2.0 of the step that the gradient makes: the noise"),
    ],
)
def test_noise(ratio, said):
    [found] = sentences(noise_ratio=ratio)
    assert found.startswith(said)


def test_anchor():
    assert sentences(anchor_distance=[0.4, 0.1]) == [
        "The mean of a cycle is 0.10 to 0.40 away from its anchor."
    ]
    [found] = sentences(anchor_distance=[0.4], cosine=[0.95, 0.99])
    assert found.endswith("is 0.97: that is where SGD would have moved it.")
    [found] = sentences(anchor_distance=[0.4], cosine=[0.1])
    assert found.endswith("is 0.10: that is not where the last minibatch alone points.")


def test_time_below_the_caustic():
    found = sentences(lambda_min=[-2.0, -4.0], pde_time=[0.1, 0.2])
    assert found == [
        "t = 0.10 to 0.20 is below 1/|lambda_min| = 0.250 wherever lambda_min was measured: the "
        "relaxed loss is smooth there."
    ]


def test_time_beyond_the_caustic_names_the_worst_record():
    # t at the record of lambda_min, or the last one before it: 0.3 < 1/2, but 0.6 > 1/4.
    [found] = sentences(lambda_min=[-2.0, -4.0], pde_time=[0.3, 0.6])
    assert found == (
        "t < 1/|lambda_min| fails at 1 of 2 records: t = 0.600 against 0.250; beyond it, "
        "the relaxed loss has kinks, and its minimizer jumps. Try a larger gamma."
    )
    found = sentences(lambda_min=[-2.0], pde_time=[1e4], kappa=[0.02])
    assert "fails wherever lambda_min was measured: t = 10 000 against 0.500" in found[1]
    assert found[1].endswith("With this kappa, no cycle has come so far.")


def test_the_bound_itself_is_not_below_the_bound():
    [found] = sentences(lambda_min=[-2.0], pde_time=[0.5])
    assert "fails wherever" in found


def test_curvature_without_a_time_or_without_a_negative_one():
    assert sentences(lambda_min=[-4.0]) == [
        "A relaxed loss stays smooth for times below 1/|lambda_min| = 0.250."
    ]
    assert sentences(lambda_min=[0.5], pde_time=[9.0])[0].startswith(
        "lambda_min 0.500: no negative"
    )
    assert sentences(lambda_min=[math.nan]) == []


def test_a_method_without_an_anchor_has_no_regime():
    assert regime_sentences(History({"objective": Curve((0,), (1,))})) == []


@pytest.mark.parametrize("beside", [True, False])
def test_curvature_is_found_in_the_log(tmp_path, beside):
    folder = RunFolder.create(tmp_path / "run", kind="run", recipe="", provenance={})
    told = {"kappa": 3.0, "pde_time": 1.0} | ({} if beside else {"lambda_min": -0.5})
    for step in (1, 2):
        record = {"event": "train", "step": step, "gradients": step, "optimizer": told}
        folder.log.append(record)
    if beside:
        folder.log.append({"event": "curvature", "step": 2, "gradients": 2, "lambda_min": -0.5})
    found = regime_sentences(read_history(folder, []))
    assert len(found) == 2
    assert "t = 1.0 is below 1/|lambda_min| = 2.00" in found[1]


def test_the_names_are_those_that_a_relaxation_logs():
    import torch

    weights = torch.nn.Parameter(torch.ones(3))
    optimizer = EntropySGD([weights], lr=0.1, inner_steps=2, kappa=0.02, temperature=1e-6)
    for _ in range(3):
        weights.grad = weights.detach().clone()
        optimizer.step()
    told = {k: [v] for k, v in optimizer.diagnostics().items() if isinstance(v, float)}
    found = sentences(**told)
    assert found[0].startswith("kappa 0.020: the pull has hardly acted")
    assert found[1].startswith("Injected noise is 0.0")
    assert found[2].startswith("The mean of a cycle is ")
