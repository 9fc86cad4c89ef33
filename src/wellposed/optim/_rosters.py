"""Which parameters take part in a step, sorted once and for as long as they stay the same."""

from dataclasses import dataclass
from operator import is_
from typing import Any

from torch import Tensor

from wellposed.optim._buckets import ANCHOR, Bucket, State, by_kind, complete, make_bucket
from wellposed.optim._inner import check_gradients


@dataclass(slots=True)
class Roster:
    """Some parameters of a group, sorted into buckets.

    Args:
        params: The parameters, in the group's order.
        signature: Whether the group asks for a mean and for outer momentum.
        buckets: The same parameters, sorted.
    """

    params: list[Tensor]
    signature: tuple[bool, bool]
    buckets: list[Bucket]

    def fits(self, params: list[Tensor], signature: tuple[bool, bool], state: State) -> bool:
        """Whether this is still the roster of these parameters, with the tensors of this state.

        A model that was brought into another memory layout has the same parameters, but kernels
        that walk through memory would no longer meet the right anchors.
        """
        return (
            len(params) == len(self.params)
            and signature == self.signature
            and all(map(is_, params, self.params))
            and all(
                state[bucket.params[0]].get(ANCHOR) is bucket.anchors[0]
                and list(map(Tensor.stride, bucket.params)) == bucket.strides
                for bucket in self.buckets
            )
        )


class Rosters:
    """The rosters of an optimizer: kept from step to step, made anew when something has changed."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], Roster] = {}
        self._fresh: list[tuple[Tensor, dict[str, Any]]] = []

    def stepped(self, index: int, group: dict[str, Any], state: State) -> list[Bucket]:
        """The parameters of a group that have a gradient."""
        params = [p for p in group["params"] if p.grad is not None]
        buckets = self._roster("stepped", index, group, params, state)
        if self._fresh:
            check_gradients([p.grad for p in params])
        return buckets

    def whole(self, index: int, group: dict[str, Any], state: State) -> list[Bucket]:
        """The parameters of a group that have an anchor."""
        if (kept := self._fitting("whole", index, group, group["params"], state)) is not None:
            return kept.buckets  # mostly all have one
        params = [p for p in group["params"] if p in state and ANCHOR in state[p]]
        return self._roster("whole", index, group, params, state)

    def trained(self, index: int, group: dict[str, Any], state: State) -> list[Bucket]:
        """The parameters of a group that have an anchor and are not frozen."""
        params = [
            p for p in group["params"] if p.requires_grad and p in state and ANCHOR in state[p]
        ]
        return self._roster("trained", index, group, params, state)

    def settle(self, state: State) -> None:
        """Put new slots into the state, now that the base optimizer has made its own entries.

        Torch's optimizers make theirs when they find a parameter's state empty.
        """
        for p, slots in self._fresh:
            state[p].update(slots)
        self._fresh.clear()

    def _roster(
        self, kind: str, index: int, group: dict[str, Any], params: list[Tensor], state: State
    ) -> list[Bucket]:
        """The buckets of these parameters, kept ones if they fit: mostly all have gradients."""
        if (kept := self._fitting(kind, index, group, params, state)) is not None:
            return kept.buckets
        signature = _signature(group)
        slots = [self._slots(p, signature, state) for p in params]
        buckets = [
            make_bucket([params[i] for i in same], [slots[i] for i in same], state)
            for same in by_kind(params)
        ]
        self._kept[kind, index] = Roster(params, signature, buckets)
        return buckets

    def _fitting(
        self, kind: str, index: int, group: dict[str, Any], params: list[Tensor], state: State
    ) -> Roster | None:
        """A kept roster of these parameters, or None."""
        signature = _signature(group)
        for key in dict.fromkeys((kind, "stepped")):
            roster = self._kept.get((key, index))
            if roster is not None and roster.fits(params, signature, state):
                return roster
        return None

    def _slots(self, p: Tensor, signature: tuple[bool, bool], state: State) -> dict[str, Any]:
        """A parameter's slots, completed; all of them new if it is seen for the first time."""
        known = p in state and ANCHOR in state[p]
        slots = state[p] if known else {}
        complete(slots, p, mean=signature[0], outer_momentum=signature[1])
        if not known:
            self._fresh.append((p, slots))
        return slots


def _signature(group: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the group asks for a mean and for outer momentum."""
    return group["mean"] is not None, group["outer_momentum"] != 0
