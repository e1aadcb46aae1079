"""The process_* families that every Prometheus client library publishes: memory, CPU time, open files, start time.

Read by prometheus-client's own collector; empty where the system has no /proc.
"""

from __future__ import annotations

from prometheus_client import ProcessCollector

from tidegauge.publish.samples import AnySamples, Family, Samples


def process_samples(collector: ProcessCollector) -> list[AnySamples]:
    """What the collector says of this process now."""
    built: list[AnySamples] = []
    for metric in collector.collect():
        for sample in metric.samples:
            built.append(Samples(Family(sample.name, metric.type, metric.documentation, ()), [()], [sample.value]))
    return built
