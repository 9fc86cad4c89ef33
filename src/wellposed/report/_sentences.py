"""Numbers with the right number of digits, and sentences made of them.

A number that is measured has as many digits as its uncertainty leaves meaningful: the half-width of
its interval keeps two significant digits.
"""

import math
from datetime import datetime

NARROW = "\u202f"  # thin space between groups of three digits; does not break
SPACE = "\u00a0"  # between a number and its unit; does not break
UNKNOWN = "not known"
_SUPERSCRIPT = str.maketrans(
    "-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"
)


def count(value: float | None) -> str:
    """A whole number in groups of three: "12 345"."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{round(value):,}".replace(",", NARROW)


def count_of(number: int, word: str) -> str:
    """A number of things: "1 run", "12 runs"."""
    return f"{count(number)} {word}" + ("" if number == 1 else "s")


def plain(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits: "0.0123", "1.2\u00b710\u207b\u2077", "4 320"."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    value = float(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(value)))
    if not -4 < exponent < 7:
        return power_of_ten(value)
    return f"{value:,.{max(0, digits - 1 - exponent)}f}".replace(",", NARROW)


def power_of_ten(value: float) -> str:
    """A number other than 0 with its power of ten: "2.5\u00b710\u207b\u2075", "10\u207b\u2075"."""
    mantissa, exponent = f"{value:.2e}".split("e")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    mantissa = f"{float(mantissa):g}".replace("-", "\u2212")
    return power if mantissa == "1" else f"{mantissa}\u00b7{power}"


def decimals(half_width: float | None) -> int:
    """Decimals to show for a number whose interval has this half-width: two of its digits."""
    if half_width is None or not math.isfinite(half_width) or half_width <= 0:
        return 2
    return min(6, max(0, 1 - math.floor(math.log10(half_width))))


def percent(value: float | None, places: int = 1) -> str:
    """A fraction as a percentage: 0.0361 is "3.6 %"."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return str(value)
    return f"{_fixed(100 * value, places)}{SPACE}%"


def percent_places(interval: tuple[float, float] | None) -> int:
    """Decimals for percentages that have this interval, given as fractions."""
    return decimals(50 * (interval[1] - interval[0])) if interval else 1


def percent_interval(interval: tuple[float, float] | None, places: int | None = None) -> str:
    """An interval of fractions in percent: "2.1 to 6.1 %"."""
    if interval is None or not all(map(math.isfinite, interval)):
        return UNKNOWN
    places = percent_places(interval) if places is None else places
    low, high = (_fixed(100 * end, places) for end in interval)
    return f"{low} to {high}{SPACE}%"


def points(value: float, places: int) -> str:
    """A difference of fractions in percentage points, with its sign: "+0.4", "\u22120.4"."""
    return _fixed(100 * value, places, sign="+")


def points_interval(interval: tuple[float, float]) -> str:
    """An interval of differences, in percentage points: "\u22121.2 to +0.3"."""
    places = percent_places(interval)
    return f"{points(interval[0], places)} to {points(interval[1], places)}"


def moment(text: str) -> str:
    """A UTC time as run.json writes it, for people; anything else as it is."""
    try:
        return f"{datetime.strptime(text, '%Y-%m-%dT%H:%M:%SZ'):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return shorten(text, 40)


def duration(seconds: float | None) -> str:
    """A time: "0.42 s", "41.3 s", "2 min 5 s", "1 h 12 min"."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 60:
        return f"{plain(seconds, 2 if seconds < 10 else 3)}{SPACE}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{SPACE}min {whole % 60}{SPACE}s"
    minutes = round(seconds / 60)
    return f"{count(minutes // 60)}{SPACE}h {minutes % 60}{SPACE}min"


def memory(size: float | None) -> str:
    """A number of bytes: "312 kB", "1.2 MB" (powers of 1000); 0 is "none"."""
    if size is None or not math.isfinite(size):
        return UNKNOWN
    if size == 0:
        return "none"
    units = ["B", "kB", "MB", "GB", "TB"]
    while abs(size) >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop(0)
    unit = units[0]
    return f"{count(size) if unit == 'B' else plain(size, 3 if size >= 99.5 else 2)}{SPACE}{unit}"


def error_sentence(
    part: str, n: int, error: float, interval: tuple[float, float] | None, level: float
) -> str:
    """What was measured, in one plain sentence, with its interval."""
    wrong = count(error * n)
    places = percent_places(interval)
    sentence = (
        f"The network got {wrong} of {count(n)} {part} examples wrong: "
        f"a {part} error of {percent(error, places)}"
    )
    if interval is None:
        return f"{sentence}."
    range_ = percent_interval(interval, places)
    return f"{sentence}, with a {level_name(level)} interval from {range_}."


def level_name(level: float) -> str:
    """The level of an interval: "95 %"."""
    return f"{100 * level:g}{SPACE}%"


def listing(words: list[str]) -> str:
    """Words as one writes them: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shorten(text: str, most: int) -> str:
    """At most so many characters, with a mark where something was cut off."""
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _fixed(value: float, places: int, sign: str = "") -> str:
    """A number with so many decimals, a true minus sign, and no minus zero."""
    text = f"{value:{sign}.{places}f}"
    if float(text) == 0:
        text = text.replace("-", "").replace("+", "")
    return text.replace("-", "\u2212")
