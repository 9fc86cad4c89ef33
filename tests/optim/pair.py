"""What two processes check together; `test_replicas.py` and `test_sharded.py` start them.

    python tests/optim/pair.py RANK STORE RESULTS replicas|sharded

Each function below runs in both processes at the same time, and fails by an exception. Both write
what they found, one line per function, into RESULTS-RANK.json. After the first failure the rest is
not run: the other process may be waiting for something that never comes.
"""

import inspect
import json
import sys
import tempfile
import traceback
import warnings
from datetime import timedelta
from functools import partial
from math import inf
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard

from wellposed import optim
from wellposed.errors import ArgumentError

COUPLED = {
    "Parle": partial(optim.Parle, inner_steps=4),
    "Parle, noise": partial(optim.Parle, inner_steps=4, temperature=1e-4),
    "Parle, paper": partial(optim.Parle, preset="paper-cifar", inner_steps=4),
    "ElasticSGD": partial(optim.ElasticSGD, inner_steps=1),
    "ElasticSGD, explicit": partial(optim.ElasticSGD, inner_steps=2, integrator="explicit"),
    "DiLoCo": partial(optim.DiLoCo, inner_steps=4),
    "SlowMo": partial(optim.SlowMo, inner_steps=4),
}
SINGLE = {
    name: cls
    for name, cls in vars(optim).items()
    if isinstance(cls, type) and issubclass(cls, optim.Anchored) and not inspect.isabstract(cls)
}
VARIANTS = {
    "EntropySGD, AdamW": partial(optim.EntropySGD, inner_steps=4, base=torch.optim.AdamW),
    "EntropySGD, explicit": partial(optim.EntropySGD, gamma=0.5, integrator="explicit"),
    "EntropySGD, paper": partial(optim.EntropySGD, preset="paper-mnist", temperature=0.0),
    "EntropySGD, outer momentum": partial(
        optim.EntropySGD, inner_steps=3, outer_momentum=0.5, outer_lr=0.5
    ),
}
EVERY = {**{name: partial(cls, lr=0.05) for name, cls in SINGLE.items()}, **VARIANTS}
EQUAL = {name: make for name, make in EVERY.items() if name != "Heat"}  # noise is per shard


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def batch(step, replica=0, size=8):
    generator = torch.Generator().manual_seed(1000 * replica + step)
    x = torch.randn(size, 6, generator=generator)
    return x, x[:, :3].argmax(1)


def descend(model, optimizer, steps, replica=0, part=slice(None)):
    """Plain steps, on a replica's batches or a part of each."""
    for step in steps:
        optimizer.zero_grad()
        x, y = batch(step, replica)
        nn.functional.cross_entropy(model(x[part]), y[part]).backward()
        optimizer.step()


def weights(model):
    """All weights in one vector; shards are put together."""
    full = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in model.parameters()]
    return torch.cat([p.detach().flatten() for p in full])


def in_one_process(make, steps, streams=(0, 1)):
    """The same replicas as groups of one optimizer."""
    models = [network() for _ in streams]
    optimizer = make([{"params": m.parameters(), "replica": a} for a, m in enumerate(models)])
    for step in steps:
        optimizer.zero_grad()
        for model, stream in zip(models, streams, strict=True):
            x, y = batch(step, stream)
            nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return models, optimizer


def replicas_are_what_groups_of_one_process_are():
    rank = dist.get_rank()
    for name, make in COUPLED.items():
        models, together = in_one_process(make, range(10))
        model = network()
        optimizer = make(model.parameters(), coupling=optim.Replicas())
        descend(model, optimizer, range(10), replica=rank)
        assert torch.equal(weights(model), weights(models[rank])), name
        assert not torch.equal(weights(models[0]), weights(models[1])), name
        apart = optimizer.disagreement()
        assert abs(apart - together.disagreement()) <= 1e-6 * apart, name
        with optimizer.at_consensus(), together.at_consensus():
            assert torch.equal(weights(model), weights(models[0])), name
        assert torch.equal(weights(model), weights(models[rank])), name


def the_same_data_keeps_replicas_the_same():
    for name, make in COUPLED.items():
        if "noise" in name:
            continue
        model, alone = network(), network()
        descend(model, make(model.parameters(), coupling=optim.Replicas()), range(9))
        descend(alone, make(alone.parameters()), range(9))
        assert torch.equal(weights(model), weights(alone)), name


def groups_in_each_process_are_replicas_too():
    rank = dist.get_rank()
    make = partial(optim.Parle, inner_steps=2, temperature=1e-4)
    four = in_one_process(make, range(6), streams=(0, 1, 2, 3))[0]
    streams = (2 * rank, 2 * rank + 1)
    two = in_one_process(partial(make, coupling=optim.Replicas()), range(6), streams)[0]
    for model, stream in zip(two, streams, strict=True):
        torch.testing.assert_close(weights(model), weights(four[stream]), atol=1e-7, rtol=1e-6)


