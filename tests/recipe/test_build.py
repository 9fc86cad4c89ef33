import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from wellposed import data, losses, models, optim, regularizers
from wellposed.errors import DataError, RecipeError
from wellposed.recipe import Recipe, build, dataset
from wellposed.train import steps

TABLES = {
    "seed": 3,
    "data": {"name": "digits", "validation": 0.1, "test": 0.3},
    "model": "lenet",
    "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
    "train": {"epochs": 2, "batch_size": 100},
}


def built(*settings, **more):
    return build(Recipe.from_tables(TABLES).override(settings), **more)


def flat(model):
    return nn.utils.parameters_to_vector(model.parameters())


@pytest.fixture(scope="module")
def digits():
    return dataset(Recipe.from_tables(TABLES))


def test_everything_is_what_the_recipe_names(digits):
    made = built("loss={name='crossentropy', label_smoothing=0.1}", "augment.0.name=flip")
    assert isinstance(made.problem.model, models.LeNet)
    assert made.problem.loss == losses.CrossEntropy(label_smoothing=0.1)
    assert made.problem.regularizer is None
    assert isinstance(made.optimizer, optim.SGD)
    assert made.optimizer.defaults["momentum"] == 0.9
    assert (made.plan.epochs, made.plan.seed) == (2, 3)
    assert made.plan.augment == (data.Flip(),)
    assert made.problem.data.train.sha256 == digits.train.sha256


def test_weights_depend_on_the_seed_and_on_nothing_else(digits):
    before = torch.get_rng_state()
    first = built(data=digits).problem.model
    torch.rand(7)
    torch.set_rng_state(before)
    again = built(data=digits).problem.model
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(flat(first), flat(again))
    assert not torch.equal(flat(first), flat(built("seed=4", data=digits).problem.model))


def test_methods_of_a_race_start_from_the_same_weights(digits):
    sgd = built(data=digits).problem.model
    other = built("optimizer=entropysgd", "train.epochs=5", data=digits).problem.model
    assert torch.equal(flat(sgd), flat(other))


def test_an_initializer_is_applied_from_its_own_stream(digits):
    default = flat(built(data=digits).problem.model)
    he = flat(built("init=he", data=digits).problem.model)
    assert not torch.equal(default, he)
    assert torch.equal(he, flat(built("init=he", data=digits).problem.model))


def test_regularizers_are_added(digits):
    made = built(
        "regularizer.0={name='l1', strength=0.1}",
        "regularizer.1={name='l2', strength=0.2}",
        data=digits,
    )
    assert made.problem.regularizer == regularizers.L1(0.1) + regularizers.L2(0.2)


def test_a_proximal_optimizer_takes_the_regularizer_out_of_the_objective(digits):
    settings = ["optimizer={name='proximalsgd', lr=0.1}", "regularizer.0={name='l1', strength=9.0}"]
    made = built(*settings, data=digits)
    assert made.problem.regularizer is None
    batches = [digits.train.take(torch.arange(50))] * 30
    for _ in steps(made.problem, made.optimizer, batches):
        pass
    assert all(not w.any() for w in made.problem.model.parameters() if w.dim() > 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["optimizer={name='proximalsgd', lr=0.1}"], "found no .*regularizer"),
        (["optimizer={name='sgd', lr=-1.0}"], r"\[optimizer\]: Invalid learning rate: -1"),
        (["train.batch_size=0"], r"--set train\.batch_size=0: \[train\]: batch_size must be"),
        (["model={name='resnet', depth=7}"], r"\[model\]: ResNet needs a depth of 6n \+ 2"),
        (["regularizer.0={name='l2', strength=-1.0}"], r"\[regularizer\.0\]: "),
        (["schedule.0={name='cosine', key='gama'}"], r"\[schedule\.0\]: no key is called 'gama'"),
        (["schedule.0={name='cosine', warmup=2.0}"], r"\[schedule\.0\]: Cosine got warmup=2"),
        (["loss={name='crossentropy', label_smoothing=3.0}"], r"\[loss\]: CrossEntropy needs"),
        (["augment.0={name='shift', pixels=-1}"], r"\[augment\.0\]"),
        (["model={name='mlp', hidden=[1000000000000]}"], r"\[model\]: "),
    ],
)
def test_a_refusal_names_the_table_and_its_place(digits, settings, words):
    with pytest.raises(RecipeError, match=words) as caught:
        built(*settings, data=digits)
    assert "\n" not in str(caught.value)


def test_schedules_act_on_their_keys(digits):
    made = built(
        "optimizer={name='entropysgd', lr=0.1, gamma=1.0}",
        "schedule.0={name='linear', final=0.5}",
        "schedule.1={name='linear', final=0.0, key='gamma'}",
        data=digits,
    )
    total = made.plan.total_steps(len(digits.train))
    for _ in range(total):
        for scheduler in made.schedulers:
            scheduler.step()
    group = made.optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(0.05)
    assert group["gamma"] == pytest.approx(0.0)


