"""What all tests share: profiles, seeds, and marks that may be required instead of skipped."""

import os
import random
import shutil

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

# Two workers with two threads each fight for two cores: with one each, the networks of the audit's
# tests take a quarter of the time. Set before torch is loaded, which reads it once.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# torch gives some warnings once per process: they would fail whichever test came first in a worker.
torch.set_warn_always(True)

# Shared machines are slow at random: no deadline, and examples that are the same every time.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("dev", parent=settings.get_profile("ci"), max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# mark -> (is it possible here?, why not, variable that forbids the skip)
NEEDS = {
    "full_data": (
        "WELLPOSED_DATA" in os.environ,
        "$WELLPOSED_DATA is not set",
        "WELLPOSED_REQUIRE_DATA",
    ),
    "browser": (
        shutil.which("chromium") is not None,
        "chromium is not installed",
        "WELLPOSED_REQUIRE_BROWSER",
    ),
}


def pytest_configure(config):
    config.option.randomly_reset_seed = False  # orders differ from run to run, numbers do not


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call():
    _reseed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    _reseed()
    for mark, (possible, reason, _) in NEEDS.items():
        if item.get_closest_marker(mark) and not possible:
            pytest.skip(reason)


def _reseed():
    """The same numbers for a test, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - for who draws from the global one
    torch.manual_seed(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    for mark, (_, _, required) in NEEDS.items():
        if report.skipped and item.get_closest_marker(mark) and os.environ.get(required) == "1":
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, but ${required} is set"
    return report
