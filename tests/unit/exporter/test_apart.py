"""A conversion that goes wrong takes nothing along: one line, nothing published, no process left."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import psutil
import pytest

from exporter.__main__ import main

DESCRIPTION = "{description: d, table: {columns: [{name: a, kind: COLUMN_KIND_NUMBER, input: numbers}]}}"

# Where a conversion process is to leave its result: its second argument.
LEAVES_NO_ONNX = """
import json, os, sys
from pathlib import Path
def model():
    folder = Path(sys.argv[2])
    (folder / "graph.onnx").write_bytes(b"not a graph")
    provenance = {"framework": "x", "framework_version": "1"}
    result = {"kinds": [], "not_applicable": [], "findings": {}, "provenance": provenance}
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
    assert "mine:model cannot be converted: RuntimeError: my own fault" in error


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
    other = folder / "other"
    venv.create(other)
    (packages,) = other.glob("lib/python*/site-packages")
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "shared.pth").write_text("\n".join(shared))
    (packages / "sitecustomize.py").write_text("import sys\nopen('prefix', 'w').write(sys.prefix)")
    (folder / "mine.py").write_text(
        "import numpy as np\nfrom sklearn.linear_model import LinearRegression\n"
        "model = LinearRegression().fit(np.arange(8.0)[:, None], np.arange(8.0))"
    )
    assert main(arguments("mine:model", "--python", str(other / "bin" / "python"))) == 0
    assert (folder / "prefix").read_text() == str(other)
    assert (folder / "models" / "tiny" / "1" / "model.yaml").is_file()
