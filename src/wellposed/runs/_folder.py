"""The run folder: where a training run, or a race of many, leaves everything it knows."""

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any, Literal, final, get_args

from wellposed.errors import RunFolderError
from wellposed.runs._atomic import atomic_write, explain, read_plain
from wellposed.runs._json import LIMIT, dumps, loads
from wellposed.runs._log import Log

FORMAT = 1
"""Version of the folder's format; a reader refuses a folder with a larger one."""

Kind = Literal["run", "race", "audit"]
_FIRST = {"recipe.toml", "provenance.json", "run.json"}  # what `create` writes
_OWN = ("format", "kind", "status", "created", "wellposed", "recipe_sha256")


class Status(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@final
@dataclass(frozen=True, slots=True)
class RunFolder:
    """A handle on a run folder; make one by `RunFolder.create` or `RunFolder.open`.

    Every write is atomic, every name stays below the folder, and no symbolic link inside the folder
    is followed. The format is described, file by file, in the guide "The run folder".

    Args:
        path: The folder.
    """

    path: Path

    @classmethod
    def create(
        cls, path: Path | str, *, kind: Kind, recipe: str, provenance: dict[str, Any]
    ) -> "RunFolder":
        """Make a new folder, with the recipe and the provenance in it, and status "running".

        Args:
            path: Where; it must not exist, or be an empty folder. Parents are made.
            kind: "run" for one training, "race" for many, "audit" for findings about a network
                that was trained elsewhere.
            recipe: The resolved recipe, TOML.
            provenance: What `wellposed.runs.provenance` returns.

        Raises:
            RunFolderError: If there is something already, or it cannot be written.
        """
        path = Path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            occupied = any(path.iterdir())
        except OSError as error:
            raise explain(path, error, "write") from error
        if occupied:
            raise RunFolderError(
                f"{path} is not empty, and a run needs a folder of its own; choose another folder, "
                f"or go on with `wellposed resume {path}` if it holds an unfinished run"
            )
        folder = cls(path)
        folder.write("recipe.toml", recipe)
        folder.write_json("provenance.json", provenance)
        folder.write_json(
            "run.json",
            {
                "format": FORMAT,
                "kind": kind,
                "status": Status.RUNNING,
                "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "wellposed": _version(),
                "recipe_sha256": hashlib.sha256(recipe.encode()).hexdigest(),
            },
        )
        return folder

    def discard(self) -> None:
        """Remove the folder again, unless something was written to it since `create`."""
        with suppress(OSError):
            if {path.name for path in self.path.iterdir()} <= _FIRST:
                for name in _FIRST:
                    (self.path / name).unlink(missing_ok=True)
                self.path.rmdir()

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """Open an existing folder, after checking that it is one that this version understands.

        Raises `RunFolderError` if it is missing, no run folder, damaged, or of a newer format.
        """
        folder = cls(Path(path))
        folder.info()
        return folder

    def info(self) -> dict[str, Any]:
        """What run.json says, checked.

        Raises:
            RunFolderError: As `open`.
        """
        if not (self.path / "run.json").is_file():
            found = (
                "is not a run folder: it has no run.json" if self.path.exists() else "is missing"
            )
            raise RunFolderError(f"{self.path} {found}; give a folder that `wellposed train` wrote")
        info = self.read_json("run.json")
        fault = _fault(info)
        if fault:
            raise RunFolderError(f"{self.path / 'run.json'} {fault}")
        return dict(info)

    @property
    def kind(self) -> Kind:
        """Either "run", "race" or "audit"."""
        kind: Kind = self.info()["kind"]
        return kind

    @property
    def format(self) -> int:
        """The version of the format that this folder was written in."""
        return int(self.info()["format"])

    @property
    def status(self) -> Status:
        """Where the run stands, as last written."""
        return Status(self.info()["status"])

    @property
    def facts(self) -> dict[str, Any]:
        """What `set_status` was told besides the status."""
        return {key: value for key, value in self.info().items() if key not in _OWN}

    def set_status(self, status: Status, **facts: Any) -> None:
        """Write the status, and facts such as the step reached; earlier facts stay unless replaced.

        Raises:
            RunFolderError: If the folder cannot be written, or a fact has a name of run.json's own.
        """
        if taken := sorted(set(facts) & set(_OWN)):
            raise RunFolderError(f"run.json keeps {', '.join(taken)} for itself; rename the fact")
        self.write_json("run.json", self.info() | {"status": Status(status)} | facts)

    @property
    def recipe(self) -> str:
        """The resolved recipe, TOML, exactly as it was when the run was created.

        Raises:
            RunFolderError: If it is missing, or was edited since.
        """
        data = self.read("recipe.toml")
        if hashlib.sha256(data).hexdigest() != self.info()["recipe_sha256"]:
            raise RunFolderError(
                f"{self.path / 'recipe.toml'} was changed after the run was created, so it no "
                "longer says what was run; undo the change, or start a new run with it"
            )
        return data.decode()

    @property
    def log(self) -> Log:
        """Everything that a repetition of the run repeats bit by bit."""
        return Log(self.path / "log.jsonl")

    @property
    def clock(self) -> Log:
        """Everything timed, which no repetition repeats."""
        return Log(self.path / "clock.jsonl")

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are; the folder exists once there is one."""
        return self.path / "checkpoints"

    def run_paths(self) -> list[Path]:
        """Where the runs of a race are: "runs/<method>/seed-<k>", by method and seed."""
        found = [p.parent for p in (self.path / "runs").glob("*/seed-*/run.json")]
        plain = [p for p in found if not (p.is_symlink() or p.parent.is_symlink())]
        return sorted(plain, key=lambda p: (p.parent.name, len(p.name), p.name))

    def runs(self) -> "list[RunFolder]":
        """The runs of a race, opened.

        Raises `RunFolderError` if one of them is damaged.
        """
        return [RunFolder.open(path) for path in self.run_paths()]

    def has(self, name: str) -> bool:
        """Whether there is a plain file of this name in the folder."""
        return self._inside(name).is_file()

    def read(self, name: str, *, limit: int = LIMIT) -> bytes:
        """The bytes of a file of the folder, of at most `limit` bytes.

        Raises `RunFolderError` if it is missing, larger, no plain file, or outside the folder.
        """
        return read_plain(self._inside(name), limit)

    def read_json(self, name: str) -> Any:
        """The value of a JSON file of the folder; inf and nan are the strings `float()` takes.

        Raises `RunFolderError` as `read`, or if it is not strict JSON.
        """
        return loads(self.read(name), str(self.path / name))

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file of the folder, atomically; folders in its name are made.

        Raises `RunFolderError` if the name leaves the folder, or the disk refuses.
        """
        target = self._inside(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(target.parent, error, "write") from error
        atomic_write(target, data)

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as indented strict JSON, atomically.

        Raises `RunFolderError` as `write`.
        """
        self.write(name, dumps(value, indent=1) + "\n")

    def _inside(self, name: str) -> Path:
        """The path of a name below the folder, with no link on the way.

        Raises:
            RunFolderError: If there is one, or the name leaves the folder.
        """
        parts = PurePosixPath(name).parts
        if not parts or any(re.search(r"^\.|^/|[\\:\x00-\x1f]", part) for part in parts):
            raise RunFolderError(
                f"{name!r} is not a name inside a run folder; "
                "give one like 'pictures/filter-00.png'"
            )
        at = self.path
        for part in parts:
            at = at / part
            if at.is_symlink():
                raise RunFolderError(
                    f"{at} is a symbolic link, and those are not followed; remove it"
                )
        return at


def fresh_path(parent: Path | str, name: str) -> Path:
    """Make a new empty folder "<parent>/<local time>-<name>", and return its path.

    Two processes that ask in the same second get two folders.

    Args:
        parent: Made if missing.
        name: A word for people; what is unusual in a file name becomes "-".

    Raises `RunFolderError` if it cannot be made.
    """
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:60].strip("-.") or "run"
    stem = f"{datetime.now().astimezone():%Y-%m-%dT%H-%M-%S}-{word}"
    path, number = Path(parent) / stem, 1
    while not _make(path):
        number += 1
        path = Path(parent) / f"{stem}-{number}"
    return path


def _make(path: Path) -> bool:
    """Make a new folder; False if something of that name exists."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise explain(path, error, "write") from error
    return True


def _fault(info: Any) -> str:
    """What is wrong with the content of run.json, or nothing."""
    if not isinstance(info, dict) or type(info.get("format")) is not int or info["format"] < 1:
        return "is damaged: it does not say its format; restore it from a copy"
    if info["format"] > FORMAT:
        return (
            f"has format {info['format']}, written by a newer wellposed; this one reads up to "
            f"{FORMAT}, so upgrade: pip install --upgrade wellposed"
        )
    right = {
        "kind": info.get("kind") in get_args(Kind),
        "status": info.get("status") in list(Status),
        "created": isinstance(info.get("created"), str),
        "wellposed": isinstance(info.get("wellposed"), str),
        "recipe_sha256": isinstance(info.get("recipe_sha256"), str),
    }
    wrong = [f"{key} is {info.get(key)!r}" for key, fine in right.items() if not fine]
    return f"is damaged: {', '.join(wrong)}; restore it from a copy" if wrong else ""


def _version() -> str:
    """The version of this package."""
    try:
        return version("wellposed")
    except PackageNotFoundError:
        return "unknown"
