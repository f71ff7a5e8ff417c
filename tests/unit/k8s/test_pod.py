"""How a pod's end is reported, with a program that runs in no sandbox."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from k8s.testing.pod import PodRun
from k8s.testing.sandbox import Limits, Process

POD = {
    "spec": {
        "containers": [
            {"name": "main", "image": "any", "startupProbe": {}, "readinessProbe": {}, "livenessProbe": {}},
        ]
    }
}


class Unconfined:
    """Where a program runs that ends with code 3 by itself; `then` is what comes next, before anybody has looked."""

    address = "127.0.0.1"
    images = frozenset(["any"])

    def __init__(self) -> None:
        self.then: Callable[[], None] = lambda: None

    def open(self) -> None: ...

    def close(self) -> None: ...

    def start(self, _pod: object, _container: object, _log: Path) -> Process:
        process = Process(subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]), Limits("none", 0, 0))
        process.popen.wait()
        self.then()
        return process


def reported(deleted_when_it_ends: bool) -> list[dict]:
    """What the API server hears of a pod that crashes once and is deleted then, or just before it is seen."""
    heard: list[dict] = []
    place = Unconfined()

    def report(status: dict) -> None:
        heard.append(status)
        if len(heard) == 2:
            run.delete(0)

    run = PodRun(POD, place, report, Path("log"))
    if deleted_when_it_ends:
        place.then = lambda: run.delete(0)
    run.run()
    return heard


def test_a_container_that_crashed_by_itself_is_told_with_its_exit_code_and_the_pod_runs_on() -> None:
    status = reported(deleted_when_it_ends=False)[1]
    (container,) = status["containerStatuses"]
    assert status["phase"] == "Running"
    assert container["restartCount"] == 1
    assert container["lastState"] == {"terminated": {"exitCode": 3}}


def test_a_pod_whose_container_crashed_as_it_was_to_go_has_failed() -> None:
    status = reported(deleted_when_it_ends=True)[-1]
    (container,) = status["containerStatuses"]
    assert (status["phase"], container["state"]) == ("Failed", {"terminated": {"exitCode": 3}})