def one_collective_per_cycle():
    model = network()
    optimizer = optim.Parle(model.parameters(), inner_steps=4, coupling=optim.Replicas())
    descend(model, optimizer, range(4))
    sums, usual = [], optim.Replicas.sum_
    optim.Replicas.sum_ = lambda self, flat: (sums.append(flat.numel()), usual(self, flat))[1]
    try:
        descend(model, optimizer, range(4, 16))
    finally:
        optim.Replicas.sum_ = usual
    assert sums == [weights(model).numel()] * 3


def buffers_are_averaged():
    rank = dist.get_rank()
    layer = nn.BatchNorm1d(2)
    layer.running_mean.fill_(float(rank))
    optim.average_buffers(layer, coupling=optim.Replicas())
    assert layer.running_mean.tolist() == [0.5, 0.5]


def a_common_start():
    model = nn.Sequential(network(seed=dist.get_rank()), nn.BatchNorm1d(3))
    optim.Replicas().start_together(model)
    assert torch.equal(weights(model[0]), weights(network(seed=0)))


def skipped_steps_do_not_deadlock():
    rank = dist.get_rank()
    for make in (partial(optim.Parle, inner_steps=3), partial(optim.ElasticSGD, inner_steps=1)):
        model = network()
        optimizer = make(model.parameters(), coupling=optim.Replicas())
        scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
        for step in range(9):
            optimizer.zero_grad()
            x, y = batch(step, rank)
            scaler.scale(nn.functional.cross_entropy(model(x), y)).backward()
            if (step, rank) in {(0, 1), (1, 1), (2, 1), (5, 0)}:  # one misses a whole cycle
                model[0].weight.grad[0, 0] = inf
            scaler.step(optimizer)
            scaler.update()
        cycles = 9 // optimizer.param_groups[0]["inner_steps"]
        assert optimizer.phase == (0, cycles)
        assert scaler.get_scale() == 16.0 * 0.5 ** (3 if rank == 1 else 1)
        assert torch.isfinite(weights(model)).all()


def replicas_that_differ_are_refused_by_all():
    rank = dist.get_rank()
    for kind in ("layout", "inner_steps"):
        model = nn.Linear(3, 2 + (rank if kind == "layout" else 0))
        steps = 2 if kind == "layout" or rank == 0 else 1
        optimizer = optim.Parle(model.parameters(), inner_steps=steps, coupling=optim.Replicas())
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        if steps == 2:
            optimizer.step()
        with pytest.raises(ArgumentError, match="replicas differ in layout, inner_steps or outer"):
            optimizer.step()


def a_process_outside_the_group_is_refused():
    group = dist.new_group([0])
    if dist.get_rank() == 1:
        with pytest.raises(ArgumentError, match="process 1, which is not in the group"):
            optim.Replicas(group)
    else:
        assert optim.Replicas(group).size == 1


def shards_of_one_model_are_no_replicas():
    model = network()
    fully_shard(model)
    optimizer = optim.ElasticSGD(model.parameters(), inner_steps=1, coupling=optim.Replicas())
    with pytest.raises(ArgumentError, match=r"sharded over processes \[0, 1\]"):
        descend(model, optimizer, range(1))


def a_step_with_lr_0_waits_for_nobody():
    model = network()
    optimizer = optim.ElasticSGD(
        model.parameters(), lr=0.0, inner_steps=1, coupling=optim.Replicas()
    )
    before = weights(model)
    if dist.get_rank() == 0:  # as a checkpoint of one process might
        descend(model, optimizer, range(1))
    assert torch.equal(weights(model), before)


def data_parallel_training_is_that_of_one_process():
    rank = dist.get_rank()
    for name, make in EVERY.items():
        model, alone = network(), network()
        parallel = nn.parallel.DistributedDataParallel(model)
        half = slice(4 * rank, 4 * rank + 4)
        descend(parallel, make(model.parameters()), range(11), part=half)
        descend(alone, make(alone.parameters()), range(11))
        torch.testing.assert_close(weights(model), weights(alone), atol=1e-5, rtol=1e-4, msg=name)
        assert torch.equal(*both(weights(model))), name


def data_parallel_noise_is_the_same_on_all():
    model = network()
    parallel = nn.parallel.DistributedDataParallel(model)
    optimizer = optim.EntropySGD(model.parameters(), inner_steps=4, temperature=1e-2)
    before = weights(model)
    descend(parallel, optimizer, range(3))
    assert not torch.equal(weights(model), before)
    assert torch.equal(*both(weights(model)))


def sharded_training_is_that_of_one_process():
    for name, make in EQUAL.items():
        model, alone = sharded(), network()
        descend(model, make(model.parameters()), range(11))
        descend(alone, make(alone.parameters()), range(11))
        torch.testing.assert_close(weights(model), weights(alone), atol=1e-6, rtol=1e-5, msg=name)


