import pytest

from wellposed.train._clock import Clock


@pytest.fixture
def time(monkeypatch):
    now = {"wall": 100.0, "cpu": 10.0}
    monkeypatch.setattr("time.perf_counter", lambda: now["wall"])
    monkeypatch.setattr("time.process_time", lambda: now["cpu"])

    def wait(wall, cpu):
        now["wall"] += wall
        now["cpu"] += cpu

    return wait


def test_counts_only_while_it_runs(time):
    clock = Clock()
    time(5, 5)
    assert clock.now() == (0.0, 0.0)
    clock.start()
    time(3, 4)
    assert clock.now() == (3.0, 4.0)
    with pytest.raises(KeyError), clock.paused():  # noqa: PT012
        time(50, 50)
        raise KeyError
    time(1, 1)
    clock.stop()
    time(7, 7)
    assert clock.now() == (4.0, 5.0)


def test_counts_on_from_a_checkpoint(time):
    clock = Clock()
    clock.start()
    time(3, 4)
    again = Clock()
    again.load_state_dict(clock.state_dict())
    again.start()
    time(1, 1)
    assert again.now() == (4.0, 5.0)


def test_pausing_a_clock_that_stands_leaves_it_standing(time):
    clock = Clock()
    with clock.paused():
        time(1, 1)
    time(1, 1)
    assert clock.now() == (0.0, 0.0)
