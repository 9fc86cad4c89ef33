"""Checkpoints: written whole or not at all, and trusted only if they are what was written."""

import hashlib
import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import safetensors.torch

from wellposed.errors import RunFolderError
from wellposed.train._tree import flatten, unflatten

FORMAT = 1
"""Version of the layout of a checkpoint; a larger one is refused."""


@final
@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was saved.

    Args:
        step: Updates made when it was written.
        path: Its folder.
        parts: The state dictionaries by name, as they were given to `save_checkpoint`.
        skipped: Newer checkpoints that a crash has left damaged, with the damage.
    """

    step: int
    path: Path
    parts: dict[str, Any]
    skipped: tuple[str, ...] = ()


class _DamagedError(Exception):
    """A crash has cut this checkpoint short; an older one will do."""


def save_checkpoint(
    folder: Path, step: int, *, keep: int = 2, best: int | None = None, **parts: Any
) -> Path:
    """Write `folder`/step-00000120/{tensors.safetensors, state.json}, and drop older ones.

    All is written to a hidden folder beside, brought to the disk (fsync), and renamed: a
    checkpoint that has its name is complete, and a failure leaves the older ones as they were.
    The sha256 of the tensors, and of the state itself, is in state.json.

    Args:
        folder: Where the checkpoints of the run are; made if missing.
        step: Updates made so far.
        keep: How many to keep, the newest; at least 1.
        best: The step of one more that is kept.
        parts: State dictionaries by name: `model=model.state_dict(), position={"epoch": 3}`.

    Returns:
        The folder of the checkpoint.

    Raises:
        RunFolderError: If the disk is full or the folder read-only; older checkpoints are intact.

    Raises `ArgumentError` too, if a state holds what JSON and tensors cannot say.
    """
    final = folder / f"step-{step:08d}"
    temporary = folder / f".writing-{final.name}-{os.getpid()}"
    state, tensors = flatten(parts)
    content = safetensors.torch.save(tensors)
    facts = {"format": FORMAT, "step": step, "parts": state}
    facts["tensors"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    facts["sha256"] = _digest(facts)
    try:
        temporary.mkdir(parents=True)
        _write(temporary / "tensors.safetensors", content)
        _write(temporary / "state.json", json.dumps(facts, allow_nan=False).encode())
        _sync(temporary)
        _remove(final)
        temporary.rename(final)
        _sync(folder)
        _prune(folder, keep, best)
    except OSError as error:
        with suppress(OSError):
            shutil.rmtree(temporary)
        raise RunFolderError(
            f"cannot write {final}: {(error.strerror or str(error)).lower()} "
            "(older checkpoints are unharmed); free some space, or make the folder writable, "
            "and resume"
        ) from error
    return final


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest good checkpoint below `folder`, or None where there is none at all.

    The rule: a checkpoint whose files are missing or shorter than recorded was cut short by a
    crash of the machine, and the next older one is taken. One whose files are complete but have
    another sha256 than recorded was changed by somebody: it is refused, and not passed over,
    since going on silently from an older state would hide it.

    Args:
        folder: What was given to `save_checkpoint`.

    Raises:
        RunFolderError: If it was changed, is of a newer format, or all are damaged.
    """
    skipped: list[str] = []
    for path in sorted(folder.glob("step-*"), key=_step, reverse=True):
        try:
            step, parts = _read(path)
        except _DamagedError as damage:
            skipped.append(f"{path} {damage}")
            continue
        return Checkpoint(step, path, parts, tuple(skipped))
    if skipped:
        raise RunFolderError(
            f"no checkpoint is whole: {'; '.join(skipped)}; restore one from a copy, or train again"
        )
    return None


def _read(path: Path) -> tuple[int, dict[str, Any]]:
    """Step and parts of one checkpoint.

    Raises:
        RunFolderError: If it was changed, or is of a newer format.

    Raises `_DamagedError` too, if it was cut short.
    """
    advice = f"remove {path} to go on from an older checkpoint"
    facts = _facts(path / "state.json")
    if facts.get("format", 0) > FORMAT:
        raise RunFolderError(
            f"{path} has checkpoint format {facts['format']}, written by a newer wellposed; this "
            f"one reads up to {FORMAT}, so upgrade: pip install --upgrade wellposed"
        )
    if facts.pop("sha256", None) != _digest(facts):
        raise RunFolderError(f"{path / 'state.json'} was changed after it was written; {advice}")
    content = _content(path / "tensors.safetensors", facts["tensors"]["bytes"])
    if hashlib.sha256(content).hexdigest() != facts["tensors"]["sha256"]:
        raise RunFolderError(
            f"{path / 'tensors.safetensors'} was changed after it was written: its sha256 is not "
            f"the one in state.json; {advice}"
        )
    tensors = safetensors.torch.load(content)
    return facts["step"], unflatten(facts["parts"], tensors)


def _facts(path: Path) -> dict[str, Any]:
    """What state.json says.

    Raises:
        _DamagedError: If it is missing or no whole JSON object.
    """
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _DamagedError("has no whole state.json") from error
    if not isinstance(facts, dict):
        raise _DamagedError("has no whole state.json")
    return facts


def _content(path: Path, size: int) -> bytes:
    """The bytes of the file, which must be `size`.

    Raises:
        _DamagedError: If it is missing or of another size.
    """
    try:
        found = path.stat().st_size
        if found != size:
            raise _DamagedError(f"has {found} bytes of tensors instead of {size}")
        return path.read_bytes()
    except OSError as error:
        raise _DamagedError("has no readable tensors.safetensors") from error


def _digest(facts: dict[str, Any]) -> str:
    """The sha256 of the canonical JSON of a state."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _step(path: Path) -> int:
    """The number in a folder's name; -1 for a name that `save_checkpoint` does not give."""
    match = re.fullmatch(r"step-(\d+)", path.name)
    return int(match[1]) if match else -1


def _write(path: Path, content: bytes) -> None:
    """Create a file and bring it to the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can (Windows cannot)."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _prune(folder: Path, keep: int, best: int | None) -> None:
    """Remove all but the `keep` newest checkpoints and the best, and what a crash has left."""
    found = sorted(folder.glob("step-*"), key=_step)
    for path in found[: -max(1, keep)]:
        if _step(path) != best:
            _remove(path)
    for path in folder.glob(".*-step-*"):
        shutil.rmtree(path)


def _remove(path: Path) -> None:
    """Remove a checkpoint so that no half of it is ever seen under its name."""
    if path.exists():
        hidden = path.with_name(f".old-{path.name}-{os.getpid()}")
        path.rename(hidden)
        shutil.rmtree(hidden)
