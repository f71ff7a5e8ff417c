"""What the command line of `argosy export` refuses before anything is read."""

import pytest

from exporter.command_line import parse


def test_a_kind_of_hard_rows_may_be_left_out_by_its_name() -> None:
    options = parse(["net.onnx", "--without", "large", "--without", "unseen texts"])
    assert options.without == ["large", "unseen texts"]


@pytest.mark.parametrize("kind", ["larg", "ordinary", "samples"])
def test_a_kind_that_is_never_tried_cannot_be_left_out(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["net.onnx", "--without", kind])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"--without: invalid choice: '{kind}' (choose from " in said
