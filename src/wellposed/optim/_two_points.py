"""Optimizers that keep a second point for each parameter, beside the one that the model holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import is_
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT, StateDict

from wellposed.optim._anchored import Anchored
from wellposed.optim._buckets import ANCHOR, POINT, State, by_kind, is_low, laid_out_as, whole

_COUNTERS = {"inner_index": 0, "outer_index": 0, "at_anchor": False}


@dataclass(slots=True)
class Pair:
    """Parameters of one kind and their second points, as parallel lists.

    Args:
        params: What the model holds.
        anchors: The other points, in float32 where the parameters have fewer bits.
        points: In that case, what the parameters are roundings of, in float32; else empty.
    """

    params: list[Tensor]
    anchors: list[Tensor]
    points: list[Tensor]

    def working(self) -> list[Tensor]:
        """The points y in the anchors' precision, to be read or changed while the model holds y.

        Where they are not the parameters themselves, `write` has to follow a change.
        """
        if not self.points:
            return self.params
        for p, point in zip(self.params, self.points, strict=True):
            point.copy_(torch.where(point.to(p.dtype) == p, point, p.float()))  # others move p too
        return self.points

    def write(self) -> None:
        """Round the points into the parameters, unless they are them."""
        if self.points:
            for p, point in zip(self.params, self.points, strict=True):
                p.copy_(point)

    def exchange(self, *, to_anchor: bool) -> None:
        """Swap y and x between the model and the state; the largest tensor is copied in passing."""
        if not self.points:
            for p, x in zip(self.params, self.anchors, strict=True):
                kept = p.clone()
                p.copy_(x)
                x.copy_(kept)
        elif to_anchor:
            self.working()
            for p, x in zip(self.params, self.anchors, strict=True):
                p.copy_(x)
        else:
            self.write()


class TwoPoints(Anchored):
    """An anchored optimizer whose anchors are in the state from when a parameter first moves.

    Args:
        params: Parameters or parameter groups.
        defaults: Keys of the groups.
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self._pairs: dict[int, tuple[list[Tensor], list[Pair]]] = {}
        super().__init__(params, {**defaults, **_COUNTERS})

    def pairs(self, index: int, params: list[Tensor]) -> list[Pair]:
        """These parameters of a group with their anchors; a new one is anchored where it is."""
        known, pairs = self._pairs.get(index, ([], []))
        if (
            len(known) == len(params)
            and all(map(is_, known, params))
            and all(
                self.state[p].get(ANCHOR) is x
                for pair in pairs
                for p, x in zip(pair.params, pair.anchors, strict=True)
            )
        ):
            return pairs
        for p in params:
            slots = self.state[p]
            if ANCHOR not in slots:
                slots[ANCHOR] = p.detach().float() if is_low(p) else p.detach().clone()
                if is_low(p):
                    slots[POINT] = slots[ANCHOR].clone()
        pairs = []
        for same in by_kind(params):
            listed = [params[i] for i in same]
            slots_of = [self.state[p] for p in listed]
            points = [s[POINT] for s in slots_of if POINT in s]
            pairs.append(Pair(listed, [s[ANCHOR] for s in slots_of], points))
        self._pairs[index] = params, pairs
        return pairs

    def anchored(self) -> Iterator[tuple[dict[str, Any], Pair]]:
        """All parameters that have an anchor, with their groups."""
        for index, group in enumerate(self.param_groups):
            params = [p for p in group["params"] if has_anchor(self.state, p)]
            for pair in self.pairs(index, params):
                yield group, pair

    @torch.no_grad()
    def finish_cycle(self) -> None:
        """Leave the anchor in the model, for good, and begin anew from there."""
        if self.param_groups[0]["inner_index"] == 0:
            return
        with_anchor = self.param_groups[0]["at_anchor"]
        self.train()
        for _, pair in self.anchored():
            torch._foreach_lerp_(pair.working(), pair.anchors, 1.0)  # an exact copy
            pair.write()
        for group in self.param_groups:
            group["inner_index"] = 0
            group["outer_index"] += 1
        if with_anchor:
            self.eval()

    def diagnostics(self) -> dict[str, float]:
        r"""The counters, and the `anchor_distance` $\|x - y\|$; a pass over the weights."""
        squares = [
            whole((p.detach() - x).square().sum()).item()
            for _, pair in self.anchored()
            for p, x in zip(pair.points or pair.params, pair.anchors, strict=True)
        ]
        inner, outer = self.phase
        return {"inner_index": inner, "outer_index": outer, "anchor_distance": sum(squares) ** 0.5}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; it takes part from where the others are."""
        super().add_param_group(param_group)
        first = self.param_groups[0]
        self.param_groups[-1] |= {name: first[name] for name in _COUNTERS}

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load a state; unlike torch, it keeps float32 points of bfloat16 weights, and copies."""
        super().load_state_dict(state_dict)
        keys = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        params = chain.from_iterable(group["params"] for group in self.param_groups)
        for key, p in zip(keys, params, strict=True):
            saved = state_dict["state"].get(key, {})
            for name in (ANCHOR, POINT):
                if name in saved:
                    self.state[p][name] = laid_out_as(
                        saved[name].to(p.device), p, saved[name].dtype
                    )
        self._pairs = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._pairs = {}

    def _exchange(self, *, to_anchor: bool) -> None:
        """Swap x and y between the model and the state."""
        for _, pair in self.anchored():
            pair.exchange(to_anchor=to_anchor)


def has_anchor(state: State, p: Tensor) -> bool:
    """Whether this parameter has moved already."""
    return p in state and ANCHOR in state[p]
