"""docs/clients.md says the very commands that `make clients-test` builds and runs each language with."""

import shlex

import pytest

from tests.clients.languages import CLIENTS, LANGUAGES, ROOT, Language

TITLES = {
    "python": "Python",
    "go": "Go",
    "typescript": "TypeScript (Node)",
    "java": "Java",
    "rust": "Rust",
    "cpp": "C++",
}
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")


def block(language: Language) -> list[str]:
    """The lines of the language's shell block."""
    section = PAGE.split(f"\n## {TITLES[language.name]}\n", 1)[1]
    return section.split("```sh\n", 1)[1].split("```", 1)[0].splitlines()


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_the_first_answer_takes_less_than_ten_lines(language: Language) -> None:
    assert 0 < len(block(language)) < 10


@pytest.mark.parametrize("language", LANGUAGES[1:], ids=lambda language: language.name)
def test_the_page_builds_and_runs_as_the_test_does(language: Language) -> None:
    assert block(language) == [
        'git clone -q "$ARGOSY" argosy',
        f"cd argosy/clients/{language.name}",
        *(shlex.join(command) for command in language.build),
        f"{shlex.join(language.run)} --samples ../samples --only image",
    ]


def test_every_folder_of_a_language_is_tested() -> None:
    folders = {path.name for path in CLIENTS.iterdir() if path.is_dir()} - {"samples", "third_party"}
    assert folders == {language.name for language in LANGUAGES}
