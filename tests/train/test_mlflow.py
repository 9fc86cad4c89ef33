import signal
import sys

import pytest
import torch

from wellposed.errors import ArgumentError, Interrupted
from wellposed.train import MLflow, Plan, fit

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "mlflow").as_uri()


def run(make_problem, folder, *observers, epochs=2):
    problem = make_problem()
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.1)
    plan = Plan(epochs=epochs, batch_size=16, log_every=2)
    return fit(problem, optimizer, plan, folder=folder, observers=observers)


def runs(store):
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("wellposed")
    return client, client.search_runs([experiment.experiment_id])


def test_metrics_are_those_of_the_log(make_problem, make_folder, store):
    folder = make_folder()
    result = run(make_problem, folder, MLflow(store))
    client, (found,) = runs(store)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "rows, Sequential"
    assert found.data.tags["precision"] == "float32"
    history = client.get_metric_history(found.info.run_id, "train/objective")
    log = [r for r in folder.log.read() if r["event"] == "train"]
    assert [(m.step, m.value) for m in history] == [(r["step"], r["objective"]) for r in log]
    assert found.data.metrics["final/test/error"] == result.splits["test"].error


def test_a_resumed_run_goes_on_in_the_same_mlflow_run(make_problem, make_folder, make_watch, store):
    folder = make_folder()
    stop = make_watch(lambda step: step.index == 7 and signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted):
        run(make_problem, folder, MLflow(store, run_name="mine"), stop)
    _, (found,) = runs(store)
    assert found.info.status == "KILLED"
    run(make_problem, folder, MLflow(store))
    client, (found,) = runs(store)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "mine")
    history = client.get_metric_history(found.info.run_id, "train/objective")
    assert [m.step for m in history] == [2, 4, 6, 8, 10, 12]


def test_two_runs_share_an_experiment(make_problem, make_folder, store):
    run(make_problem, None, MLflow(store), epochs=1)
    run(make_problem, make_folder(), MLflow(store), epochs=1)
    assert len(runs(store)[1]) == 2


def test_says_how_to_install_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ArgumentError, match=r"pip install wellposed\[mlflow\]"):
        MLflow()


def test_a_place_that_mlflow_refuses_is_refused_in_one_sentence(
    make_problem, monkeypatch, tmp_path
):
    with pytest.raises(ArgumentError, match=r"MLflow cannot write there: .*tracking_uri"):
        MLflow("nonsense://x")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "false")
    with pytest.raises(ArgumentError, match=r"MLflow cannot write there: .*tracking_uri"):
        run(make_problem, None, MLflow((tmp_path / "mlflow").as_uri()))
