"""Other libraries' optimizers, where they are installed, on the same SGD with Nesterov momentum."""

from importlib.metadata import version
from typing import Any

from torch import Tensor, nn
from torch.optim import ASGD, SGD
from torch.optim.swa_utils import AveragedModel

from updates.entrant import Entrant
from updates.members import NESTEROV
from updates.textbook import TextbookSAM


class Averaged:
    """SGD, and torch's average of the weights after each step."""

    def __init__(self, params: list[Tensor]) -> None:
        self.model = nn.ParameterList(params)
        self.sgd = SGD(params, fused=True, **NESTEROV)
        self.average = AveragedModel(self.model)
        self.state: dict[Any, Any] = {}

    def step(self) -> None:
        """A step, and the average."""
        self.sgd.step()
        self.average.update_parameters(self.model)


def torchs() -> dict[str, Entrant]:
    """What comes with torch, and the textbook."""
    sam = {"closure": True, "first": True, "gradients": 2}
    return {
        "textbook SAM": Entrant(
            lambda p: TextbookSAM(p, rho=0.05, adaptive=False, **NESTEROV), method="SAM", **sam
        ),
        "textbook ASAM": Entrant(
            lambda p: TextbookSAM(p, rho=0.5, adaptive=True, **NESTEROV), method="ASAM", **sam
        ),
        "torch ASGD, no momentum": Entrant(
            lambda p: ASGD(p, lr=1e-4, t0=0, foreach=True), method="averaging"
        ),
        "torch AveragedModel, fused SGD": Entrant(Averaged, method="averaging"),
    }


def from_pytorch_optimizer() -> dict[str, Entrant]:
    import pytorch_optimizer as po

    sam = {"closure": True, "first": True, "gradients": 2}
    return {
        "pytorch_optimizer Lookahead": Entrant(
            lambda p: po.Lookahead(SGD(p, fused=True, **NESTEROV), k=5), method="Lookahead"
        ),
        "pytorch_optimizer SAM": Entrant(
            lambda p: po.SAM(p, SGD, rho=0.05, fused=True, **NESTEROV), method="SAM", **sam
        ),
        "pytorch_optimizer SAM, foreach": Entrant(
            lambda p: po.SAM(p, SGD, rho=0.05, foreach=True, **NESTEROV),
            method="SAM", **sam,
        ),
        "pytorch_optimizer SAM, adaptive": Entrant(
            lambda p: po.SAM(p, SGD, rho=0.5, adaptive=True, fused=True, **NESTEROV),
            method="ASAM", **sam,
        ),
        "pytorch_optimizer SGDW": Entrant(lambda p: po.SGDW(p, **NESTEROV)),
        "pytorch_optimizer ScheduleFreeSGD": Entrant(lambda p: po.ScheduleFreeSGD(p, lr=1e-4)),
    }  # fmt: skip


def from_schedulefree() -> dict[str, Entrant]:
    import schedulefree

    def made(params: list[Tensor]) -> Any:
        optimizer = schedulefree.SGDScheduleFree(params, lr=1e-4, foreach=True)
        optimizer.train()
        return optimizer

    return {"schedulefree SGD, foreach": Entrant(made)}


def from_torchzero() -> dict[str, Entrant]:
    import torchzero as tz

    def made(*modules: Any) -> Any:
        def make(params: list[Tensor]) -> Any:
            fresh = [module() for module in modules]
            return tz.Optimizer(params, *fresh, tz.m.NAG(0.9), tz.m.LR(1e-4))

        return make

    def sampled() -> Any:
        return tz.m.GradientSampling(sigma=0.01, n=2, include_x0=False, fixed=False)

    twice = {"closure": True, "gradients": 2}
    return {
        "torchzero NAG": Entrant(made()),
        "torchzero SAM": Entrant(made(tz.m.SAM), method="SAM", **twice),
        "torchzero ASAM": Entrant(made(tz.m.ASAM), method="ASAM", **twice),
        "torchzero GradientSampling": Entrant(made(sampled), method="heat", **twice),
        "torchzero LaplacianSmoothing": Entrant(
            made(tz.m.LaplacianSmoothing), method="Laplacian smoothing"
        ),
    }


def peers() -> tuple[dict[str, Entrant], dict[str, str]]:
    """All that are installed, and the versions of their libraries."""
    found, versions = torchs(), {}
    for name, load in {
        "pytorch_optimizer": from_pytorch_optimizer,
        "schedulefree": from_schedulefree,
        "torchzero": from_torchzero,
    }.items():
        try:
            found |= load()
            versions[name] = version(name)
        except ImportError:
            versions[name] = "not installed"
    return found, versions
