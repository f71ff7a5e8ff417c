"""`argosy evaluate` against a small fleet over real gRPC, and the forms in which data may come."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from argosy.v1 import manifest_pb2 as pb
from argosy_cli.__main__ import commands
from argosy_cli.client import connect
from argosy_cli.errors import CliError
from argosy_cli.evaluate import document, draw, evaluate
from argosy_cli.labelled import read_labelled
from argosy_client.tensors import Array

TABLE = pb.ModelManifest(
    name="t",
    tasks=[pb.TASK_TABULAR_CLASSIFICATION],
    inputs=[pb.TensorSpec(name="x")],
    table=pb.TablePreprocessing(
        columns=[
            pb.TableColumn(name="age", kind=pb.COLUMN_KIND_NUMBER),
            pb.TableColumn(name="town", kind=pb.COLUMN_KIND_TEXT),
        ]
    ),
)
TEXTS = pb.ModelManifest(name="s", tasks=[pb.TASK_TEXT_CLASSIFICATION])
IMAGES = pb.ModelManifest(name="i", tasks=[pb.TASK_IMAGE_CLASSIFICATION])


def measured(address: str, model: str, data: Path, target: str = "") -> dict[str, float]:
    with connect(address, 10) as fleet:
        found = evaluate(fleet, model, "", data, target)
    return {metric.name: metric.value for metric in found.metrics if not metric.label}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_predicted_numbers_are_compared_with_the_right_ones(small_fleet, tmp_path: Path) -> None:
    address, _ = small_fleet
    data = write(tmp_path / "sums.csv", "a,b,right\n1,2,3\n3,4,9\n")
    assert measured(address, "sum", data) == pytest.approx({"mse": 2.0, "mae": 1.0, "r2": 1 - 4 / 18})


def test_classes_are_compared_by_their_names(small_fleet, tmp_path: Path) -> None:
    address, _ = small_fleet
    data = write(tmp_path / "texts.csv", "text,label\nshort,[short]\na long sentence,[short]\nnothing,[short]\n")
    assert measured(address, "named-length", data)["accuracy"] == pytest.approx(2 / 3)


def test_the_pictures_of_a_classifier_are_drawn(small_fleet, tmp_path: Path) -> None:
    address, _ = small_fleet
    data = write(tmp_path / "texts.csv", "text,label\nshort,[short]\na long sentence,[long]\n")
    with connect(address, 10) as fleet:
        found = evaluate(fleet, "named-length", "", data, "")
    drawn = draw(found, tmp_path / "pictures")
    assert [path.name for path in drawn] == ["named-length-1-confusion.png", "named-length-1-calibration.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    assert json.loads(document(found))["confusion"] == [1, 0, 0, 1]


def commanded(address: str, *arguments: str) -> Result:
    return CliRunner().invoke(commands, ["evaluate", "named-length", *arguments, "--router", address])


def test_a_place_that_cannot_be_a_folder_is_refused_before_the_model_is_asked(small_fleet, tmp_path: Path) -> None:
    address, fleet = small_fleet
    data = write(tmp_path / "texts.csv", "text,label\nshort,[short]\na long sentence,[long]\n")
    done = commanded(address, str(data), "--plots", str(data / "pictures"))
    assert isinstance(done.exception, CliError)
    assert done.exception.line == f"--plots {data / 'pictures'}: Not a directory"
    assert fleet.model_headers == []


def test_what_was_drawn_is_not_told_amid_the_json(small_fleet, tmp_path: Path) -> None:
    address, _ = small_fleet
    data = write(tmp_path / "texts.csv", "text,label\nshort,[short]\na long sentence,[long]\n")
    done = commanded(address, str(data), "--plots", str(tmp_path / "pictures"), "--json")
    assert json.loads(done.stdout)["model"] == "named-length"
    assert done.stderr.count("drawn: ") == 2


def test_an_answer_that_is_no_class_is_one_line(small_fleet, tmp_path: Path) -> None:
    address, _ = small_fleet
    data = write(tmp_path / "texts.csv", "text,label\nshort,[short]\nx,[middling]\n")
    with pytest.raises(CliError, match=r"row 2: '\[middling\]' is no class of the model, whose classes are \[short\]"):
        measured(address, "named-length", data)


def test_a_folder_of_images_is_read_by_its_classes(tmp_path: Path) -> None:
    for name in ("cat/1.png", "dog/2.JPG", "dog/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"image")
    labelled = read_labelled(IMAGES, tmp_path, "")
    assert list(zip(labelled.answers, [path.name for path in labelled.images], strict=True)) == [
        ("cat", "1.png"),
        ("dog", "2.JPG"),
    ]


def test_paths_in_a_csv_are_relative_to_it(tmp_path: Path) -> None:
    data = write(tmp_path / "list.csv", "path,label\na/1.png,cat\n")
    assert list(read_labelled(IMAGES, data, "").images) == [tmp_path / "a" / "1.png"]


def test_the_column_that_is_not_the_models_has_the_answers(tmp_path: Path) -> None:
    labelled = read_labelled(TABLE, write(tmp_path / "t.csv", "age,town,rich\n39,Bonn,yes\n,,no\n"), "")
    assert list(labelled.answers) == ["yes", "no"]
    assert list(labelled.rows) == [{"age": 39.0, "town": "Bonn"}, {"age": None, "town": None}]


def test_tensors_come_as_arrays_named_as_the_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.zeros((2, 3), np.float32), y=np.array([1, 0]))
    labelled = read_labelled(TABLE, tmp_path / "t.npz", "")
    assert list(labelled.answers) == ["1", "0"]
    assert labelled.tensors is not None
    assert labelled.tensors["x"].shape == (2, 3)


def test_answers_in_a_column_are_one_each(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.zeros((2, 3), np.float32), y=np.array([[1], [0]]))
    assert list(read_labelled(TABLE, tmp_path / "t.npz", "").answers) == ["1", "0"]


def test_answers_that_are_several_numbers_each_are_refused(tmp_path: Path) -> None:
    one_hot = np.array([[0, 1], [1, 0]])
    np.savez(tmp_path / "t.npz", x=np.zeros((2, 3), np.float32), y=one_hot)
    with pytest.raises(CliError, match=r"array 'y' has shape \[2, 2\]: one right answer a row is needed") as raised:
        read_labelled(TABLE, tmp_path / "t.npz", "")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("manifest", "text", "says"),
    [
        (TABLE, "age,town\n1,Bonn\n", "which column has the right answers"),
        (TABLE, "age,town,a,b\n1,Bonn,x,y\n", "a, b could all be it: name it with --target"),
        (TABLE, "age,town,rich\n1,Bonn,\n", "data.csv:1: no right answer in column 'rich'"),
        (TABLE, "age,town,rich\n", "holds no rows|which column"),
        (TEXTS, "one,two,three\na,b,c\n", "a column 'text' and one of right answers"),
        (IMAGES, "path\n1.png\n", "a column 'path' and one of right answers"),
        (TEXTS, f'text,label\n"{2_000_000 * "x"}', "data.csv:1: .*limit.*: is a quote not closed"),
        (TABLE, f'age,town,rich\n1,"{2_000_000 * "x"}', "data.csv:1: .*limit.*: is a quote not closed"),
        (TEXTS, "text,label\nfine,good\nwell, no,bad\n", "data.csv:2: more cells than the header has columns"),
    ],
)
def test_data_that_cannot_be_told_apart_is_one_line(
    manifest: pb.ModelManifest, text: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(CliError, match=says) as raised:
        read_labelled(manifest, write(tmp_path / "data.csv", text), "")
    assert "\n" not in raised.value.line


def test_arrays_that_do_not_fit_the_model_are_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", z=np.zeros(2), y=np.zeros(2))
    with pytest.raises(CliError, match="has no array 'x', which the model reads"):
        read_labelled(TABLE, tmp_path / "t.npz", "")
    write(tmp_path / "bad.npz", "no archive")
    with pytest.raises(CliError, match="cannot be read as"):
        read_labelled(TABLE, tmp_path / "bad.npz", "")


def test_one_array_that_is_called_an_archive_is_one_line(tmp_path: Path) -> None:
    with (tmp_path / "renamed.npz").open("wb") as file:
        np.save(file, np.zeros(2))
    with pytest.raises(CliError, match="cannot be read as"):
        read_labelled(TABLE, tmp_path / "renamed.npz", "")


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (np.zeros((2, 3)), np.array(1), "array 'y' has no rows"),
        (np.array(1.0), np.zeros(2), "array 'x' has no rows"),
        (np.zeros((0, 3)), np.zeros(0), "holds no rows"),
    ],
    ids=["one answer", "one input", "empty"],
)
def test_arrays_without_rows_are_one_line(x: Array, y: Array, says: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=x, y=y)
    with pytest.raises(CliError, match=says):
        read_labelled(TABLE, tmp_path / "t.npz", "")


def test_a_model_without_right_answers_is_refused(small_fleet, tmp_path: Path) -> None:
    address, _ = small_fleet
    with pytest.raises(CliError, match="neither classifies nor predicts numbers"):
        measured(address, "vectors", write(tmp_path / "d.csv", "text,label\n"))