def the_anchor_and_the_regime_of_shards_are_those_of_one_process():
    for name, make in EQUAL.items():
        model, alone = sharded(), network()
        ours, theirs = make(model.parameters()), make(alone.parameters())
        descend(model, ours, range(7))
        descend(alone, theirs, range(7))
        expected = theirs.diagnostics()
        for key, value in ours.diagnostics().items():
            assert value == pytest.approx(expected[key], rel=1e-3, nan_ok=True), (
                name,
                key,
                value,
                expected[key],
            )
        within = weights(model)
        with ours.at_anchor(), theirs.at_anchor():
            torch.testing.assert_close(
                weights(model), weights(alone), atol=1e-6, rtol=1e-5, msg=name
            )
        assert torch.equal(weights(model), within), name


def a_checkpoint_within_a_cycle_resumes_exactly():
    noisy = {"EntropySGD, noise": partial(optim.EntropySGD, inner_steps=4, temperature=1e-4)}
    for name, make in {**EVERY, **noisy}.items():
        straight = sharded()
        descend(straight, make(straight.parameters()), range(13))
        first = sharded()
        optimizer = make(first.parameters())
        descend(first, optimizer, range(7))
        saved = stored(
            {"model": first.state_dict(), "optim": get_optimizer_state_dict(first, optimizer)}
        )
        second = sharded(seed=5)
        again = make(second.parameters())
        fresh = {"model": second.state_dict(), "optim": get_optimizer_state_dict(second, again)}
        torch.distributed.checkpoint.load(fresh, checkpoint_id=saved)
        second.load_state_dict(fresh["model"])
        set_optimizer_state_dict(second, again, fresh["optim"])
        assert again.phase == optimizer.phase, name
        descend(second, again, range(7, 13))
        assert torch.equal(weights(second), weights(straight)), name


def the_dry_run_of_a_checkpoint_moves_nothing():
    for name, make in {**EVERY, **COUPLED}.items():
        for model in (sharded(), network()):
            before = weights(model)
            get_optimizer_state_dict(model, make(model.parameters()))
            assert torch.equal(weights(model), before), name


def noise_differs_between_shards_and_has_its_standard_deviation():
    model = nn.Linear(300, 64, bias=False)
    fully_shard(model)
    optimizer = optim.EntropySGD(
        model.parameters(), lr=0.1, momentum=0.0, gamma=0.0, temperature=0.5, mean=None
    )
    before = weights(model)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    moved = weights(model) - before
    assert abs(moved.std() / (2 * 0.1 * 0.5) ** 0.5 - 1) < 0.02
    assert torch.equal(*both(moved))
    upper, lower = moved.chunk(2)
    assert abs(torch.corrcoef(torch.stack([upper, lower]))[0, 1]) < 0.04


def sharded(seed=0):
    model = network(seed)
    for layer in model:
        fully_shard(layer)
    fully_shard(model)
    return model


def both(vector):
    """The vector, as each of the two processes has it."""
    found = [torch.empty_like(vector) for _ in range(2)]
    dist.all_gather(found, vector)
    return found


def stored(state):
    """Where both processes have put their shards of a state."""
    path = [tempfile.mkdtemp(dir=Path(sys.argv[3]).parent) if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(path)
    torch.distributed.checkpoint.save(state, checkpoint_id=path[0])
    return path[0]


CHECKS = {
    "replicas": [
        replicas_are_what_groups_of_one_process_are,
        the_same_data_keeps_replicas_the_same,
        groups_in_each_process_are_replicas_too,
        one_collective_per_cycle,
        buffers_are_averaged,
        a_common_start,
        skipped_steps_do_not_deadlock,
        replicas_that_differ_are_refused_by_all,
        a_process_outside_the_group_is_refused,
        shards_of_one_model_are_no_replicas,
        a_step_with_lr_0_waits_for_nobody,
    ],
    "sharded": [
        data_parallel_training_is_that_of_one_process,
        data_parallel_noise_is_the_same_on_all,
        sharded_training_is_that_of_one_process,
        the_anchor_and_the_regime_of_shards_are_those_of_one_process,
        a_checkpoint_within_a_cycle_resumes_exactly,
        the_dry_run_of_a_checkpoint_moves_nothing,
        noise_differs_between_shards_and_has_its_standard_deviation,
    ],
}


def main(rank, store, results, which):
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=int(rank),
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    found = {}
    for check in CHECKS[which]:
        try:
            check()
            found[check.__name__] = None
        except BaseException:  # noqa: BLE001 - whatever it is, the test shows it
            found[check.__name__] = traceback.format_exc()
            break
    Path(f"{results}-{rank}.json").write_text(json.dumps(found))
    if any(found.values()):
        sys.exit(1)  # without a farewell to the other, who may be waiting
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
