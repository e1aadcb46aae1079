"""What every test shares: deterministic hypothesis settings, and the rule that CI skips nothing."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Deadlines measure the machine, not the product; speed has its own benchmarks.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == pytest.ExitCode.OK and reporter is not None:
        skipped = len(reporter.stats.get("skipped", ()))
        if skipped:
            reporter.write_line(f"{skipped} skipped: a skipped test counts as a failure in CI", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
