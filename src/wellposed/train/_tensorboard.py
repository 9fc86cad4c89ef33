"""Records for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from wellposed.errors import ArgumentError
from wellposed.train._numbers import named_numbers
from wellposed.train._observer import Start
from wellposed.train._steps import Step


@final
class TensorBoard:
    """Writes the numbers of each record as scalars; look with `tensorboard --logdir RUN`.

    A resumed run goes on in the same curves: what was written beyond the checkpoint is purged.

    Args:
        path: Where to; None: the folder "tensorboard" of the run.

    Raises:
        ArgumentError: If TensorBoard is not installed.
    """

    def __init__(self, path: Path | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ArgumentError(
                "TensorBoard is not installed; install it with `pip install wellposed[tensorboard]`"
            ) from error
        self._make = SummaryWriter
        self._path = path
        self._writer: SummaryWriter | None = None

    def begin(self, start: Start) -> None:
        """Open the file of events.

        Raises:
            ArgumentError: If there is neither a path nor a run folder.
        """
        if self._path is None and not start.folder:
            raise ArgumentError("TensorBoard needs a path where there is no run folder")
        path = self._path or Path(start.folder) / "tensorboard"
        self._writer = self._make(str(path), purge_step=start.step + 1 if start.step else None)

    def step(self, _: Step) -> None:
        """Nothing: steps are summed up in records."""

    def record(self, record: Mapping[str, Any]) -> None:
        """Write the numbers of a record."""
        if self._writer is not None:
            for name, value in named_numbers(record).items():
                self._writer.add_scalar(name, value, record["step"])

    def end(self, _: Mapping[str, Any]) -> None:
        """Bring all to the disk."""
        if self._writer is not None:
            self._writer.close()
