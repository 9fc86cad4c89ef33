"""Pictures of a run, put into the page itself, if they are what they say and small enough."""

import base64
import struct
import zlib
from dataclasses import dataclass, field

from wellposed.errors import RunFolderError
from wellposed.runs import RunFolder

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILE = 160 * 1024
_SIDE = 1024
_LIKELY = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


@dataclass(slots=True)
class Album:
    """Pictures that go into one page, up to a budget of bytes.

    Args:
        budget: Bytes left for pictures, as they are in the page.
        refused: Why pictures were left out, one sentence each.
    """

    budget: int = 1_200_000
    refused: list[str] = field(default_factory=list)

    def embed(self, folder: RunFolder, name: str | None) -> str | None:
        """The data URI of a picture of the folder; None, with a reason noted, if it is not fit.

        Args:
            folder: Where the picture is.
            name: Its name below the folder; None gives None.
        """
        if name is None:
            return None
        try:
            data = folder.read(name, limit=_FILE)
        except RunFolderError as error:
            self.refused.append(str(error))
            return None
        if fault := png_fault(data):
            self.refused.append(f"{folder.path / name} is not shown: {fault}")
            return None
        uri = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
        if len(uri) > self.budget:
            self.refused.append(
                f"{folder.path / name} is not shown: the page would become too large"
            )
            return None
        self.budget -= len(uri)
        return uri


def png_fault(data: bytes) -> str:
    """What keeps `data` from being a small, whole PNG picture without extras; "" if nothing does.

    Every chunk must be whole with its checksum, and be one that pixels need: text and profiles have
    no place in a picture that this library drew.
    """
    if not data.startswith(_SIGNATURE):
        return "it is not a PNG file"
    at, seen = len(_SIGNATURE), list[bytes]()
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data) or kind not in _LIKELY:
            return "it is cut off" if end > len(data) else "it holds more than pixels"
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            return "a checksum in it is wrong"
        seen.append(kind)
        at = end
    if (
        at != len(data)
        or data[8:16] != b"\0\0\0\x0dIHDR"
        or seen[-1:] != [b"IEND"]
        or b"IDAT" not in seen
    ):
        return "it is cut off"
    width, height = struct.unpack_from(">II", data, 16)
    if not (0 < width <= _SIDE and 0 < height <= _SIDE):
        return f"it has {width} x {height} pixels, more than {_SIDE}"
    return ""
