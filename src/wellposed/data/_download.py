"""Downloads through pooch: checked, bounded, never half done."""

import logging
from pathlib import Path
from typing import final

import pooch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from wellposed.data._places import Places
from wellposed.data._published import Remote
from wellposed.errors import DataError, first_line

_CHUNK = 2**16


def download(remote: Remote, folder: Path, places: Places) -> Path:
    """Put a file into a folder of the cache, unless it is there already with its checksum.

    The file appears only when it is complete and right; until then it has another name, which is
    removed whatever goes wrong.

    Args:
        remote: What to fetch.
        folder: Where to, below `places.cache`.
        places: Says whether downloads are allowed, and from which mirror.

    Raises:
        DataError: If the connection fails, the bytes are not the published ones or the disk
            refuses; the message says what to do.
    """
    url = f"{places.mirror.rstrip('/')}/{remote.name}" if places.mirror else remote.url
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    logging.getLogger("pooch").setLevel(logging.WARNING)
    with Progress(
        *columns, TransferSpeedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        bar = _Bar(progress, remote)
        try:
            path = pooch.retrieve(
                url,
                known_hash=f"sha256:{remote.sha256}",
                fname=remote.name,
                path=folder,
                downloader=pooch.HTTPDownloader(
                    progressbar=bar,
                    chunk_size=_CHUNK,
                    timeout=30,
                    headers={"Accept-Encoding": "identity"},  # or .gz would be unpacked on the way
                ),
            )
        except OSError as error:  # the network's errors are OSErrors as well
            raise DataError(
                f"{url} could not be downloaded to {folder} ({first_line(error)}), nothing was "
                f"kept; try again: files that are complete are not fetched twice"
            ) from error
        except ValueError as error:
            raise DataError(
                f"what {url} sent is not the published {remote.name} (its sha256 would be "
                f"{remote.sha256[:12]}...), so nothing was kept; a proxy or a sign-in page may "
                f"have answered: try again, or another address in $WELLPOSED_MIRROR, or put the "
                f"file into {folder} yourself"
            ) from error
    return Path(path)


@final
class _Bar:
    """The progress bar that pooch feeds; it also stops what is longer than announced."""

    def __init__(self, progress: Progress, remote: Remote) -> None:
        self._progress = progress
        self._remote = remote
        self._task = progress.add_task(remote.name, total=remote.size)
        self._received = 0
        self.total = remote.size  # pooch writes here what the server announces; not believed

    def update(self, received: int) -> None:
        self._received += received
        if self._received > self._remote.size + 2 * _CHUNK:
            raise ValueError("more bytes than the file has")
        self._progress.update(self._task, completed=min(self._received, self._remote.size))

    def reset(self) -> None:
        self._received = 0  # pooch then reports the total once more

    def close(self) -> None:
        self._progress.update(self._task, completed=self._remote.size)
