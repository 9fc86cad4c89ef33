import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from wellposed.audit import Bracket
from wellposed.errors import ArgumentError
from wellposed.perturb import Spent


def made(n=50, clean=39, left=36, proven=32, shape=(1, 4, 4)):
    """The bracket that the study prints as its example."""
    inputs = torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))
    order = torch.arange(n)
    return Bracket(
        norm="linf",
        radii=(0.05,),
        bounds=(0.0, 1.0),
        inputs=inputs,
        labels=order % 10,
        clean=order < clean,
        examples=(inputs * 0.9,),
        broken=(order >= left)[None],
        proven=(order < proven)[None],
        methods=("crown",),
        reason="",
        budget="standard",
        spent=(Spent(0.05, "APGD 10 steps Margin", 39, 3, 380, 50),),
        rows=7,
        crossed=3,
        suspicions=None,
        seed=0,
        ids_sha256="abc",
        subject="float32",
    )


def test_the_sentence_of_the_study():
    assert made().statement() == (
        "On these 50 examples and every perturbation with |d|_inf <= 0.05 inside [0, 1], between "
        "64.0 % and 72.0 % keep their right label (clean 78.0 %): 64.0 % is proven, 28.0 % has a "
        "counter-example, 8.0 % is undecided; of the population between 49.2 % and 83.8 %."
    )


def test_the_interval_takes_one_end_of_each_bound():
    low, high = made().population(0)
    assert (round(low, 3), round(high, 3)) == (0.492, 0.838)
    assert made(proven=0, left=0).population(0)[0] == 0
    assert made(proven=50, left=50, clean=50).population(0)[1] == 1


def test_as_json():
    value = json.loads(json.dumps(made().to_dict(), allow_nan=False))
    [at] = value["radii"]
    assert (at["lower"]["value"], at["upper"]["value"]) == (0.64, 0.72)
    assert at["undecided"] == pytest.approx(0.08)
    assert at["upper"]["gradients"] == 380
    assert at["upper"]["method"] == "ladder-standard"
    assert (value["n"], value["clean"], value["violations"]) == (50, 0.78, 0)
    assert value["rungs"][0]["tried"] == 39


def test_files(tmp_path):
    found = made()
    found.save(tmp_path / "out")
    assert (tmp_path / "out" / "statement.txt").read_text().startswith("On these 50 examples")
    assert json.loads((tmp_path / "out" / "bracket.json").read_text())["n"] == 50
    kept = safetensors.torch.load_file(tmp_path / "out" / "counterexamples.safetensors")
    assert kept["index"].tolist() == list(range(36, 50))
    assert kept["eps"].tolist() == [0.05] * 3 + [0.0] * 11
    assert torch.equal(kept["examples"][:3], found.inputs[36:39] * 0.9)
    assert torch.equal(kept["examples"][3:], found.inputs[39:])
    pictures = sorted(p.name for p in (tmp_path / "out").glob("*.png"))
    assert len(pictures) == 14
    assert pictures[0] == "counterexample-00036.png"
    made(left=50, clean=50).save(tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.png"))
    made(shape=(5,)).save(tmp_path / "flat")
    assert not list((tmp_path / "flat").glob("*.png"))


def test_what_is_proven_and_broken_cannot_be_said():
    with pytest.raises(ArgumentError, match="2 examples are both proven and broken"):
        replace(made(), proven=(torch.arange(50) < 38)[None])


def test_the_counter_examples_are_the_same_bytes_each_time(tmp_path):
    files = []
    for number in range(8):
        made().save(tmp_path / str(number))
        files.append((tmp_path / str(number) / "counterexamples.safetensors").read_bytes())
    assert len(set(files)) == 1
