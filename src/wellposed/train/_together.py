"""Replicas in several processes go on from the same step."""

import shutil
from pathlib import Path

from wellposed.optim import Replicas
from wellposed.train._checkpoint import Checkpoint, load_checkpoint


def load_together(folder: Path, replicas: Replicas) -> Checkpoint | None:
    """The newest checkpoint that this and every other replica has; all processes call this.

    Each replica writes its own, with `save_checkpoint`, into a folder of its own, at the same
    steps. One that was killed may lack the newest: all then go back to the one before, so keep at
    least two (`save_checkpoint` does). Newer ones are removed, as nothing will follow from them.

    Args:
        folder: What this process gave to `save_checkpoint`.
        replicas: The processes.

    Returns:
        The checkpoint, of the same step in all processes; None if they have none in common.

    Raises `RunFolderError` as `load_checkpoint` does.
    """
    held = {int(path.name[5:]) for path in folder.glob("step-*")}
    while True:
        common = replicas.newest_common(held)
        for step in held:
            if common is None or step > common:
                shutil.rmtree(folder / f"step-{step:08d}")
        found = load_checkpoint(folder) if common is not None else None
        whole = found.step if found is not None else -1
        if common is None or replicas.least([whole]) == replicas.least([common]):
            return found
        held = {step for step in held if step <= whole}  # some are damaged: look further back
