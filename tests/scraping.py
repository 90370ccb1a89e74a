"""Reads metrics as Prometheus does."""

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

SUFFIXES = ("_total", "_bucket", "_sum", "_count")


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of an exposition."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse(text: str) -> list[Sample]:
    """Return the lines of an exposition."""
    return [
        Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def scrape(url: str) -> list[Sample]:
    """Read the metrics that are served at ``url``."""
    with urllib.request.urlopen(url, timeout=120) as answer:  # noqa: S310 - our own server
        return parse(answer.read().decode())


def total(samples: list[Sample], name: str, **labels: str) -> float:
    """Return the sum over all samples of ``name`` that have ``labels``."""
    return sum(
        sample.value
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