def test_torch_s_schedulers_are_told_the_number_of_steps(digits):
    total = 2 * -(-len(digits.train) // 100)
    cosine = built("schedule.0.name=cosineannealinglr", data=digits).schedulers[0]
    assert isinstance(cosine, CosineAnnealingLR)
    assert cosine.T_max == total
    cycle = built("schedule.0={name='onecyclelr', max_lr=0.2}", data=digits).schedulers[0]
    assert isinstance(cycle, OneCycleLR)
    assert cycle.total_steps == total


def test_noise_differs_between_seeds_unless_it_is_fixed(digits):
    noisy = "optimizer={name='entropysgd', temperature=1e-4}"
    assert built(noisy, data=digits).optimizer.param_groups[0]["noise_seed"] == 3
    fixed = built(noisy, "optimizer.noise_seed=8", data=digits)
    assert fixed.optimizer.param_groups[0]["noise_seed"] == 8


def test_a_relaxation_steps_by_another_base(digits):
    made = built("optimizer={name='lookahead', lr=0.01, base='adamw'}", data=digits)
    before = flat(made.problem.model)
    batches = [digits.train.take(torch.arange(50))] * 3
    assert len(list(steps(made.problem, made.optimizer, batches))) == 3
    assert not torch.equal(before, flat(made.problem.model))


@pytest.mark.parametrize("name", ["spsa", "mezo"])
def test_an_optimizer_without_gradients_trains_by_values(digits, name):
    radius = "schedule.0={name='shrinkingradius', key='radius'}"
    made = built(f"optimizer={{name='{name}', lr=1e-3}}", radius, data=digits)
    assert made.optimizer.param_groups[0]["noise_seed"] == 3
    before = flat(made.problem.model)
    batches = [digits.train.take(torch.arange(50))] * 3
    assert sum(s.gradients for s in steps(made.problem, made.optimizer, batches)) == 6
    assert not torch.equal(before, flat(made.problem.model))


def test_differences_along_each_weight_of_a_network_are_refused_in_a_sentence(digits):
    wide = "model={name='mlp', hidden=[300]}"
    with pytest.raises(RecipeError, match=r"KieferWolfowitz got .* weights.*try SPSA, which takes"):
        built("optimizer={name='kieferwolfowitz'}", wide, data=digits)


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_build.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def net(classes, width=4):\n"
        "    return nn.Sequential(nn.Flatten(), nn.LazyLinear(width), nn.Linear(width, classes))\n"
        "def shaped(shape):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], 10))\n"
        "def nothing():\n"
        "    return 3\n"
        "def points(n=200):\n"
        "    return torch.rand(n, 1, 4, 4), torch.arange(n) % 10\n"
        "def loss():\n"
        "    return nn.CrossEntropyLoss(reduction='none')\n"
        "def breaks(shape):\n"
        "    raise ValueError('no such net')\n"
    )
    monkeypatch.chdir(tmp_path)


def test_a_user_s_model_is_given_what_it_asks_for(own, digits):
    assert built("model='own_build:shaped'", data=digits).problem.model[1].in_features == 64
    linear = built("loss=own_build:loss", "model='own_build:shaped'", data=digits)
    assert linear.problem.objective(*digits.train.take(torch.arange(5))).isfinite()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_build:nothing", "gives a int; a model is a torch.nn.Module"),
        ("own_build:breaks", r"\[model\]: no such net"),
        ("own_build:absent", "AttributeError"),
    ],
)
def test_a_user_s_model_that_is_none_is_refused(own, digits, name, words):
    with pytest.raises(RecipeError, match=words):
        built(f"model={name}", data=digits)


def test_a_user_s_data_are_loaded_like_others(own):
    found = dataset(
        Recipe.from_tables(TABLES).override(["data={name='own_build:points', n=300, test=0.2}"])
    )
    assert (found.shape, found.num_classes, len(found.test)) == ((1, 4, 4), 10, 60)


def test_data_are_looked_for_in_the_folder_that_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("WELLPOSED_OFFLINE", "1")
    with pytest.raises(DataError, match="does not exist"):
        built("data=mnist", data_dir=tmp_path / "absent")


def test_a_wrong_share_names_its_place():
    recipe = Recipe.from_tables(TABLES)
    with pytest.raises(RecipeError, match=r"data\.test=3\.5: \[data\]: the test share must lie"):
        dataset(recipe.override(["data.test=3.5"]))
    with pytest.raises(RecipeError, match=r"\[data\]: XOR needs n >= 20 points"):
        dataset(recipe.override(["data={name='xor', n=3}"]))


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({"name": "steplr", "step_size": 0}, r"\[schedule.0\]: integer modulo by zero"),
        ({"name": "onecyclelr", "max_lr": -1.0}, "makes a step size of -"),
        ({"name": "cosine", "warmup": 2.0}, r"^recipe: \[schedule.0\]: Cosine got warmup=2;"),
    ],
)
def test_a_schedule_that_fails_only_when_stepped_is_refused_before_training(schedule, words):
    with pytest.raises(RecipeError, match=words):
        build(Recipe.from_tables({**TABLES, "schedule": [schedule]}))
