"""The Python program of clients/: it prints what clients/README.md says, and fails as it should."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.bad_input import Case, cases
from tests.clients.compare import with_room_for_eight
from tests.clients.languages import CLIENTS, LANGUAGES, Language
from tests.clients.programs import run
from tests.e2e.conftest import MODELS, wait_until_routed
from tests.e2e.harness import Processes, Server
from tests.e2e.traffic import newest

BAD = (
    "server away",
    "a port that never speaks",
    "an HTTP port",
    "TLS against plaintext",
    "plaintext against TLS",
    "TLS",
    "a reply over the limit",
    "no such model",
    "a cancelled call",
    "no samples",
    "an unknown flag",
)


@pytest.fixture(scope="module")
def python() -> Language:
    """Python's program in this environment: what is installed here is what the build would install."""
    return replace(LANGUAGES[0], build=(), run=(sys.executable, "program.py"))


@pytest.fixture(scope="module")
def bad(
    shared_processes: Processes, router: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Case]]:
    folder = tmp_path_factory.mktemp("clients")
    with cases(shared_processes, router.address, router.metrics_address, MODELS, folder) as found:
        yield {case.name: case for case in found}


def test_the_program_prints_what_the_readme_says(
    python: Language, services: dict[str, Server], processes: Processes, tmp_path: Path
) -> None:
    vision = processes.service("vision", with_room_for_eight(tmp_path / "models"))
    addresses = {kind: [server.address] for kind, server in {**services, "vision": vision}.items()}
    router = processes.router(tmp_path, addresses)
    wait_until_routed(router, [("digits", "1"), ("minilm", newest("minilm").name), ("income", newest("income").name)])
    said = (CLIENTS / "README.md").read_text(encoding="utf-8").split("So a whole run prints", 1)[1]
    expected = said.split("```")[1].strip().splitlines()

    outcome = run(python, ["--address", router.address])

    assert (outcome.code, outcome.error) == (0, "")
    assert [without_scores(line) for line in outcome.lines] == [without_scores(line) for line in expected]


def without_scores(line: str) -> str:
    """The line with # for what depends on how a model's training went: 7 1.000 -> 7 #."""
    return re.sub(r"\d+\.\d+", "#", line)


@pytest.mark.parametrize("name", BAD)
def test_the_program_says_what_went_wrong_and_does_not_hang(name: str, python: Language, bad: dict[str, Case]) -> None:
    assert bad[name].problem(run(python, bad[name].flags)) == ""


def test_every_bad_input_is_tried(bad: dict[str, Case]) -> None:
    assert set(bad) == set(BAD)
