import io

import numpy as np
import pytest
import torch
from PIL import Image

from wellposed.data import Dataset, Examples, Standardization
from wellposed.errors import ArgumentError
from wellposed.stats import wilson
from wellposed.train import Evaluation, Plan, fit
from wellposed.train._result import missed_goals


def evaluation(error, n=100, top5=None):
    few = torch.zeros(1, dtype=torch.int64)
    return Evaluation(n, 0.5, error, top5, few[:, None], few, few, few.float())


def test_goals_are_upper_bounds():
    splits = {"test": evaluation(0.05, top5=0.01), "validation": evaluation(float("nan"))}
    assert missed_goals({"test_error": 0.05, "test_top5_error": 0.02}, splits) == ()
    assert missed_goals({"test_error": 0.049}, splits) == (
        "test_error is 0.05, above the goal of 0.049",
    )
    assert len(missed_goals({"validation_error": 0.9}, splits)) == 1  # nan meets no goal
    with pytest.raises(ArgumentError, match=r"'test_accuracy'; known are test_error, test_loss"):
        missed_goals({"test_accuracy": 0.9}, splits)


def run(make_problem, folder, **more):
    problem = make_problem()
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.01)
    return fit(problem, optimizer, Plan(epochs=1, batch_size=32), folder=folder, **more)


def test_results_say_what_was_measured(make_problem, make_folder):
    folder = make_folder()
    result = run(make_problem, folder, goal={"test_error": 0.0})
    written = folder.read_json("results.json")
    test = result.splits["test"]
    assert written["weights"] == "last"
    assert written["step"] == 3
    assert written["splits"]["test"] == {
        "n": 48,
        "loss": test.loss,
        "error": test.error,
        "error_interval": list(wilson(round(48 * test.error), 48, 0.95)),
        "level": 0.95,
        "top5_error": test.top5_error,
    }
    assert set(written["splits"]) == {"train", "validation", "test"}
    assert written["confusion"] == test.confusion.tolist()
    assert sum(map(sum, written["confusion"])) == 48
    assert written["missed_goals"] == list(result.missed) != []
    assert written["cost"]["gradient_evaluations"] == 3
    assert written["cost"]["examples"] == 96
    assert written["cost"]["parameters"] == sum(p.numel() for p in result.model.parameters())
    assert written["cost"]["weights_bytes"] == 4 * written["cost"]["parameters"]


def test_mistakes_are_shown_as_they_were_before_standardization(make_problem, make_folder, dataset):
    folder = make_folder()
    result = run(make_problem, folder)
    rows = folder.read_json("results.json")["mistakes"]
    assert rows
    assert [r["confidence"] for r in rows] == sorted((r["confidence"] for r in rows), reverse=True)
    for row in rows:
        assert row["target"] != row["predicted"]
        assert row["target"] == dataset.test.targets[row["index"]]
        picture = np.asarray(Image.open(io.BytesIO(folder.read(row["picture"]))))
        expected = dataset.test.inputs[row["index"], 0] * 255
        assert abs(picture[::8, ::8] - expected.numpy()).max() <= 0.5 + 1e-4
    filters = folder.read_json("results.json")["first_layer"]
    assert len(filters) == 4 == len(list((folder.path / "pictures").glob("filter-*.png")))
    assert result.summary()["test"]["n"] == 48


def test_without_pictures_and_a_test_part_there_are_still_results(make_problem, make_folder):
    generator = torch.Generator().manual_seed(0)
    points = Examples(torch.randn(40, 2, generator=generator), torch.arange(40) % 2)
    data = Dataset("points", ("a", "b"), points, None, None, Standardization.identity(2))
    problem = make_problem(torch.nn.Linear(2, 2))
    problem = type(problem)(data, problem.model, problem.loss)
    folder = make_folder()
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.01)
    result = fit(problem, optimizer, Plan(epochs=1), folder=folder)
    written = folder.read_json("results.json")
    assert (written["shown"], written["first_layer"]) == ("train", [])
    assert all(row["picture"] is None for row in written["mistakes"])
    assert "top5_error" not in written["splits"]["train"]
    assert set(result.splits) == {"train"}
