"""Records for MLflow."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from wellposed.errors import ArgumentError
from wellposed.runs import atomic_write
from wellposed.train._numbers import named_numbers
from wellposed.train._observer import Start
from wellposed.train._steps import Step

_REFUSED = "MLflow cannot write there: {error}; give another tracking_uri"
_STATUS = {"done": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


@final
class MLflow:
    """Writes the numbers of each record as metrics of one MLflow run, and the choices as its tags.

    A resumed run goes on in the same MLflow run, whose id is kept in "mlflow.json" of the folder.
    What was logged beyond the checkpoint is logged again, with the same values.

    Args:
        tracking_uri: Where to; None: what MLflow takes by itself ($MLFLOW_TRACKING_URI).
        experiment: Made if missing.
        run_name: None: data and model.

    Raises:
        ArgumentError: If MLflow is not installed, or refuses the place.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        experiment: str = "wellposed",
        run_name: str | None = None,
    ) -> None:
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric
            from mlflow.exceptions import MlflowException
        except ImportError as error:
            raise ArgumentError(
                "MLflow is not installed; install it with `pip install wellposed[mlflow]`"
            ) from error
        try:
            self._client = MlflowClient(tracking_uri)
        except MlflowException as error:
            raise ArgumentError(_REFUSED.format(error=error)) from error
        self._refusal = MlflowException
        self._metric = Metric
        self._experiment = experiment
        self._run_name = run_name
        self._run_id = ""

    def begin(self, start: Start) -> None:
        """Make the MLflow run, or find it again.

        Raises:
            ArgumentError: If MLflow refuses the place.
        """
        try:
            self._begin(start)
        except self._refusal as error:
            raise ArgumentError(_REFUSED.format(error=error)) from error

    def _begin(self, start: Start) -> None:
        """Make the MLflow run, or find it again."""
        kept = Path(start.folder, "mlflow.json") if start.folder else None
        if start.step and kept is not None and kept.is_file():
            self._run_id = json.loads(kept.read_text())["run_id"]
            self._client.update_run(self._run_id, status="RUNNING")
            return
        found = self._client.get_experiment_by_name(self._experiment)
        identity = (
            self._client.create_experiment(self._experiment)
            if found is None
            else found.experiment_id
        )
        tags = {key: str(value) for key, value in start.choices.items()}
        run = self._client.create_run(identity, run_name=self._run_name or start.name, tags=tags)
        self._run_id = run.info.run_id
        if kept is not None:
            atomic_write(kept, json.dumps({"run_id": self._run_id}))

    def step(self, _: Step) -> None:
        """Nothing: steps are summed up in records."""

    def record(self, record: Mapping[str, Any]) -> None:
        """Write the numbers of a record."""
        now = int(time.time() * 1000)
        metrics = [
            self._metric(name, value, now, record["step"])
            for name, value in named_numbers(record).items()
        ]
        self._client.log_batch(self._run_id, metrics)

    def end(self, outcome: Mapping[str, Any]) -> None:
        """Write the final errors, and close the MLflow run."""
        for name, found in outcome.get("splits", {}).items():
            self._client.log_metric(self._run_id, f"final/{name}/error", found["error"])
        self._client.set_terminated(self._run_id, _STATUS.get(outcome["status"], "FAILED"))
