"""A service's /metrics as numbers by series."""

import time
import urllib.request
from collections.abc import Callable

TIMEOUT_S = 20.0


def read_metrics(address: str) -> dict[str, float]:
    """'name{labels}' -> value."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=TIMEOUT_S) as page:
        lines = page.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in pairs}


def running_requests(address: str, model: str, version: str = "1") -> float:
    """Requests of a model-version in batches that run now."""
    return read_metrics(address).get(f'argosy_running_requests{{model="{model}",version="{version}"}}', 0.0)


def wait_until(holds: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> float:
    """Ask until it holds; the seconds that it took. Raises AssertionError where it does not in time."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < timeout_s, f"not within {timeout_s} s"
    return time.monotonic() - begun
