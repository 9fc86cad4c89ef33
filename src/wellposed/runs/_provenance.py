"""Where a run came from: versions, machine, commit, command, seeds."""

import os
import platform
import shlex
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("wellposed", "torch", "numpy", "scipy", "scikit-learn", "pillow", "safetensors")


def provenance(seeds: dict[str, Any], **more: Any) -> dict[str, Any]:
    """All that is needed to repeat a run, or to explain why a repetition differs.

    It never fails: what cannot be found out (no git, no /proc) is None.

    Args:
        seeds: Every seed the run uses, by what it seeds.
        more: Further facts that only the caller knows, such as the device.

    Returns:
        A dict for `RunFolder.create`: created (UTC), command, python, versions, platform, machine
        (processor, cores this process may use, memory in bytes), git (commit, dirty) or None,
        seeds, and `more`.
    """
    return {
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": _command(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "machine": {"processor": _processor(), "cores": _cores(), "memory_bytes": _memory()},
        "git": _git(),
        "seeds": dict(seeds),
        **more,
    }


def _command() -> str:
    """The command line, as one would type it again."""
    words = list(sys.orig_argv) or list(sys.argv)
    if sys.argv and Path(sys.argv[0]).stem == "wellposed":
        words = ["wellposed", *sys.argv[1:]]
    elif words:
        words[0] = Path(words[0]).name
    line = shlex.join(words)
    return line if len(line) <= 2000 else line[:2000] + " ..."


def _version(name: str) -> str | None:
    """The installed version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str | None:
    """The processor's name."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine() or None


def _cores() -> int | None:
    """How many cores this process may use."""
    with suppress(AttributeError, OSError):  # neither macOS nor Windows has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory() -> int | None:
    """Physical memory in bytes."""
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _git() -> dict[str, Any] | None:
    """The commit of the working directory, and whether files differ from it."""
    commit = _ask_git("rev-parse", "HEAD")
    if not commit:
        return None
    changes = _ask_git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _ask_git(*words: str) -> str | None:
    """What git answers, or None."""
    try:
        answer = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
