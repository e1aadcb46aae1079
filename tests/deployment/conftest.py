"""A real Prometheus that knows of releases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.deployment.pages import STRANGE, VERDICTS, Reply, Site, release, several_targets
from tests.processes import PrometheusServer, wait_until


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Two exporters: the models are named after what the first and the second say of v2, or "-alone"."""
    first = "".join(release(verdict, model=f"{verdict}-alone") for verdict in VERDICTS)
    first += release("promote", model=STRANGE, version=STRANGE)
    first += 'model_version_info{model="new",version="v1",baseline_version=""} 1\n'
    first += 'model_version_info{model="new",version="v2",baseline_version="v1"} 1\n'
    second = ""
    for one in VERDICTS:
        for other in VERDICTS:
            first += release(one, model=f"{one}-{other}")
            second += release(other, model=f"{one}-{other}")
    directory = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        sites = [stack.enter_context(Site([Reply(page)])) for page in (first, second)]
        prometheus = PrometheusServer(sites[0].url, directory)
        several_targets(directory, [site.url for site in sites])
        stack.enter_context(prometheus)
        wait_until(lambda: 2 in prometheus.query("sum(up)").values(), what="both targets")
        yield prometheus


@pytest.fixture
def prometheus(server: PrometheusServer) -> str:
    """Its address."""
    return server.url
