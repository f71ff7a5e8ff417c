"""What the demo asks: real inputs, none of them made for the model, each with the answer that is right.

A handwritten 7 of MNIST's test set comes with this package, photographs from scikit-image's wheel, a patient from the
diabetes data and a person from the census data. A wrong answer fails the demo.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from argosy_cli.errors import CliError
from argosy_cli.inputs import Cell, NamedRow
from argosy_cli.questions import Question
from argosy_cli.show import table_row_text
from argosy_cli.verdicts import Judge, face_around, first_alike_then_not, labelled, near, tagged, vector_of

# The first image of MNIST's test set.
SEVEN = Path(__file__).parent / "samples" / "seven.png"
# A patient whom the model was not trained on; a year later the measured progression was 178.
PATIENT: Mapping[str, Cell] = {
    "age": 40.0,
    "sex": 2.0,
    "bmi": 31.9,
    "bp": 95.0,
    "s1": 198.0,
    "s2": 135.6,
    "s3": 38.0,
    "s4": 5.0,
    "s5": 4.804,
    "s6": 93.0,
}
# A person of the 1994 census who earned more than 50,000 dollars.
PERSON: Mapping[str, Cell] = {
    "age": 42.0,
    "workclass": "Private",
    "education-num": 13.0,
    "marital-status": "Married-civ-spouse",
    "occupation": "Exec-managerial",
    "relationship": "Husband",
    "race": "White",
    "gender": "Male",
    "capital-gain": 5178.0,
    "capital-loss": 0.0,
    "hours-per-week": 40.0,
    "native-country": "United-States",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One question of the demo. `task` is the verb where the model has several; '' is its first."""

    shown: str
    question: Question
    judge: Judge
    task: str = ""


def demo_cases() -> Sequence[Case]:
    """The questions in the order in which they are shown. Raises CliError where the photographs are missing."""
    return [*_vision_cases(), *_text_cases(), *_table_cases()]


def _vision_cases() -> list[Case]:
    seven = SEVEN.read_bytes()
    coffee, cat, astronaut = _photo("coffee.png"), _photo("chelsea.png"), _photo("astronaut.png")
    return [
        Case("a handwritten 7 (28×28 PNG)", Question("digits", images=[seven], top_k=1), labelled("7")),
        Case("the same 7", Question("digits-functional", images=[seven], top_k=1), labelled("7")),
        Case(
            "photos of a coffee and of a cat",
            Question("mobilenet", images=[coffee, cat], top_k=1),
            labelled("espresso", "Egyptian cat"),
        ),
        Case("the photo of the coffee", Question("mobilenet", images=[coffee]), vector_of(1280), task="embed"),
        Case("photo of an astronaut", Question("faces", images=[astronaut]), face_around(224, 115)),
    ]


def _text_cases() -> list[Case]:
    opinions = ("This film is wonderful, I loved every minute of it.", "A terrible, boring waste of time.")
    words = ("strength", "Freundschaft", "aujourd'hui", "jeszcze")
    sandwiches = (
        "A man is eating a sandwich.",
        "Someone has a sandwich for lunch.",
        "The violins were out of tune.",
    )
    return [
        _of_texts("sentiment", opinions, labelled("positive", "negative")),
        _of_texts("word-language", words, labelled("English", "German", "French", "Polish")),
        _of_texts("minilm", sandwiches, first_alike_then_not(0.6, 0.3)),
        _of_texts("grammar", ("They was happy.",), tagged("was", "were")),
    ]


def _table_cases() -> list[Case]:
    # 60 is the root mean squared error that the manifest states, and some.
    return [_of_row("diabetes", PATIENT, near(178, 60)), _of_row("income", PERSON, labelled(">50K"))]


def _of_texts(model: str, texts: Sequence[str], judge: Judge) -> Case:
    return Case(" / ".join(texts), Question(model, texts=texts, top_k=1), judge)


def _of_row(model: str, row: Mapping[str, Cell], judge: Judge) -> Case:
    return Case(table_row_text(row, 60), Question(model, rows=[NamedRow("", row).struct()]), judge)


def _photo(name: str) -> bytes:
    try:
        return files("skimage").joinpath("data", name).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise CliError("the demo shows photographs of scikit-image: pip install 'argosy[dev]'") from None
