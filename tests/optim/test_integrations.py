"""Every class unchanged in other loops: the weights are those of the plain loop, bitwise."""

import copy

import accelerate
import lightning
import pytest
import torch
import transformers
from tests.optim.members import ONE_EACH
from tests.optim.tiny import switch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.utils.data import DataLoader, TensorDataset

from wellposed.optim import Anchored, Cosine, GroupScheduler

STEPS, PER_EPOCH, BATCH = 14, 7, 4  # two epochs; cycles end within them, and between them none

pytestmark = [
    pytest.mark.slow,
    # Lightning asks for loader workers, or for the GPU, on machines that have many cores or one.
    pytest.mark.filterwarnings("ignore:The '.*' does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # Lightning 2.6 itself uses what torch 2.13 has deprecated.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),
]


class Network(nn.Module):
    """Small, with batch norm; returns what the Trainer of Hugging Face expects."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, inputs, labels):
        outputs = self.layers(inputs)
        return {"loss": nn.functional.cross_entropy(outputs, labels), "logits": outputs}


@pytest.fixture
def start():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network()


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    n = PER_EPOCH * BATCH
    inputs = torch.randn(n, 6, generator=generator)
    return TensorDataset(inputs, torch.randint(3, (n,), generator=generator))


@pytest.fixture(params=ONE_EACH.values(), ids=ONE_EACH)
def make(request):
    def made(model):
        optimizer = request.param(model.parameters())
        return optimizer, GroupScheduler(optimizer, Cosine(warmup=0.1), STEPS)

    return made


def loader(data):
    return DataLoader(data, batch_size=BATCH)


@pytest.fixture
def plain(start, data, make):
    """The weights after the plain loop, with an evaluation after each epoch."""
    model = copy.deepcopy(start)
    optimizer, scheduler = make(model)
    for _ in range(STEPS // PER_EPOCH):
        for inputs, labels in loader(data):
            optimizer.zero_grad()
            model(inputs, labels)["loss"].backward()
            optimizer.step()
            scheduler.step()
        switch(optimizer, to_anchor=True)
        with torch.no_grad():
            model.eval()
            model(*data[:])
            model.train()
        switch(optimizer, to_anchor=False)
    return model.state_dict()


def assert_same(model, expected):
    found = model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_evaluation_changes_nothing(make, start, data, plain):
    model = copy.deepcopy(start)
    optimizer, scheduler = make(model)
    for _ in range(STEPS // PER_EPOCH):
        for inputs, labels in loader(data):
            optimizer.zero_grad()
            model(inputs, labels)["loss"].backward()
            optimizer.step()
            scheduler.step()
    assert_same(model, plain)


def test_closures_change_nothing(make, start, data, plain):
    model = copy.deepcopy(start)
    optimizer, scheduler = make(model)
    for _ in range(STEPS // PER_EPOCH):
        for inputs, labels in loader(data):

            def closure(inputs=inputs, labels=labels):
                optimizer.zero_grad()
                loss = model(inputs, labels)["loss"]
                loss.backward()
                return loss

            optimizer.step(closure)
            scheduler.step()
    assert_same(model, plain)


class Module(lightning.LightningModule):
    """Automatic optimization, nothing overridden."""

    def __init__(self, network, data, make):
        super().__init__()
        self.network, self.data, self.make = network, data, make
        self.anchored = []

    def training_step(self, batch, _index):
        return self.network(*batch)["loss"]

    def validation_step(self, batch, _index):
        optimizer = self.optimizers(use_pl_optimizer=False)
        switch(optimizer, to_anchor=True)
        self.anchored.append(self.network(*batch)["loss"].item())
        switch(optimizer, to_anchor=False)

    def configure_optimizers(self):
        optimizer, scheduler = self.make(self.network)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]

    def train_dataloader(self):
        return loader(self.data)

    def val_dataloader(self):
        return loader(self.data)


def lightning_trainer(folder, steps, **arguments):
    return lightning.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, default_root_dir=folder,
        **arguments,
    )  # fmt: skip


def test_lightning(make, start, data, plain, tmp_path):
    module = Module(copy.deepcopy(start), data, make)
    lightning_trainer(tmp_path, STEPS).fit(module)
    assert_same(module.network, plain)
    assert len(set(module.anchored)) > PER_EPOCH


def test_lightning_resumed_within_a_cycle(make, start, data, plain, tmp_path):
    first = Module(copy.deepcopy(start), data, make)
    trainer = lightning_trainer(tmp_path, PER_EPOCH)
    trainer.fit(first)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    second = Module(copy.deepcopy(start), data, make)
    lightning_trainer(tmp_path, STEPS).fit(
        second, ckpt_path=tmp_path / "last.ckpt", weights_only=False
    )
    assert_same(second.network, plain)


def test_lightning_in_half_precision_with_clipped_gradients(make, start, data, tmp_path):
    module = Module(copy.deepcopy(start), data, make)
    lightning_trainer(tmp_path, STEPS, precision="bf16-mixed", gradient_clip_val=0.3).fit(module)
    model = copy.deepcopy(start)
    optimizer, scheduler = make(model)
    for _ in range(STEPS // PER_EPOCH):
        for inputs, labels in loader(data):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(inputs, labels)["loss"]
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.3)
            optimizer.step()
            scheduler.step()
    assert_same(module.network, model.state_dict())


class Examples(torch.utils.data.Dataset):
    """The same data as dictionaries."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        inputs, labels = self.data[index]
        return {"inputs": inputs, "labels": labels}


class InOrder(transformers.Trainer):
    """The Trainer, going through the data in order as the other loops here do."""

    def _get_train_sampler(self, *_args):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def hugging_face(make, model, data, folder, **arguments):
    optimizer, scheduler = make(model)
    settings = transformers.TrainingArguments(
        output_dir=str(folder), num_train_epochs=STEPS / PER_EPOCH, use_cpu=True,
        per_device_train_batch_size=BATCH, per_device_eval_batch_size=BATCH, max_grad_norm=0.0,
        eval_strategy="epoch", save_strategy="epoch", report_to=[], disable_tqdm=True,
        logging_strategy="no", seed=0, dataloader_pin_memory=False,
    )  # fmt: skip
    return InOrder(
        model=model, args=settings, train_dataset=Examples(data), eval_dataset=Examples(data),
        optimizers=(optimizer, scheduler), **arguments,
    )  # fmt: skip


def test_hugging_face_trainer(make, start, data, plain, tmp_path):
    model = copy.deepcopy(start)
    trainer = hugging_face(make, model, data, tmp_path)
    trainer.train()
    # It saves and ends after an evaluation, with the anchor in the model.
    trainer.optimizer.train()
    assert_same(model, plain)


def test_hugging_face_trainer_resumed_within_a_cycle(make, start, data, plain, tmp_path):
    hugging_face(make, copy.deepcopy(start), data, tmp_path).train()
    model = copy.deepcopy(start)
    trainer = hugging_face(make, model, data, tmp_path)
    trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{PER_EPOCH}"))
    trainer.optimizer.train()
    assert_same(model, plain)


def test_distributed_checkpoints_within_a_cycle(make, start, data, plain):
    def one_epoch(model, optimizer, scheduler):
        for inputs, labels in loader(data):
            optimizer.zero_grad()
            model(inputs, labels)["loss"].backward()
            optimizer.step()
            scheduler.step()

    first = copy.deepcopy(start)
    optimizer, scheduler = make(first)
    one_epoch(first, optimizer, scheduler)
    saved = copy.deepcopy(get_optimizer_state_dict(first, optimizer))  # by names of parameters
    second = copy.deepcopy(first)
    again, again_scheduler = make(second)
    again_scheduler.load_state_dict(scheduler.state_dict())
    set_optimizer_state_dict(second, again, saved)  # takes a step on the empty optimizer first
    assert_same(second, first.state_dict())
    one_epoch(second, again, again_scheduler)
    assert_same(second, plain)


def accelerated(make, start):
    accelerator = accelerate.Accelerator(cpu=True)
    model = copy.deepcopy(start)
    model, optimizer, scheduler = accelerator.prepare(model, *make(model))
    return accelerator, model, optimizer, scheduler


def accelerated_epochs(parts, data, epochs):
    accelerator, model, optimizer, scheduler = parts
    for _ in range(epochs):
        for inputs, labels in loader(data):
            optimizer.zero_grad()
            accelerator.backward(model(inputs, labels)["loss"])
            optimizer.step()
            scheduler.step()
        optimizer.eval()
        with torch.no_grad():
            model.eval()
            model(*data[:])
            model.train()
        optimizer.train()


def test_accelerate(make, start, data, plain):
    parts = accelerated(make, start)
    accelerated_epochs(parts, data, 2)
    assert_same(parts[1], plain)


def test_accelerate_resumed_within_a_cycle(make, start, data, plain, tmp_path):
    parts = accelerated(make, start)
    accelerated_epochs(parts, data, 1)
    parts[2].eval()
    parts[0].save_state(str(tmp_path))
    again = accelerated(make, start)
    again[0].load_state(str(tmp_path))
    again[2].train()
    accelerated_epochs(again, data, 1)
    assert_same(again[1], plain)


def test_accumulated_gradients_are_one_step(make, start, data):
    # Two half batches through Accelerate are one whole batch of the plain loop, to rounding.
    def network():
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()

    torch.manual_seed(0)
    ours, theirs = network(), network()
    theirs.load_state_dict(ours.state_dict())
    inputs, labels = data[:]
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    ours, optimizer, scheduler = accelerator.prepare(ours, *make(ours))
    plain, plain_scheduler = make(theirs)
    for k in range(6):
        whole = slice(4 * k, 4 * k + 4)
        for part in (slice(4 * k, 4 * k + 2), slice(4 * k + 2, 4 * k + 4)):
            with accelerator.accumulate(ours):
                loss = nn.functional.cross_entropy(ours(inputs[part].double()), labels[part])
                accelerator.backward(loss)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
        plain.zero_grad()
        nn.functional.cross_entropy(theirs(inputs[whole].double()), labels[whole]).backward()
        plain.step()
        plain_scheduler.step()
    if isinstance(plain, Anchored):
        assert optimizer.optimizer.phase == plain.phase
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-9)
