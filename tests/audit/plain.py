"""What a finding may be made of: what JSON and a reader of Python know."""

from dataclasses import fields, is_dataclass

from wellposed.runs import Verdict

PLAIN = (bool, int, float, str, bytes, type(None), Verdict)


def foreign(value, path=""):
    """The places in a finding whose type is none of Python's own, such as a numpy number."""
    if is_dataclass(value):
        inside = {f".{f.name}": getattr(value, f.name) for f in fields(value)}
    elif type(value) is dict:
        inside = {f"[{key!r}]": item for key, item in value.items()}
    elif type(value) in (list, tuple):
        inside = {f"[{place}]": item for place, item in enumerate(value)}
    else:
        return [] if type(value) in PLAIN else [f"{path} is a {type(value).__name__}"]
    return [found for step, item in inside.items() for found in foreign(item, path + step)]
