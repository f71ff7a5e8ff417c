"""What a deployed stub relies on stays: protos/ is held against the descriptors of the last release.

`released.binpb` is made anew with a release, and only then: `make released-protos`. buf's FILE rules say what breaks
a stub: numbers, types, names, what is removed, streaming.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROTOS = Path(__file__).resolve().parents[3] / "protos"
RELEASED = PROTOS / "released.binpb"

BREAKING = {
    "a field with another number": ("text.proto", "uint32 top_k = 4;", "uint32 top_k = 5;"),
    "a field of another type": ("vision.proto", "uint32 top_k = 4;", "uint64 top_k = 4;"),
    "a field with another name": ("tabular.proto", "Struct rows = 3;", "Struct records = 3;"),
    "a field that is gone": ("prediction.proto", "  float score = 3;\n", ""),
    "a field that is no longer repeated": ("prediction.proto", "repeated float values", "float values"),
    "a oneof's member that leaves it": (
        "manifest.proto",
        "TablePreprocessing table = 10;\n  }",
        "}\n  TablePreprocessing table = 10;",
    ),
    "an enum's value with another number": ("model.proto", "MODEL_STATE_UNLOADED = 5;", "MODEL_STATE_UNLOADED = 6;"),
    "a method that is gone": ("text.proto", "  rpc Tag(TextServiceTagRequest) returns (TextServiceTagResponse);\n", ""),
    "a reply that becomes a stream": (
        "tabular.proto",
        "returns (TabularServicePredictResponse)",
        "returns (stream TabularServicePredictResponse)",
    ),
    "a package for Go of another name": ("model.proto", '"argosy.dev/argosy/v1;argosyv1"', '"argosy.dev/v1;v1"'),
}


def test_the_protos_break_no_stub_of_the_last_release() -> None:
    assert breaking(PROTOS) == (0, "")


@pytest.mark.parametrize(("file", "before", "after"), BREAKING.values(), ids=BREAKING)
def test_a_change_that_breaks_stubs_is_found(file: str, before: str, after: str, tmp_path: Path) -> None:
    changed = changed_protos(tmp_path, file, before, after)

    code, told = breaking(changed)

    assert code != 0
    assert file in told


def test_a_new_field_breaks_nothing(tmp_path: Path) -> None:
    changed = changed_protos(
        tmp_path, "text.proto", "  uint32 top_k = 4;\n", "  uint32 top_k = 4;\n  float min_score = 5;\n"
    )
    assert breaking(changed) == (0, "")


def changed_protos(folder: Path, file: str, before: str, after: str) -> Path:
    """A copy of protos/ in which one file reads otherwise."""
    changed = folder / "protos"
    shutil.copytree(PROTOS, changed)
    proto = changed / "argosy" / "v1" / file
    text = proto.read_text()
    assert before in text
    proto.write_text(text.replace(before, after, 1))
    return changed


def breaking(protos: Path) -> tuple[int, str]:
    """buf's exit code and what it says of `protos` against the release."""
    buf = Path(sys.executable).with_name("buf")
    command = [str(buf), "breaking", "--against", str(RELEASED)]
    done = subprocess.run(command, cwd=protos, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
