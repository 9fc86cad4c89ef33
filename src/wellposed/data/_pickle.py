"""A reader of pickles that can build arrays of bytes, bytes, text, numbers, lists and dicts.

`pickle` itself is a small programming language whose programs can call anything. Here its
instructions are interpreted by a machine that knows only those that build plain values, so that
nothing in a file can run, import or allocate more than the file holds.
"""

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from wellposed.errors import DataError

_MARK = object()
_ARRAY, _DTYPE, _RECONSTRUCT, _ENCODE, _BYTES = (object() for _ in range(5))
_GLOBALS = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _DTYPE,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("_codecs", "encode"): _ENCODE,
    ("__builtin__", "bytes"): _BYTES,
}


def read_pickle(content: bytes, path: Path) -> Any:
    """The value that a pickle of protocol 2 to 4 describes, if it is made of plain values.

    Arrays must hold unsigned bytes. Python 2's strings are read as bytes.

    Args:
        content: The pickle.
        path: Where it came from, for the error message.

    Raises:
        DataError: If it is damaged, or asks for anything else.
    """
    try:
        return _Machine(content).run()
    except (_RefusedError, IndexError, ValueError, TypeError, KeyError, AttributeError) as error:
        fault = str(error) if isinstance(error, _RefusedError) else "it is damaged"
        raise DataError(
            f"{path} is not a pickle of plain arrays, lists and dicts ({fault}); "
            f"replace it by an undamaged copy of the published file"
        ) from error


class _RefusedError(Exception):
    """The pickle asks for something that is not a plain value."""


@final
class _Array:
    """An array under construction: made empty by REDUCE, filled by BUILD."""

    def __init__(self) -> None:
        self.values: Any = None


@final
class _Machine:
    """The stack machine: one method per kind of instruction."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._encoded = 0

    def run(self) -> Any:
        """Interpret until STOP."""
        while (code := self._take(1)) != b".":
            if code not in _STEPS:
                raise _RefusedError(f"instruction {code!r} at byte {self._at - 1}")
            _STEPS[code](self)
        value = self._stack.pop()
        if isinstance(value, dict):
            return {key: _finished(item) for key, item in value.items()}
        return _finished(value)

    # ----- reading

    def _take(self, n: int) -> bytes:
        part = self._content[self._at : self._at + n]
        if len(part) < n:
            raise _RefusedError(f"it ends at byte {len(self._content)}")
        self._at += n
        return part

    def number(self, width: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._take(width), "little", signed=signed)

    def skip(self, width: int) -> None:
        self._take(width)

    def sized(self, width: int) -> bytes:
        return self._take(self.number(width))

    def line(self) -> str:
        end = self._content.index(b"\n", self._at)
        part = self._take(end + 1 - self._at)
        return part[:-1].decode("ascii")

    # ----- the stack

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def since_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:  # an IndexError below the bottom
            at -= 1
        values = self._stack[at + 1 :]
        del self._stack[at:]
        return values

    def tuple_of(self, n: int) -> None:
        at = len(self._stack) - n
        if at < 0:
            raise IndexError
        self._stack[at:] = [tuple(self._stack[at:])]

    def put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def memoize(self) -> None:
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        self.push(self._memo[index])

    # ----- building

    def extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise _RefusedError("items are appended to something that is no list")
        target.extend(values)

    def append(self) -> None:
        value = self._stack.pop()
        self.extend([value])

    def set_items(self, values: list[Any]) -> None:
        target, keys = self._stack[-1], values[::2]
        if not isinstance(target, dict) or len(values) % 2:
            raise _RefusedError("items are set in something that is no dict")
        if not all(isinstance(key, str | bytes | int) for key in keys):
            raise _RefusedError("a key that is neither text nor a number")
        target.update(zip(keys, values[1::2], strict=True))

    def set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self.set_items([key, value])

    def find(self, module: str, name: str) -> None:
        if (module, name) not in _GLOBALS:
            raise _RefusedError(f"it wants to use {module}.{name}"[:100])
        self.push(_GLOBALS[module, name])

    def find_on_stack(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise _RefusedError("it looks up a name that is no text")
        self.find(module, name)

    def reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if function is _ENCODE and arguments[1:] == ("latin1",):
            self.encode(arguments[0])
        elif function is _RECONSTRUCT and arguments[0] is _ARRAY:
            self.push(_Array())
        elif function is _BYTES and arguments == ():
            self.push(b"")
        elif function is _DTYPE and arguments[0] in ("u1", b"u1"):
            self.push(_DTYPE)
        else:
            raise _RefusedError("it calls a function that builds no plain value")

    def encode(self, text: str) -> None:
        value = text.encode("latin1")
        self._encoded += len(value)
        if self._encoded > len(self._content):  # else one text, encoded a million times, is a bomb
            raise _RefusedError("it unfolds to more than the file holds")
        self.push(value)

    def build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, _Array):
            target.values = _rows(*state)
        elif target is not _DTYPE:
            raise _RefusedError("it sets the state of something that is no array")


def _rows(_version: Any, shape: Any, dtype: Any, fortran: Any, content: Any) -> NDArray[np.uint8]:
    right = (
        dtype is _DTYPE
        and not fortran
        and isinstance(content, bytes)
        and isinstance(shape, tuple)
        and len(shape) <= 4
        and all(isinstance(n, int) and n >= 0 for n in shape)
        and prod(shape) == len(content)
    )
    if not right:
        raise _RefusedError("it holds an array that is not one of plain bytes")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _finished(value: Any) -> Any:
    return value.values if isinstance(value, _Array) else value


def _constant(value: Any) -> Callable[[_Machine], None]:
    return lambda m: m.push(value)


_STEPS: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": lambda m: m.skip(1),  # PROTO
    b"\x95": lambda m: m.skip(8),  # FRAME
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"K": lambda m: m.push(m.number(1)),
    b"M": lambda m: m.push(m.number(2)),
    b"J": lambda m: m.push(m.number(4, signed=True)),
    b"U": lambda m: m.push(m.sized(1)),  # SHORT_BINSTRING
    b"T": lambda m: m.push(m.sized(4)),  # BINSTRING
    b"C": lambda m: m.push(m.sized(1)),  # SHORT_BINBYTES
    b"B": lambda m: m.push(m.sized(4)),  # BINBYTES
    b"\x8e": lambda m: m.push(m.sized(8)),  # BINBYTES8
    b"X": lambda m: m.push(m.sized(4).decode("utf-8")),  # BINUNICODE
    b"\x8c": lambda m: m.push(m.sized(1).decode("utf-8")),  # SHORT_BINUNICODE
    b"(": _constant(_MARK),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"]": lambda m: m.push([]),
    b"a": lambda m: m.append(),
    b"e": lambda m: m.extend(m.since_mark()),
    b"}": lambda m: m.push({}),
    b"s": lambda m: m.set_item(),
    b"u": lambda m: m.set_items(m.since_mark()),
    b"q": lambda m: m.put(m.number(1)),
    b"r": lambda m: m.put(m.number(4)),
    b"\x94": lambda m: m.memoize(),
    b"h": lambda m: m.get(m.number(1)),
    b"j": lambda m: m.get(m.number(4)),
    b"c": lambda m: m.find(m.line(), m.line()),
    b"\x93": lambda m: m.find_on_stack(),
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
}
