import torch

from wellposed.certify import Graph
from wellposed.certify._activation import LeakyReLU
from wellposed.certify._operation import Dense, Input, Sum

W = torch.tensor([[1.0, 2.0], [0.0, -1.0]], dtype=torch.float64)


def residual():
    return Graph(
        (
            Input((), (2,)),
            Dense((0,), (2,), W, None),
            LeakyReLU((1,), (2,)),
            Sum((0, 2), (2,), (1.0, 1.0)),
            Dense((3,), (2,), W, None),
        ),
        ("input", "linear", "relu", "add", "linear"),
    )


def test_values_are_those_of_the_formula():
    graph = residual()
    x = torch.tensor([[1.0, 1.0], [-3.0, 1.0]], dtype=torch.float64)
    right = (x + (x @ W.T).clamp(min=0)) @ W.T
    assert torch.equal(graph(x), right)
    assert [len(value) for value in graph.values(x)] == [2] * 5


def test_who_takes_what():
    graph = residual()
    assert graph.users == ((1, 3), (2,), (3,), (4,), ())
    assert graph.behind(3) == {0, 1, 2}
    assert graph.behind(0) == set()
    assert [graph.bends(number) for number in range(5)] == [False, True, False, False, False]


def test_shapes_and_classes():
    graph = residual()
    assert graph.inputs == (2,)
    assert graph.classes == 2
    single = Graph((*graph.operations[:4], Dense((3,), (1,), W[:1], None)), graph.names)
    assert single.classes == 2
