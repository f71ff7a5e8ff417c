"""A conversion that goes wrong takes nothing along: one line, nothing published, no process left."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import google.protobuf
import ml_dtypes
import numpy
import numpy as np
import onnx
import psutil
import pytest
import typing_extensions

from exporter.__main__ import main

DESCRIPTION = "{description: d, table: {columns: [{name: a, kind: COLUMN_KIND_NUMBER, input: numbers}]}}"

FITTED = """
import numpy as np
from sklearn.linear_model import LinearRegression
model = LinearRegression().fit(np.arange(8.0)[:, None], np.arange(8.0))
"""
# What this environment has.
SHARED = [path for path in sys.path if path.endswith("site-packages")]

# Where a conversion process is to leave its result: its second argument.
LEAVES_NO_ONNX = """
import json, os, sys
from pathlib import Path
def model():
    folder = Path(sys.argv[2])
    (folder / "graph.onnx").write_bytes(b"not a graph")
    provenance = {"framework": "x", "framework_version": "1"}
    result = {"kinds": [], "not_applicable": [], "findings": {}, "provenance": provenance, "mends": []}
    (folder / "result.json").write_text(json.dumps(result))
    os._exit(0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a user: modules, rows, a description."""
    np.savez(tmp_path / "rows.npz", numbers=np.arange(8, dtype=np.float32).reshape(8, 1))
    (tmp_path / "tiny.yaml").write_text(DESCRIPTION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arguments(source: str, *more: str) -> list[str]:
    named = ["--name", "tiny", "--task", "tabular-regression", "--samples", "rows.npz", "--describe", "tiny.yaml"]
    return [source, *named, "--trust-code", *more]


def refusal(folder: Path, capsys: pytest.CaptureFixture[str], program: str, *more: str) -> str:
    """What the exporter says of an object whose making runs `program`; it must be one line, and nothing published."""
    (folder / "mine.py").write_text(program)
    assert main(arguments("mine:model", *more)) == 1
    assert not (folder / "models").exists()
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_conversion_that_hangs_is_ended(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "import os\ndef model():\n    open('pid', 'w').write(str(os.getpid()))\n    while True: pass"
    error = refusal(folder, capsys, program, "--timeout", "4")
    assert "took longer than 4 s and was ended: --timeout allows more" in error
    assert not psutil.pid_exists(int((folder / "pid").read_text()))


def test_tensorflow_is_asked_without_what_makes_a_number_of_nan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "import os\ndef model(): raise ValueError('oneDNN ' + os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    assert "oneDNN 0" in refusal(folder, capsys, program)


def test_a_conversion_that_dies_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refusal(folder, capsys, "import os, signal\ndef model(): os.kill(os.getpid(), signal.SIGSEGV)")
    assert "the converter died of SIGSEGV" in error


def test_a_conversion_that_fills_the_memory_is_stopped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refusal(folder, capsys, "def model(): return bytearray(2**30)", "--memory", "512")
    assert "needs more than 512 MiB of memory: --memory allows more" in error


def test_a_conversion_that_leaves_nothing_is_not_believed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refusal(folder, capsys, "import os\ndef model(): os._exit(0)")
    assert "ended as if all were well and left no result" in error


def test_a_result_that_is_no_graph_is_not_believed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "the bytes are no ONNX file" in refusal(folder, capsys, LEAVES_NO_ONNX)


def test_an_exception_of_the_users_code_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refusal(folder, capsys, "def model(): raise RuntimeError('my own fault')")
    assert "mine:model cannot be converted (RuntimeError: my own fault)" in error


def test_an_interpreter_that_is_not_there_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refusal(folder, capsys, "", "--python", str(folder / "none"))
    assert "none cannot be started: No such file or directory" in error


def test_what_a_conversion_printed_is_shown_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.py").write_text("def model(): print('thinking'); raise ValueError('no')")
    assert main(arguments("mine:model", "--traceback")) == 1
    assert "thinking\n" in capsys.readouterr().err


def test_an_export_that_is_killed_takes_its_conversion_along(folder: Path) -> None:
    os.mkfifo(folder / "pid")
    (folder / "mine.py").write_text(
        "import os\ndef model():\n    open('pid', 'w').write(str(os.getpid()))\n    while True: pass"
    )
    export = subprocess.Popen([sys.executable, "-m", "exporter", *arguments("mine:model")])
    conversion = psutil.Process(int((folder / "pid").read_text()))
    export.kill()
    export.wait()
    conversion.wait(timeout=20)


def test_another_environment_can_convert(folder: Path) -> None:
    """One that has no Argosy: what the conversion needs of it comes along."""
    other = environment(folder / "other", *SHARED)
    (folder / "mine.py").write_text(FITTED)
    assert main(arguments("mine:model", "--python", str(other / "bin" / "python"))) == 0
    assert (folder / "prefix").read_text() == str(other)
    assert (folder / "models" / "tiny" / "1" / "model.yaml").is_file()


def test_the_settings_choose_the_environment_of_a_framework(folder: Path) -> None:
    other = environment(folder / "envs" / "other", *SHARED)
    (folder / "exporter.yaml").write_text("environments: {keras: nowhere, scikit-learn: envs/other}")
    (folder / "mine.py").write_text(FITTED)
    assert main(arguments("mine:model", "--framework", "scikit-learn")) == 0
    assert (folder / "prefix").read_text() == str(other)


def test_a_framework_that_the_settings_do_not_name_converts_here(folder: Path) -> None:
    (folder / "exporter.yaml").write_text("environments: {keras: nowhere}")
    (folder / "mine.py").write_text(f"import sys\nopen('prefix', 'w').write(sys.prefix)\n{FITTED}")
    assert main(arguments("mine:model", "--framework", "scikit-learn")) == 0
    assert (folder / "prefix").read_text() == sys.prefix


def test_the_interpreter_that_is_named_wins_over_the_settings(folder: Path) -> None:
    other = environment(folder / "other", *SHARED)
    (folder / "exporter.yaml").write_text("environments: {scikit-learn: nowhere}")
    (folder / "mine.py").write_text(FITTED)
    more = ["--framework", "scikit-learn", "--python", str(other / "bin" / "python")]
    assert main(arguments("mine:model", *more)) == 0
    assert (folder / "prefix").read_text() == str(other)


def test_an_environment_that_is_not_there_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "exporter.yaml").write_text("environments: {scikit-learn: nowhere}")
    error = refusal(folder, capsys, FITTED, "--framework", "scikit-learn")
    assert f"the interpreter {folder / 'nowhere'} cannot be started: No such file or directory" in error


def test_an_environment_without_numpy_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = environment(folder / "bare")
    (folder / "mine.yaml").write_text("environments: {scikit-learn: bare}")
    error = refusal(folder, capsys, FITTED, "--framework", "scikit-learn", "--settings", "mine.yaml")
    assert f"the environment of {bare / 'bin' / 'python'} lacks numpy: it needs the framework" in error


def test_an_environment_without_the_framework_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = environment(folder / "other")
    for package in (numpy, onnx, google.protobuf, ml_dtypes, typing_extensions):
        link(package, other)
    (folder / "exporter.yaml").write_text("environments: {xgboost: other}")
    (folder / "trees.json").write_text('{"learner": {}}')
    assert main(arguments("trees.json")) == 1
    error = capsys.readouterr().err
    assert f"the environment of {other / 'bin' / 'python'} lacks what xgboost needs: No module named" in error
    assert error.count("\n") == 1


def test_an_interpreter_that_is_too_old_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = folder / "old"  # what Python 3.10 says of -P
    old.write_text("#!/bin/sh\necho 'unknown option -P' >&2\nexit 2\n")
    old.chmod(0o755)
    error = refusal(folder, capsys, FITTED, "--python", str(old))
    assert f"the interpreter {old} is older than Python 3.11: a newer one is needed" in error


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("environments: {kears: other}", "exporter.yaml: environments.kears: expected a framework, one of keras, "),
        ("environment: {keras: other}", "exporter.yaml: environment: Extra inputs are not permitted"),
        ("environments: {keras: [a]}", "exporter.yaml: environments.keras: "),
        ("environments: {", "exporter.yaml is no YAML: "),
        ("[keras]", "exporter.yaml: "),
    ],
)
def test_settings_that_say_nothing_understood_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], settings: str, said: str
) -> None:
    (folder / "exporter.yaml").write_text(settings)
    assert said in refusal(folder, capsys, FITTED)


def test_settings_that_are_not_there_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "none.yaml cannot be read: No such file" in refusal(folder, capsys, FITTED, "--settings", "none.yaml")


def environment(folder: Path, *shared: str) -> Path:
    """A virtual environment with what lies in `shared`; it leaves its prefix in the working folder when it runs."""
    venv.create(folder)
    packages = packages_of(folder)
    (packages / "shared.pth").write_text("\n".join(shared))
    (packages / "sitecustomize.py").write_text("import sys\nopen('prefix', 'w').write(sys.prefix)")
    return folder


def link(package: ModuleType, into: Path) -> None:
    """Put a package, by the name that it is imported by, into an environment."""
    assert package.__file__ is not None
    file = Path(package.__file__)
    place = packages_of(into) / package.__name__.replace(".", "/")
    place.parent.mkdir(exist_ok=True)
    if file.name == "__init__.py":
        place.symlink_to(file.parent)
    else:
        place.with_suffix(".py").symlink_to(file)


def packages_of(environment: Path) -> Path:
    (packages,) = environment.glob("lib/python*/site-packages")
    return packages
