"""What is examined: a network, its data and its loss, and what is known of its training."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from typing import Any, TypeVar, final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from wellposed.audit._descent import Descent
from wellposed.audit._given import other_type, plain_names, require_numbers, uncompiled
from wellposed.audit._rows import Rows, parts_of
from wellposed.audit._untouched import untouched
from wellposed.errors import ArgumentError, in_a_line, require
from wellposed.losses import CrossEntropy, SquaredError
from wellposed.problem import eval_mode
from wellposed.regularizers import Point, Regularizer

T = TypeVar("T")
Weights = Mapping[str, Tensor]


@final
class Subject:
    r"""A network with everything that an audit may look at; only `model` and `data` are needed.

    What a check does not find here makes it say so; nothing is guessed.

    Args:
        model: f, from inputs (batch, ...) to outputs (batch, ...); whoever trained it. A classifier
            gives logits, shape (batch, classes). One from `torch.compile` is examined as the module
            it was compiled from, whose weights it shares.
        data: A `wellposed.data.Dataset`, or parts by name ("train", "validation", "test"), each
            (inputs, targets) or a dataset of torch's kind; inputs as the model takes them.
        loss: (outputs, targets) -> losses per example, shape (batch,).
        regularizer: R, part of the objective whose derivatives are examined; None for 0.
        classes: Names of the classes. By default those of the data; without names there, numbers,
            where targets are integers and outputs are (batch, classes). Empty: not a classifier.
        descent: The step that training took: a `Descent` or a torch optimizer.
        initial: w0, the weights before training.
        other: The weights of a second run of the same model.
        log: Records of training, as in a run's log.jsonl.
        failure: What training said when it failed, in words; empty if it did not.
        clock: Records with timings, as in a run's clock.jsonl.
        rebuild: Makes the model anew with fresh weights, for experiments that train.
        input_range: Least and greatest value of a *raw* input; None if not known.
        standardization: With `apply(raw)` and `undo(inputs)`, where raw inputs are changed before
            they reach the model; None if the model takes raw inputs.
        name: What reports call it.
        data_name: What reports call the data.
        seed: Of every draw.
        batch_size: Examples per forward pass.

    Raises:
        ArgumentError: If the model is no `nn.Module`, or cannot take the data.
    """

    def __init__(  # noqa: PLR0913 - one argument per thing that can be known of a network
        self,
        model: nn.Module,
        data: Any,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        *,
        regularizer: Regularizer | None = None,
        classes: Sequence[str] | None = None,
        descent: Descent | torch.optim.Optimizer | None = None,
        initial: Weights | None = None,
        other: Weights | None = None,
        log: Iterable[Mapping[str, Any]] | None = None,
        clock: Iterable[Mapping[str, Any]] | None = None,
        failure: str = "",
        rebuild: Callable[[], nn.Module] | None = None,
        input_range: tuple[float, float] | None = None,
        standardization: Any = None,
        name: str = "",
        data_name: str = "",
        seed: int = 0,
        batch_size: int = 250,
    ) -> None:
        require(
            isinstance(model, nn.Module),
            f"found a {type(model).__name__} as the model; an audit examines a torch.nn.Module",
        )
        require(batch_size >= 1, f"batch_size is at least 1, got {batch_size}; try 250")
        require(seed >= 0, f"a seed is a whole number from 0, got {seed}")
        self.model = uncompiled(model)
        self.parts = parts_of(data)
        self.loss: Callable[[Tensor, Tensor], Tensor] = loss or CrossEntropy()
        self.regularizer = regularizer
        self.descent = (
            Descent.of(descent) if isinstance(descent, torch.optim.Optimizer) else descent
        )
        self.initial, self.other = plain_names(initial), plain_names(other)
        self.log = None if log is None else list(log)
        self.clock = None if clock is None else list(clock)
        self.rebuild, self.failure = rebuild, failure
        self.input_range = input_range if input_range else getattr(data, "input_range", None)
        known = getattr(data, "standardization", None)
        self.standardization = standardization if standardization is not None else known
        self.name = name or type(self.model).__name__
        self.data_name = data_name or str(getattr(data, "name", "the data"))
        self.seed, self.batch_size = seed, batch_size
        self._cache: dict[Any, Any] = {}
        self._unlabelled = ""
        self.classes = self._classes(classes, getattr(data, "classes", None))

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that training changes; tied ones once."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def require_parameters(self, check: str) -> list[nn.Parameter]:
        """The parameters that training changes; raises `ArgumentError` if there are none."""
        found = self.parameters
        require(
            bool(found),
            f"{check} differentiates by the weights, but the model has no parameters that require "
            "a gradient; unfreeze some, or leave this check out",
        )
        return found

    def require_classes(self, check: str) -> tuple[str, ...]:
        """The names of the classes.

        Raises:
            ArgumentError: If the subject is no classifier, or has labels that are no class numbers.
        """
        if self._unlabelled:
            raise ArgumentError(f"{check} needs class numbers, and {self._unlabelled}")
        if not self.classes:
            raise ArgumentError(
                f"{check} is about classifiers: logits of shape (batch, classes) and class numbers "
                "as targets, which this subject does not have; name the classes if it is one"
            )
        return self.classes

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return tensors[0].device if tensors else torch.device("cpu")

    @property
    def judged(self) -> str:
        """The part of the data that a verdict is about: test, or validation, or train."""
        return next(name for name in ("test", "validation", "train") if name in self.parts)

    def require_part(self, part: str, check: str) -> Rows:
        """A part of the data.

        Raises:
            ArgumentError: If there is no such part.
        """
        if part not in self.parts:
            raise ArgumentError(
                f"{check} needs a {part} part, and the data have {', '.join(self.parts)}; give "
                f"data={{'{part}': (inputs, targets), ...}}, or --data that have one; --split "
                "draws parts"
            )
        return self.parts[part]

    def require_apart(self, check: str) -> str:
        """The name of the part kept apart from training, where there is a train part as well.

        Raises:
            ArgumentError: If one of the two is missing.
        """
        self.require_part("train", check)
        if self.judged == "train":
            raise ArgumentError(
                f"{check} compares the training part with one kept apart, and there is only the "
                "training part; give a test part"
            )
        return self.judged

    def rows(self, part: str, n: int | None = None) -> Tensor:
        """Row numbers of at most n examples of a part, drawn from the seed, in ascending order."""
        size = len(self.parts[part])
        if n is None or n >= size:
            return torch.arange(size)
        digest = sha256(f"{self.seed} {part}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        return torch.randperm(size, generator=generator)[:n].sort().values

    def take(self, part: str, n: int | None = None) -> tuple[Tensor, Tensor]:
        """At most n examples of a part, the same at every call, on the model's device."""
        inputs, targets = self.parts[part].take(self.rows(part, n))
        return inputs.to(self.device), targets.to(self.device)

    def batches(self, part: str, n: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The examples of `take`, in batches of `batch_size`, read as they are needed."""
        for rows in self.rows(part, n).split(self.batch_size):
            inputs, targets = self.parts[part].take(rows)
            yield inputs.to(self.device), targets.to(self.device)

    def objective(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss over the batch + R(w), shape (), in the mode that the model is in."""
        value = self.losses(self.model(inputs), targets).mean()
        if self.regularizer is None:
            return value
        return value + self.regularizer(Point(self.model, inputs, targets, self.loss))

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss per example, shape (batch,).

        Raises:
            ArgumentError: If the loss gives something else.
        """
        found = self.loss(outputs, targets)
        if found.shape != outputs.shape[:1]:
            raise ArgumentError(
                f"the loss gives shape {tuple(found.shape)} for {len(outputs)} examples; an audit "
                "needs one value per example: a torch loss takes reduction='none'"
            )
        return found

    def outputs(self, part: str, n: int | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (in float32, on the CPU) and targets of at most n examples, in eval mode.

        Kept: asked again, it costs nothing. Cost: one forward pass per example.
        """
        size = len(self.parts[part])
        wanted = size if n is None else min(n, size)

        def measure() -> tuple[Tensor, Tensor]:
            found, labels = [], []
            with torch.no_grad(), eval_mode(self.model):
                for inputs, targets in self.batches(part, wanted):
                    found.append(self.model(inputs).float().cpu())
                    labels.append(targets.cpu())
            return torch.cat(found), torch.cat(labels)

        return self.cached(("outputs", part, wanted), measure)

    @contextmanager
    def quiet(self) -> Iterator[nn.Module]:
        """The model in eval mode, with attention in a form that has second derivatives.

        Afterwards every module has its own mode again.
        """
        with torch.enable_grad(), eval_mode(self.model), sdpa_kernel(SDPBackend.MATH):
            yield self.model

    def generator(self, name: str) -> torch.Generator:
        """A generator of a check's own, on the CPU: the same for the same seed and name."""
        digest = sha256(f"{self.seed} {name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def cached(self, key: Any, make: Callable[[], T]) -> T:
        """The value that `make` gave when the key was first asked for.

        Several checks share what is dear: outputs, a Krylov space.
        """
        if key not in self._cache:
            self._cache[key] = make()
        found: T = self._cache[key]
        return found

    def describe(self) -> dict[str, Any]:
        """The subject in words and numbers, ready for JSON."""
        return {
            "name": self.name,
            "model": f"{type(self.model).__module__}.{type(self.model).__qualname__}",
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "weights_sha256": weights_digest(self.model.state_dict()),
            "data": self.data_name,
            "parts": {name: len(part) for name, part in self.parts.items()},
            "examples_sha256": weights_digest(self._some_examples()),
            "classes": list(self.classes),
            "descent": None if self.descent is None else _listed(asdict(self.descent)),
            "loss": getattr(self.loss, "__name__", type(self.loss).__name__),
        }

    def _some_examples(self) -> dict[str, Tensor]:
        """A few examples of each part, by which two sets of data are told apart."""
        taken = {part: self.take(part, 64) for part in self.parts}
        return {
            f"{part} {i}": value for part, pair in taken.items() for i, value in enumerate(pair)
        }

    def _classes(self, given: Sequence[str] | None, known: Sequence[str] | None) -> tuple[str, ...]:
        """Names of the classes; and the first look whether the model takes the data at all."""
        require_numbers(self.model, self.name)
        inputs, targets = self.take(self.judged, 2)
        try:
            with untouched(self.model), torch.no_grad(), eval_mode(self.model):
                outputs = self.model(inputs)
        except Exception as error:
            raise ArgumentError(
                f"{self.name} cannot take the {self.judged} inputs, shape {tuple(inputs.shape)} "
                f"and {inputs.dtype}{other_type(self.model, inputs)}: {in_a_line(error)}"
            ) from error
        require(
            isinstance(outputs, Tensor) and outputs.dim() >= 1 and len(outputs) == len(inputs),
            f"{self.name} gives {_shown(outputs)} for {len(inputs)} inputs; an audit needs one "
            "tensor with a row per example, so wrap the model in one that returns its logits",
        )
        scores = outputs.dim() == 2 and outputs.shape[1] > 1
        scores = scores and (bool(known) or not isinstance(self.loss, SquaredError))
        numbers = targets.dim() == 1 and not (targets.is_floating_point() or targets.is_complex())
        if given is not None:
            names = tuple(given)
        elif scores and numbers:
            names = tuple(known or map(str, range(outputs.shape[1])))
        else:
            names = ()
        fits = not names or (outputs.dim() == 2 and outputs.shape[1] >= len(names))
        require(
            fits,
            f"{len(names)} classes are named, but {self.name} gives outputs of shape "
            f"{tuple(outputs.shape)}; a classifier gives one logit per class",
        )
        if numbers and outputs.dim() == 2:
            self._unlabelled = self._outside(outputs[:1].cpu())
        return names

    def _outside(self, output: Tensor) -> str:
        """Which labels have no logit though the loss takes them, in words; empty if all have one.

        Looks at those labels that are known without reading inputs.

        Raises:
            ArgumentError: If the loss does not take one, as cross-entropy does not.
        """
        k, said = output.shape[1], ""
        for name, part in self.parts.items():
            labels = getattr(part, "targets", None)
            if not isinstance(labels, Tensor) or labels.dim() != 1 or labels.is_floating_point():
                continue
            outside = labels[(labels < 0) | (labels >= k)]
            if not len(outside):
                continue
            fault = (
                f"the {name} labels are {int(labels.min())} to {int(labels.max())}, where "
                f"{self.name} gives {k} logit{'s' if k > 1 else ''} per example"
            )
            if self._takes(output, labels.new_zeros(1)) and not self._takes(output, outside[:1]):
                raise ArgumentError(
                    f"{fault}: class numbers are 0 to {k - 1}; number the classes from 0, or give "
                    "a model with a logit for each, or the loss it was trained on"
                )
            said = said or f"{fault}; leave out the {len(outside):,} examples that have none"
        return said

    def _takes(self, output: Tensor, label: Tensor) -> bool:
        """Whether the loss has a value for a label."""
        try:
            with torch.no_grad():
                self.loss(output, label.cpu())
        except Exception:  # noqa: BLE001 - a user's loss may raise anything
            return False
        return True


def weights_digest(state: Mapping[str, Any]) -> str:
    """The sha256 of all tensors of a state dict, with their names, types and shapes."""
    digest = sha256()
    for name, value in state.items():
        digest.update(name.encode())
        if isinstance(value, Tensor):
            digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()


def _listed(value: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, since the description is compared with one that JSON has kept."""
    return {key: list(v) if isinstance(v, tuple) else v for key, v in value.items()}


def _shown(outputs: Any) -> str:
    if isinstance(outputs, Tensor):
        return f"a tensor of shape {tuple(outputs.shape)}"
    return f"a {type(outputs).__name__}"
