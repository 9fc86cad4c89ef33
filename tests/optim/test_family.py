import inspect

import pytest

from wellposed import optim
from wellposed.optim import FAMILIES, family

CLASSES = {
    name: made
    for name, made in vars(optim).items()
    if inspect.isclass(made)
    and issubclass(made, optim.Optimizer)
    and made not in {optim.Optimizer, optim.Anchored}
}
EXPECTED = {
    "relaxation": {
        "Relaxation", "EntropySGD", "HamiltonJacobi", "LasryLions", "Lookahead",
        "Picard", "BackwardEuler", "Heat", "SAM", "ASAM", "Extragradient",
    },
    "replicas": {"Parle", "ElasticSGD", "DiLoCo", "SlowMo"},
    "neighbour": {
        "LaplacianSmoothing", "AcceleratedSGD", "PolyakRuppert", "GradientNoise", "ProximalSGD",
    },
    "zeroth order": {"KieferWolfowitz", "SPSA", "MeZO"},
    "large sample": {"LBFGS", "ArmijoLBFGS", "NewtonCG", "GaussNewton", "VarPro", "SVRG"},
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_each_class_is_in_its_family(name):
    assert {known for known, made in CLASSES.items() if family(made) == name} == EXPECTED[name]


def test_torchs_own_are_the_rest():
    rest = {name for name, made in CLASSES.items() if family(made) == "torch"}
    assert rest == set(CLASSES) - set().union(*EXPECTED.values())
    assert {"SGD", "AdamW"} <= rest
    assert set(FAMILIES) == {"torch", *EXPECTED}


def test_a_class_of_the_user_belongs_to_what_it_derives_from():
    class Mine(optim.SGD): ...

    class MyRelaxation(optim.EntropySGD): ...

    assert family(Mine) == "neighbour"
    assert family(MyRelaxation) == "relaxation"


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_has_bibtex(name):
    made = CLASSES[name]
    text = inspect.getattr_static(made, "citation", None) or optim.CITATIONS[name]
    text = inspect.cleandoc(text)
    assert text.startswith("@")
    assert text.count("{") == text.count("}")
    fields = {line.split()[0] for line in text.splitlines()[1:] if line}
    assert {"author", "title", "year"} <= fields
