"""Where datasets are looked for, and in which order."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from platformdirs import user_cache_path

from wellposed.errors import DataError, require


@final
@dataclass(frozen=True)
class Places:
    """The folders where datasets are looked for, in order, and whether they may be downloaded.

    First `data_dir`, then `$WELLPOSED_DATA`, the user's cache, the system's data folders, and at
    last a download into the cache.

    Args:
        data_dir: A folder of datasets, as given on the command line; it must exist.
        offline: Refuse to download; true by default if `$WELLPOSED_OFFLINE` is set.
        cache: Where downloads go; by default `wellposed/data` in the user's cache folder.
        mirror: Base address to download from instead of the original ones; by default
            `$WELLPOSED_MIRROR`. Checksums are the same.
        system: Folders that the operating system fills, such as Debian's.
    """

    data_dir: str | Path | None = None
    offline: bool = field(default_factory=lambda: bool(os.environ.get("WELLPOSED_OFFLINE")))
    cache: Path = field(default_factory=lambda: user_cache_path("wellposed") / "data")
    mirror: str | None = field(default_factory=lambda: os.environ.get("WELLPOSED_MIRROR"))
    system: tuple[Path, ...] = (Path("/usr/share/datasets"),)

    def __post_init__(self) -> None:
        if self.data_dir is not None and not is_folder(Path(self.data_dir)):
            raise DataError(
                f"the data folder {self.data_dir} does not exist; name an existing folder that "
                f"holds datasets, or leave it out to search the usual places"
            )
        require(
            self.mirror is None or self.mirror.startswith(("http://", "https://")),
            f"a mirror is an address that begins with http:// or https://, got {self.mirror!r}",
        )

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders in search order, existing or not."""
        given = Path(self.data_dir) if self.data_dir is not None else None
        named = os.environ.get("WELLPOSED_DATA")
        first = [given, Path(named) if named else None, self.cache, *self.system]
        return tuple(dict.fromkeys(folder for folder in first if folder is not None))

    def find(self, names: Iterable[str]) -> Path | None:
        """The first of these relative names that exists in any folder; the folder counts first."""
        names = tuple(names)
        candidates = (folder / name for folder in self.folders for name in names)
        return next((path for path in candidates if is_file(path) or is_folder(path)), None)

    def locate(self, path: str | Path) -> Path:
        """A user's path: as it is, or below one of the folders.

        Raises:
            DataError: If it exists in none of them.
        """
        given = Path(path).expanduser()
        if is_file(given) or is_folder(given):
            return given
        found = None if given.is_absolute() else self.find([str(given)])
        if found is None:
            tried = "" if given.is_absolute() else f", nor below {_listed(self.folders)}"
            raise DataError(f"{path} does not exist here{tried}; check the path")
        return found

    def refusal(self, name: str, names: Iterable[str]) -> DataError:
        """The sentence that says where a dataset was looked for in vain."""
        return DataError(
            f"{name} was found in none of {_listed(self.folders)} as {' or '.join(names)}, and "
            f"downloads are off; put its files into one of these folders, or name one that has "
            f"them with --data-dir or $WELLPOSED_DATA, or allow downloads"
        )


def is_file(path: Path) -> bool:
    """Whether this is a regular file; False also where one may not look."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib raises where one may not look


def is_folder(path: Path) -> bool:
    """Whether this is a folder; False also where one may not look."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib raises where one may not look


def _listed(folders: Iterable[Path]) -> str:
    return ", ".join(map(str, folders))
