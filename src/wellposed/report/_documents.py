"""What the JSON files of a run folder hold, as far as the report shows it.

Unknown keys are passed over, so that a file may say more than this version shows. Texts and lists
are cut to a length that a page can bear.
"""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from wellposed.errors import RunFolderError
from wellposed.report._sentences import shorten
from wellposed.runs import RunFolder

Text = Annotated[str, AfterValidator(lambda text: shorten(text, 200))]
Fraction = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[int, Field(ge=0)]
Measure = float | None
_DEEP = 12
Item = TypeVar("Item")
Document = TypeVar("Document", bound=BaseModel)


class Tolerant(BaseModel):
    """A frozen part of a file, whose unknown keys are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Part(Tolerant):
    """One part of the data: how many examples, and their fingerprint."""

    n: Size
    sha256: Text = ""


class Data(Tolerant):
    """data.json."""

    name: Text
    license: Text = ""
    source: Text = ""
    classes: list[Text] = []
    shape: list[int] = []
    parts: dict[Text, Part | None] = {}


class Split(Tolerant):
    """What an evaluation on one part of the data measured."""

    n: Size
    loss: float
    error: Fraction
    error_interval: tuple[float, float] | None = None
    level: Fraction = 0.95


class Mistake(Tolerant):
    """An example that the network got wrong."""

    index: int
    target: int
    predicted: int
    confidence: Fraction
    picture: str | None = None


class Filter(Tolerant):
    """First-layer weights of one output, as a picture."""

    picture: str


class Cost(Tolerant):
    """What a run cost."""

    gradient_evaluations: Measure = None
    examples: Measure = None
    seconds: Measure = None
    cpu_seconds: Measure = None
    examples_per_second: Measure = None
    optimizer_bytes: Measure = None
    weights_bytes: Measure = None
    parameters: Measure = None


class Results(Tolerant):
    """results.json."""

    weights: Text = "last"
    splits: dict[Text, Split] = {}
    shown: Text = ""
    confusion: list[list[Size]] = []
    mistakes: list[Mistake] = []
    first_layer: list[Filter] = []
    cost: Cost = Cost()
    missed_goals: list[Text] = []

    @model_validator(mode="after")
    def _square(self) -> "Results":
        """Refuse a confusion matrix that is not square."""
        if any(len(row) != len(self.confusion) for row in self.confusion):
            raise ValueError("confusion is not a square table")
        return self


class Method(Tolerant):
    """One method of a comparison."""

    name: Text
    optimizer: Text = ""
    errors: list[Fraction] = []
    mean: Measure = None
    standard_error: Measure = None
    interval: tuple[float, float] | None = None
    gradient_evaluations: Measure = None
    seconds: Measure = None
    cpu_seconds: Measure = None
    optimizer_bytes: Measure = None
    runs: list[str] = []
    diverged: list[int] = []


class Pair(Tolerant):
    """Two methods, and whether the numbers decide between them."""

    a: Text
    b: Text
    difference: float
    interval: tuple[float, float]
    decided: bool


class Comparison(Tolerant):
    """comparison.json."""

    metric: Text = "test error"
    level: Fraction = 0.95
    seeds: list[int] = []
    methods: list[Method] = []
    pairs: list[Pair] = []
    statement: Annotated[str, AfterValidator(lambda text: shorten(text, 2000))] = ""


def read_document(
    folder: RunFolder, name: str, kind: type[Document], gaps: list[str]
) -> Document | None:
    """A JSON file of the folder, or None; why it is not there is added to `gaps`."""
    value = read_value(folder, name, gaps)
    if value is None:
        return None
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the whole"
        gaps.append(f"{name} is not shown: {shorten(where, 80)}: {first['msg']}.")
        return None


def read_value(folder: RunFolder, name: str, gaps: list[str]) -> Any:
    """The value of a JSON file of the folder, or None; why it is not there is added to `gaps`."""
    try:
        if not folder.has(name):
            gaps.append(f"{name} is not there.")
            return None
        return folder.read_json(name)
    except RunFolderError as error:
        gaps.append(f"{error}.")
        return None


def flatten(value: Any, most: int = 40) -> list[tuple[str, str]]:
    """A JSON value as rows "a.b" and text, at most so many; what is null or deep is left out."""
    rows: list[tuple[str, str]] = []

    def visit(path: str, node: Any, depth: int = 0) -> None:
        if len(rows) >= most or node is None or depth > _DEEP:
            return
        if isinstance(node, dict):
            for key, item in node.items():
                visit(f"{path} {key}".strip(), item, depth + 1)
        elif isinstance(node, list) and any(isinstance(item, dict | list) for item in node):
            for number, item in enumerate(node):
                visit(f"{path} {number}".strip(), item, depth + 1)
        else:
            text = ", ".join(map(str, node)) if isinstance(node, list) else str(node)
            rows.append((shorten(path, 80), shorten(text, 400)))

    visit("", value)
    return rows
