"""Where each key of a recipe was written, so that a message can point there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

Path = tuple[str | int, ...]

_KEY = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")
_DOTTED_KEY = re.compile(rf"{_KEY.pattern}(?:\.{_KEY.pattern})*")


@dataclass(frozen=True)
class Origin:
    """The place of each key, in words; never part of a recipe's equality.

    Args:
        name: Of the file, or of what stands for it.
        places: For the path of a key or table, where it was written: `main.toml:12`.
    """

    name: str = field(default="recipe", compare=False)
    places: Mapping[Path, str] = field(default_factory=dict, compare=False)

    def at(self, path: Path) -> str:
        """The place of the key, or of one beside it, or of the table around it, or the name."""
        for length in range(len(path), 0, -1):
            near = path[:length]
            if near in self.places:
                return self.places[near]
            inside = (at for key, at in self.places.items() if key[:length] == near)
            if found := next(inside, None):
                return found
        return self.name

    def replaced(self, places: Mapping[Path, str]) -> "Origin":
        """A copy with these places; what was known of keys inside them is forgotten."""
        kept = {
            path: at
            for path, at in self.places.items()
            if not any(path[: len(new)] == new for new in places)
        }
        return Origin(self.name, {**kept, **places})


def dotted(path: Path) -> str:
    """The path as the user would write it: `regularizer.0.strength`."""
    return ".".join(str(part) for part in path)


def locate(text: str, name: str) -> Origin:
    """Find the line of each key and table header in `text`, which must be valid TOML."""
    return Origin(name, {path: f"{name}:{line}" for path, line in _scan(text).items()})


def _scan(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    tables: dict[Path, int] = {}  # how many [[tables]] of this name have begun
    here: Path = ()
    position = 0
    while (position := _skip_blank(text, position)) < len(text):
        line = text.count("\n", 0, position) + 1
        if text.startswith("[[", position):
            keys, position = _dotted_key(text, position + 2)
            outer = _indexed(keys[:-1], tables)
            array = (*outer, keys[-1])
            tables[array] = tables.get(array, -1) + 1
            here = (*array, tables[array])
            lines[here] = line
            lines.setdefault(array, line)
            position += 2
        elif text[position] == "[":
            keys, position = _dotted_key(text, position + 1)
            here = _indexed(keys, tables)
            lines[here] = line
            position += 1
        else:
            keys, position = _dotted_key(text, position)
            for length in range(1, len(keys) + 1):
                lines.setdefault((*here, *keys[:length]), line)
            position = _skip_value(text, position + 1)
    return lines


def _indexed(keys: tuple[str, ...], tables: Mapping[Path, int]) -> Path:
    """The path with the index of the latest [[table]] after each name that is one."""
    path: Path = ()
    for key in keys:
        path = (*path, key)
        if path in tables:
            path = (*path, tables[path])
    return path


def _skip_blank(text: str, position: int) -> int:
    while position < len(text):
        if text[position] == "#":
            position = _end_of_line(text, position)
        elif text[position].isspace():
            position += 1
        else:
            break
    return position


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _dotted_key(text: str, position: int) -> tuple[tuple[str, ...], int]:
    found = _DOTTED_KEY.match(text, position)
    assert found is not None, "valid TOML has a key here"
    return tuple("".join(groups) for groups in _KEY.findall(found[0])), found.end()


def _skip_value(text: str, position: int) -> int:
    """The end of the line on which the value ends."""
    depth = 0
    while position < len(text):
        character = text[position]
        if character in "\"'":
            position = _skip_string(text, position)
            continue
        if character == "#":
            position = _end_of_line(text, position)
            continue
        if character == "\n" and depth == 0:
            break
        depth += (character in "[{") - (character in "]}")
        position += 1
    return position


def _skip_string(text: str, position: int) -> int:
    quote = text[position]
    mark = quote * 3 if text.startswith(quote * 3, position) else quote
    position += len(mark)
    while position < len(text) and not text.startswith(mark, position):
        position += 2 if text[position] == "\\" and quote == '"' else 1
    position += len(mark)
    while len(mark) == 3 and text.startswith(quote, position):  # a quote may touch the closing mark
        position += 1
    return position
