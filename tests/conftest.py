"""What every test may use."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings
from requiring import Require, found_or_skip

settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile("long", settings.get_profile("dev"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

# What these modules assert is shown as what a test asserts.
pytest.register_assert_rewrite("acceptance", "extension", "matrix", "proxies")

# Loops in this process would shorten Python's own, and one that was chosen stays. Clients of other libraries
# run here too, in threads, and some fail where pytest changes the environment at the wrong moment.
sys.setswitchinterval(0.006)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell, which our servers would inherit: some are stopped with Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Most of the tests wait for other processes, half of their time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(cores, min(2 * cores, 8))


@pytest.fixture(scope="session")
def require() -> Require:
    """``require("Chromium", shutil.which("chromium"))``: go on if it was found.

    Otherwise the test is skipped, by name; with ``REQUIRE_ALL=1`` in the
    environment, as on CI, it fails.
    """
    return found_or_skip
