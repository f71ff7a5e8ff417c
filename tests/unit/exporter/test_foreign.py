"""What a framework says is fit to be shown: one short line without paths and addresses."""

import pytest

from exporter.foreign import told


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", "ValueError"),
        ("first\nsecond", "first"),
        ("  much \t room ", "much room"),
        ("cannot open /home/someone/models/net.h5 for reading", "cannot open net.h5 for reading"),
        ("not supported. You may raise an issue at https://github.com/onnx/x/issues.", "not supported."),
        ("[ONNXRuntimeError] : 1 : FAIL : Load model failed", "Load model failed"),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Reshape node. Name:'r' Status"
            " Message: /onnxruntime_src/core/reshape_helper.h:91 onnxruntime::Reshape::Reshape(const Shape&, bool)"
            " cannot be reshaped",
            "Reshape fails: cannot be reshaped",
        ),
        (
            "Exception: /onnxruntime_src/text/string_normalizer.cc:235 Locale::Locale(const std::string&)::<lambda()>"
            " Failed to construct locale",
            "Exception: Failed to construct locale",
        ),
    ],
)
def test_an_exception_is_told_in_a_line_without_paths_and_addresses(said: str, shown: str) -> None:
    assert told(ValueError(said)) == shown


def test_a_long_text_is_cut_between_words() -> None:
    shown = told(ValueError("word " * 100), 20)
    assert shown == "word word word word …"
