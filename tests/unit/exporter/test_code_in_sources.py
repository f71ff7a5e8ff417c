"""Sources that bring code of their own: nothing of it runs unless the user trusts it, and then they are exported.

One process loads them all: it is the loading that is asked here, and TensorFlow takes seconds to start.
"""

import subprocess
import sys

import pytest

OWN = """
import keras
@keras.saving.register_keras_serializable("own")
class Halve(keras.layers.Layer):
    def call(self, values):
        return values / 2
"""

NETS = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
    def forward(self, features):
        return self.linear(features)
class Writes(torch.nn.Module):
    def forward(self, features):
        torch.save(features, "script-ran")
        return features
"""

MAKER = """
import keras, numpy as np, tensorflow as tf
from pathlib import Path
from own import Halve
given = keras.Input((3,), name="features")
keras.Model(given, Halve()(given)).save("halve.keras")
leaves = keras.layers.Lambda(lambda values: (open("lambda-ran", "w"), values)[1])
keras.Model(given, leaves(given)).save("lambda.keras")
Path("lambda-ran").unlink(missing_ok=True)
Path("words.txt").write_text("red\\ngreen\\n")
class Reads(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32)])
    def __call__(self, features):
        length = tf.strings.length(tf.io.read_file("words.txt"))
        return {"value": features + tf.cast(length, tf.float32)}
reads = Reads()
tf.saved_model.save(reads, "reads", signatures=reads.__call__)
class Looks(tf.Module):
    def __init__(self):
        initial = tf.lookup.TextFileInitializer(
            "words.txt", tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(initial, -1)
    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.string)])
    def __call__(self, text):
        return {"value": tf.cast(self.table.lookup(text), tf.float32)}
looks = Looks()
tf.saved_model.save(looks, "looks", signatures=looks.__call__)
"""

# PyTorch exports in a process without TensorFlow, as the exporter does.
TORCH_MAKER = """
import torch, zipfile
from nets import Net, Writes
torch.save(Net(), "net.pt")
class Opens:
    def __reduce__(self):
        return open, ("pickle-ran", "w")
torch.save(Opens(), "disguised.pt")
with zipfile.ZipFile("disguised.pt", "a") as archive:
    archive.writestr("else/models/model.json", "{}")
torch.jit.script(Writes()).save("writes.pt")
torch.jit.script(Net()).save("script.pt")
rows = {0: torch.export.Dim("batch")}
torch.export.save(torch.export.export(Net().eval(), (torch.zeros(3, 3),), dynamic_shapes=(rows,)), "net.pt2")
"""

LOADER = """
import sys
from pathlib import Path
import numpy as np
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.sources.load import load
from exporter.sources.source import convert
ROWS = {"features": np.ones((4, 3), np.float32)}
def refused(source, framework, **asked):
    try:
        load(Request(source, framework, **asked), {})
    except SourceError as error:
        return str(error)
    return "it was loaded"
def converts(source, framework, rows=ROWS, **asked):
    request = Request(source, framework, output_names=("value",), **asked)
    return bool(convert(load(request, rows), request, rows).graph)
print(refused("halve.keras", "keras"))
print(refused("lambda.keras", "keras"))
print(Path("lambda-ran").exists())
print(refused("reads", "tensorflow"))
print(refused("looks", "tensorflow"))
print(converts("halve.keras", "keras", imports=("own",), trust_code=True))
print(converts("net.pt", "pytorch", trust_code=True))
print(refused("net.pt", "pytorch", imports=("nosuch",)))
print(refused("disguised.pt", "pytorch"))
print(Path("pickle-ran").exists())
print(refused("net.pt2", "pytorch"))
print(refused("writes.pt", "pytorch"))
print(converts("script.pt", "pytorch"))
"""
"""What the loader prints, a line each."""
ANSWERS = (
    "own_layer",
    "lambda",
    "lambda_ran",
    "reads",
    "looks",
    "own_layer_imported",
    "module",
    "absent_import",
    "disguised_pickle",
    "pickle_ran",
    "program",
    "writing_script",
    "script",
)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("code")
    (folder / "own.py").write_text(OWN)
    (folder / "nets.py").write_text(NETS)
    for maker in (MAKER, TORCH_MAKER):
        subprocess.run([sys.executable, "-c", maker], cwd=folder, check=True, timeout=110)
    done = subprocess.run(
        [sys.executable, "-c", LOADER], cwd=folder, check=False, timeout=110, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(ANSWERS, done.stdout.splitlines()[-len(ANSWERS) :], strict=True))


def test_a_keras_file_with_a_layer_of_the_users_own_asks_for_the_module_that_has_it(said: dict[str, str]) -> None:
    assert said["own_layer"] == (
        "halve.keras has a layer of your own ('Halve'): --import MODULE with --trust-code names the module that"
        " registers it"
    )


def test_the_module_that_is_imported_registers_the_layer(said: dict[str, str]) -> None:
    assert said["own_layer_imported"] == "True"


def test_a_module_to_import_that_is_not_there_is_named(said: dict[str, str]) -> None:
    assert said["absent_import"] == "--import nosuch: No module named 'nosuch'"


def test_a_lambda_layer_is_refused_and_its_code_does_not_run(said: dict[str, str]) -> None:
    assert (
        said["lambda"] == "loading lambda.keras runs the code in it (a Lambda layer): say --trust-code if it is yours"
    )
    assert said["lambda_ran"] == "False"


def test_a_saved_model_that_reads_files_is_refused_without_the_flag(said: dict[str, str]) -> None:
    assert said["reads"] == "reads runs code or touches files (ReadFile): say --trust-code if it is yours"


def test_a_saved_model_whose_vocabulary_is_a_file_of_its_own_folder_says_what_cannot_be_converted(
    said: dict[str, str],
) -> None:
    assert said["looks"] == (
        "looks looks values up in a table (LookupTableFindV2), which cannot be converted: do so before the model is"
        " asked, and export it from what is found"
    )


def test_a_torch_module_that_was_pickled_whole_is_exported_where_it_is_trusted(said: dict[str, str]) -> None:
    assert said["module"] == "True"


def test_a_pickled_module_is_refused_whatever_else_is_in_its_archive(said: dict[str, str]) -> None:
    assert said["disguised_pickle"] == "loading disguised.pt runs the code in it: say --trust-code if it is yours"
    assert said["pickle_ran"] == "False"


def test_a_program_of_torch_export_is_refused_without_the_flag(said: dict[str, str]) -> None:
    assert said["program"] == "loading net.pt2 runs the code in it: say --trust-code if it is yours"


def test_a_script_that_writes_files_is_refused_without_the_flag_and_another_is_not(said: dict[str, str]) -> None:
    assert said["writing_script"] == "writes.pt reads or writes files: say --trust-code if it is yours"
    assert said["script"] == "True"
