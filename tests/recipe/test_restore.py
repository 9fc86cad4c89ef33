import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from wellposed.errors import ArgumentError, DataError, RunFolderError
from wellposed.recipe import dataset, restore
from wellposed.runs import RunFolder
from wellposed.train import evaluate


def test_a_restored_network_is_the_one_that_was_judged(finished):
    restored = restore(finished.path)
    data = dataset(restored.recipe)
    found = evaluate(restored.model, data.test, restored.parts.loss())
    recorded = finished.read_json("results.json")["splits"]["test"]
    assert (found.error, found.loss) == (recorded["error"], recorded["loss"])
    assert not restored.model.training
    assert restored.classes == tuple("0123456789")
    assert restored.shape == (1, 8, 8)
    assert restored.standardization == data.standardization


def digit(path, pixels):
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)
    return path


def test_a_picture_is_predicted_as_the_example_it_shows(finished, tmp_path):
    restored = restore(finished)
    data = dataset(restored.recipe)
    inputs, _ = data.test.take(torch.arange(3))
    for number, raw in enumerate(data.standardization.undo(inputs)):
        pixels = (raw[0] * 255).round().numpy()
        found = restored.probabilities(digit(tmp_path / f"{number}.png", pixels))
        with torch.no_grad():
            right = restored.model(inputs[number : number + 1]).softmax(1)[0]
        torch.testing.assert_close(
            torch.tensor(list(found.values())), right, rtol=0.02, atol=0.02
        )  # 256 gray levels instead of 17
        assert sum(found.values()) == pytest.approx(1)
        inverted = restored.probabilities(
            digit(tmp_path / f"ink-{number}.png", 255 - pixels), invert=True
        )
        assert inverted == pytest.approx(found, abs=1e-4)


def test_what_is_no_picture_is_refused(finished, tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match="not a readable PNG or JPEG"):
        restore(finished).probabilities(tmp_path / "x.png")


def test_a_model_of_points_takes_no_pictures(points, tmp_path):
    with pytest.raises(ArgumentError, match=r"takes inputs of shape \(2,\), not pictures"):
        restore(points).probabilities(tmp_path / "x.png")


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "run")
    return RunFolder.open(tmp_path / "run")


def test_a_race_is_no_single_run(tmp_path):
    folder = RunFolder.create(tmp_path / "race", kind="race", recipe="seed = 0\n", provenance={})
    with pytest.raises(RunFolderError, match="is a race of several runs; name one of them"):
        restore(folder)


def test_an_unfinished_run_is_refused(copy):
    (copy.path / "results.json").unlink()
    with pytest.raises(RunFolderError, match="has no results"):
        restore(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": []},
        {"shape": [0]},
        {"classes": []},
        {"standardization": {"mean": [0.0], "std": [0.0]}},
        {"standardization": {}},
        {"shape": "big"},
    ],
)
def test_a_description_that_cannot_be_is_refused(copy, change):
    (copy.path / "data.json").write_text(json.dumps(copy.read_json("data.json") | change))
    with pytest.raises(RunFolderError, match=r"has no usable data\.json"):
        restore(copy)


def test_a_missing_description_is_refused(copy):
    (copy.path / "data.json").unlink()
    with pytest.raises(RunFolderError, match=r"has no usable data\.json"):
        restore(copy)


def test_tampered_weights_are_refused(copy):
    weights = copy.path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(RunFolderError, match="is not what the run wrote"):
        restore(copy)


@pytest.mark.parametrize("results", ["[]", '{"weights_file": 3}', '{"weights_file": null}'])
def test_damaged_results_are_refused(copy, results):
    (copy.path / "results.json").write_text(results)
    with pytest.raises(RunFolderError, match="has damaged results or weights"):
        restore(copy)


def test_a_changed_recipe_is_refused(copy):
    (copy.path / "recipe.toml").write_text("seed = 3\n")
    with pytest.raises(RunFolderError, match="was changed after the run was created"):
        restore(copy)
