"""Replicas of a model that are drawn to their mean, in one process or in several."""

from itertools import chain
from math import inf
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.optim._buckets import ANCHOR, MEAN, State, is_low, local
from wellposed.optim._cycle import rho_of
from wellposed.optim._replicas import Replicas

Group = dict[str, Any]


class Coupling:
    r"""Draws the means $\mu_a$ of the replicas to $\bar\mu$, the mean over them, at a cycle's end.

    Replicas are the groups of an optimizer with the same key `replica`, times the processes of
    `Replicas`, if given. Memory: one copy of the weights, where the mean over replicas is formed.

    Args:
        processes: The processes that hold further replicas, or None.
    """

    def __init__(self, processes: Replicas | None) -> None:
        self.processes = processes
        self._views: dict[tuple[Any, ...], tuple[Tensor, list[Tensor]]] = {}
        self._places: list[tuple[int, int]] = []
        self._agreed = False

    def places(self, groups: list[Group]) -> list[tuple[int, int]]:
        """For each group, its place in its replica, and the number of that among all replicas."""
        if len(self._places) != len(groups):
            check_copies(groups)
            numbers = list(dict.fromkeys(group["replica"] for group in groups))
            first = self.processes.rank * len(numbers) if self.processes is not None else 0
            self._places = []
            for i, group in enumerate(groups):
                before = sum(g["replica"] == group["replica"] for g in groups[:i])
                self._places.append((before, first + numbers.index(group["replica"])))
        return self._places

    def couple(self, groups: list[Group], state: State) -> None:
        r"""Move each replica's $\mu_a$, which the parameters hold, towards their mean.

        Semi-implicit, $\mu_a \leftarrow (1 - c)\mu_a + c\bar\mu$ with $c = \rho / (1 + \rho)$;
        explicit, $\mu_a \leftarrow \mu_a - \rho (x_a - \bar x)$. Which groups take part follows
        from their values of `rho`, the same in all processes. A step with lr 0 couples nothing:
        distributed checkpoints take such a step in order to make the state.
        """
        replicas = [[g for g in replica if rho_of(g) > 0] for replica in by_replica(groups)]
        require(
            len(set(map(len, replicas))) == 1,
            f"rho > 0 in {[len(r) for r in replicas]} groups of the replicas; corresponding "
            "groups are coupled in all replicas or in none, try the same rho everywhere",
        )
        alone = len(replicas) == 1 and self.processes is None
        if alone or not replicas[0] or all(float(group["lr"]) == 0 for group in groups):
            return
        self.agree(groups)
        points = [[_points(group, state) for group in replica] for replica in replicas]
        mean = self.mean([[t for _, ends in replica for t in ends] for replica in points])
        for replica, found in zip(replicas, points, strict=True):
            start = 0
            for group, (landed, ends) in zip(replica, found, strict=True):
                _draw(landed, ends, mean[start : (start := start + len(ends))], group)
                _keep(landed, group, state)

    def mean(self, replicas: list[list[Tensor]]) -> list[Tensor]:
        """The mean of parallel lists of tensors, over them and over the processes.

        Args:
            replicas: One list for each replica in this process, of plain tensors of at least 32
                bits, which are left as they are.

        Returns:
            Parallel tensors, valid until the next call.
        """
        kinds: dict[tuple[torch.device, torch.dtype], list[int]] = {}
        for i, t in enumerate(replicas[0]):
            kinds.setdefault((t.device, t.dtype), []).append(i)
        found: dict[int, Tensor] = {}
        count = len(replicas) * (self.processes.size if self.processes is not None else 1)
        for kind, places in kinds.items():
            flat, views = self._room(kind, [replicas[0][i] for i in places])
            torch._foreach_copy_(views, [replicas[0][i] for i in places])
            for other in replicas[1:]:
                torch._foreach_add_(views, [other[i] for i in places])
            if self.processes is not None:
                self.processes.sum_(flat)
            flat.div_(count)
            found.update(zip(places, views, strict=True))
        return [found[i] for i in range(len(found))]

    def agree(self, groups: list[Group]) -> None:
        """Refuse, once, processes whose replicas differ in more than their weights.

        All processes find it at the same time: otherwise some would wait for ever for the others.
        """
        if self._agreed or self.processes is None:
            return
        params = list(chain.from_iterable(group["params"] for group in groups))
        self.processes.check_shards(params)
        layout = [(tuple(t.shape), str(t.dtype)) for t in local(params)]
        first = groups[0]
        facts = [crc32(repr(layout).encode()), first["inner_steps"], first["outer_index"]]
        least = self.processes.least([*facts, *(-n for n in facts)], params[0].device)
        require(
            least[:3] == [-n for n in least[3:]],
            f"replicas differ in layout, inner_steps or outer_index: {facts} here, from "
            f"{least[:3]} to {[-n for n in least[3:]]} among all; they are copies of one model at "
            "the same cycle, try the same arguments and the same checkpoint in every process",
        )
        self._agreed = True

    def _room(self, kind: tuple[Any, ...], like: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """One piece of memory, and views of it that have the shapes of these tensors."""
        key = (*kind, *(t.shape for t in like))
        if key not in self._views:
            sizes = [t.numel() for t in like]
            flat = torch.empty(sum(sizes), device=kind[0], dtype=kind[1])
            parts = zip(flat.split(sizes), like, strict=True)
            self._views = {key: (flat, [part.view(t.shape) for part, t in parts])}
        return self._views[key]


def by_replica(groups: list[Group]) -> list[list[Group]]:
    """The groups of each replica in this process, in their order."""
    replicas: dict[int, list[Group]] = {}
    for group in groups:
        replicas.setdefault(group["replica"], []).append(group)
    return list(replicas.values())


def check_copies(groups: list[Group]) -> None:
    """Refuse replicas in one process that are not copies of one model."""
    replicas = by_replica(groups)
    layouts = [
        [[(tuple(p.shape), p.dtype, p.device) for p in g["params"]] for g in r] for r in replicas
    ]
    for replica, layout in zip(replicas, layouts, strict=True):
        require(
            layout == layouts[0],
            f"replica {replica[0]['replica']} has {_said(layout)}, replica "
            f"{replicas[0][0]['replica']} has {_said(layouts[0])}; replicas are copies of one "
            "model with the same groups in the same order, try copy.deepcopy(model)",
        )


def _points(group: Group, state: State) -> tuple[list[Tensor], list[Tensor]]:
    r"""$\mu$ of each parameter at the end of a cycle, and that which is averaged: $\mu$ or x."""
    params: list[Tensor] = group["params"]
    moves = [p in state and ANCHOR in state[p] for p in params]  # it has had a gradient
    landed = [
        p if not is_low(p) else state[p][MEAN] if moved else p.float()
        for p, moved in zip(params, moves, strict=True)
    ]
    if group["integrator"] != "explicit":
        return local(landed), local(landed)
    anchors = [
        state[p][ANCHOR] if moved else point
        for p, moved, point in zip(params, moves, landed, strict=True)
    ]
    return local(landed), local(anchors)


def _draw(landed: list[Tensor], ends: list[Tensor], mean: list[Tensor], group: Group) -> None:
    """Move the points of one group, by their pull to the mean."""
    rho = rho_of(group)
    if group["integrator"] == "explicit":
        torch._foreach_add_(landed, torch._foreach_sub(mean, ends), alpha=rho)
    elif rho == inf:
        torch._foreach_copy_(landed, mean)
    else:
        torch._foreach_lerp_(landed, mean, rho / (1 + rho))


def _keep(landed: list[Tensor], group: Group, state: State) -> None:
    """Round the points into the parameters that have few bits and no slots yet."""
    for p, point in zip(group["params"], landed, strict=True):
        if is_low(p) and ANCHOR not in state.get(p, {}):
            local([p])[0].copy_(point)


def _said(layout: list[list[Any]]) -> str:
    shapes = [list(shape) for group in layout for shape, _, _ in group]
    return f"{len(layout)} groups with shapes {shapes[:4]}" + (" ..." if len(shapes) > 4 else "")
