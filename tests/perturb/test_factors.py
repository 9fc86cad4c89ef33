import wellposed.perturb as room
from wellposed.perturb import Perturbation, factors


def test_are_those_of_the_lectures():
    assert list(factors()) == [
        "viewpoint",
        "deformation",
        "illumination",
        "occlusion",
        "clutter",
        "noise",
        "blur",
        "compression",
    ]


def test_hold_every_public_perturbation():
    public = {
        value
        for value in vars(room).values()
        if isinstance(value, type) and issubclass(value, Perturbation) and value is not Perturbation
    }
    assert {kind for kinds in factors().values() for kind in kinds} == public


def test_scales_have_five_values_that_go_one_way():
    for kinds in factors().values():
        for kind in kinds:
            up = list(kind.scale) == sorted(set(kind.scale))
            down = list(kind.scale) == sorted(set(kind.scale), reverse=True)
            assert len(kind.scale) == 5
            assert up or down
