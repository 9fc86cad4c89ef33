"""Replicas of one model in several processes: who they are, and the sum over them."""

from collections.abc import Iterable
from typing import Any, final

import torch
import torch.distributed as dist
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.optim._buckets import local


@final
class Replicas:
    """The processes of a group, each of which trains its own replica of a model.

    Given to a relaxation as `coupling`, it lets `step()` average over the replicas once per cycle,
    by one all-reduce of all weights in one piece (one per device and dtype, where they differ).
    Every process calls `step()` equally often; each draws its own data. Do not wrap the model in
    `DistributedDataParallel` over the same group: it would make all replicas the same, at one
    all-reduce per gradient. Over another group it is welcome, and so is `fully_shard`: the group
    given here then joins ranks that hold the same shard.

    Args:
        group: A process group, or None for all processes.

    Raises:
        ArgumentError: If no process group is initialised, or this process is not in `group`.
    """

    def __init__(self, group: "dist.ProcessGroup | None" = None) -> None:
        require(
            dist.is_available() and dist.is_initialized(),
            "Replicas was made without a process group; try "
            'torch.distributed.init_process_group("gloo") before, under torchrun, or give the '
            "groups of one optimizer a key replica=0, 1, ... for replicas in one process",
        )
        self.group = group
        require(
            dist.get_rank(group) >= 0,
            f"Replicas was made by process {dist.get_rank()}, which is not in the group given; "
            "try the group that this process belongs to",
        )

    @property
    def size(self) -> int:
        """How many processes there are."""
        return dist.get_world_size(self.group)

    @property
    def rank(self) -> int:
        """The number of this one among them."""
        return dist.get_rank(self.group)

    def sum_(self, flat: Tensor) -> None:
        """Replace a tensor by its sum over the processes; all of them call this, in step."""
        dist.all_reduce(flat, group=self.group)

    def least(self, numbers: list[int], device: torch.device | None = None) -> list[int]:
        """The least of each number over the processes; all of them call this, in step."""
        where = device or ("cuda" if dist.get_backend(self.group) == "nccl" else "cpu")
        found = torch.tensor(numbers, dtype=torch.int64, device=where)
        dist.all_reduce(found, op=dist.ReduceOp.MIN, group=self.group)
        return [int(n) for n in found.tolist()]

    def newest_common(self, held: Iterable[int]) -> int | None:
        """The largest number that all processes hold, or None; all call this, in step.

        After a crash the newest checkpoints of the replicas may be of different cycles: go on from
        the newest that all of them have.

        Args:
            held: Numbers at least 0, such as the steps of this process's checkpoints.
        """
        mine, bound = set(held), 2**62
        while True:
            (found,) = self.least([max((n for n in mine if n <= bound), default=-1)])
            if found < 0:
                return None
            if self.least([int(found in mine)]) == [1]:
                return found
            bound = found - 1

    @torch.no_grad()
    def start_together(self, model: nn.Module) -> None:
        """Give every replica the parameters and buffers of the first; all processes call this.

        Averages of weights mean something only for replicas that have a beginning in common.
        """
        source = dist.get_global_rank(self.group, 0) if self.group is not None else 0
        for tensor in local([*model.parameters(), *model.buffers()]):
            dist.broadcast(tensor, source, group=self.group)

    def check_shards(self, params: Iterable[Tensor]) -> None:
        """Refuse shards that are spread over the very processes that would be averaged."""
        mine = set(dist.get_process_group_ranks(self.group or dist.group.WORLD))
        for p in params:
            mesh: Any = getattr(p, "device_mesh", None)
            for dim in range(mesh.ndim if mesh is not None else 0):
                others = mine & set(dist.get_process_group_ranks(mesh.get_group(dim)))
                require(
                    others == {dist.get_rank()} or not p.placements[dim].is_shard(),  # type: ignore[attr-defined]
                    f"parameters are sharded over processes {sorted(others)}, which Replicas "
                    "averages; their shards are different weights, so give Replicas a group of "
                    "processes that hold the same shard",
                )

    def __deepcopy__(self, memo: dict[int, Any]) -> "Replicas":
        return self
