"""predict, models and status against a real gRPC server."""

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from argosy_cli.__main__ import commands
from argosy_cli.errors import CliError


def run(*arguments, stdin=None):
    """(exit code, standard output) of one command line. Raises CliError, as `app` receives it."""
    result = CliRunner().invoke(commands, list(arguments), input=stdin, env={"COLUMNS": "160"})
    if isinstance(result.exception, CliError):
        raise result.exception
    return result.exit_code, result.stdout


def predicted(address, *arguments, stdin=None):
    _, output = run("predict", *arguments, "--router", address, "--json", stdin=stdin)
    return json.loads(output)


def test_a_csv_file_is_asked_row_by_row_as_the_manifest_types_its_columns(small_fleet, tmp_path):
    address, _ = small_fleet
    table = tmp_path / "rows.csv"
    table.write_text('a,b,note\n1,2,"7,\n8"\n0.5,-3,\n')
    results = predicted(address, "sum", str(table))["results"]
    assert [result["quantities"][0]["value"] for result in results] == [3.0, -2.5]


def test_a_json_row_is_asked_and_shown_as_a_table_with_the_timing_of_the_trailers(small_fleet):
    address, _ = small_fleet
    code, output = run("predict", "sum", '{"a": 40, "b": 2}', "--router", address)
    assert code == 0
    assert "total 42.0" in output
    assert "queued 11 µs, computed 22 µs" in output
    assert "in a batch of 1" in output


def test_an_array_of_json_rows_is_read_from_standard_input(small_fleet):
    address, _ = small_fleet
    document = predicted(address, "sum", "-", stdin='[{"a": 1, "b": 1}, {"a": 2, "b": 2}]')
    assert [result["quantities"][0]["value"] for result in document["results"]] == [2.0, 4.0]


def test_the_first_task_of_the_manifest_is_asked_and_another_one_on_request(small_fleet, tmp_path):
    address, _ = small_fleet
    image = tmp_path / "image.png"
    image.write_bytes(b"\x01\xff")
    assert predicted(address, "brightness", str(image))["results"][0]["categories"][0]["label"] == "bright"
    assert predicted(address, "brightness", str(image), "--task", "embed")["results"][0]["values"][0] == 2


def test_a_task_that_the_model_does_not_have_is_refused_with_those_that_it_has(small_fleet):
    address, _ = small_fleet
    with pytest.raises(CliError, match=r"'brightness' does not tag: --task classify or embed") as refusal:
        run("predict", "brightness", "x.png", "--task", "tag", "--router", address)
    assert refusal.value.exit_code == 2


def test_labels_in_brackets_are_text_and_not_markup(small_fleet):
    address, _ = small_fleet
    _, output = run("predict", "length", "hello", "--router", address)
    assert "[short] 0.90" in output


def test_a_file_of_texts_is_asked_line_by_line(small_fleet, tmp_path):
    address, _ = small_fleet
    texts = tmp_path / "texts.txt"
    texts.write_text("short\nas long as it gets\n")
    labels = [result["categories"][0]["label"] for result in predicted(address, "length", f"@{texts}")["results"]]
    assert labels == ["[short]", "[long]"]


def test_many_inputs_go_in_calls_of_thirty_two_and_keep_their_order(small_fleet):
    address, _ = small_fleet
    rows = json.dumps([{"a": number, "b": 0} for number in range(70)])
    document = predicted(address, "sum", "-", stdin=rows)
    assert [call["batch_rows"] for call in document["calls"]] == [32, 32, 6]
    assert [result["quantities"][0]["value"] for result in document["results"]] == [float(n) for n in range(70)]


def test_every_request_names_its_model_in_the_header(small_fleet):
    address, fleet = small_fleet
    predicted(address, "sum", '{"a": 1, "b": 2}')
    assert fleet.model_headers == ["sum"]


def test_an_unknown_model_is_one_line_that_points_to_the_list(small_fleet):
    address, _ = small_fleet
    with pytest.raises(CliError, match=r"^no model 'nobody': `argosy models` lists what is served$"):
        run("predict", "nobody", "x", "--router", address)


def test_a_fleet_that_is_not_there_is_one_line_that_says_how_to_start_one(silent_address):
    with pytest.raises(CliError, match=f"^no fleet at {silent_address}: start one with `argosy up`$"):
        run("predict", "sum", "{}", "--router", silent_address)


def test_a_refusal_of_the_service_is_one_line_with_its_reason(small_fleet, tmp_path):
    address, _ = small_fleet
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"broken")
    with pytest.raises(CliError) as refusal:
        run("predict", "brightness", str(broken), "--router", address)
    assert refusal.value.line == "image 0 is no image: no header (INVALID_INPUT)"


def test_a_call_past_its_deadline_says_which_flag_allows_more(small_fleet):
    address, _ = small_fleet
    with pytest.raises(CliError, match=r"within 0\.2 s: allow more with --timeout"):
        run("predict", "length", "slow", "--router", address, "--timeout", "0.2")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("no.csv", "no file 'no.csv': No such file or directory"),
        ("{a: 1}", "no JSON row"),
        ("[1]", "row 1 is no JSON object"),
        ('{"a": [1]}', "column 'a' takes a number, a text, true, false or null"),
        ("[]", "nothing to predict: the input is empty"),
    ],
)
def test_rows_that_cannot_be_read_are_refused_before_any_call(small_fleet, argument, said):
    address, _ = small_fleet
    with pytest.raises(CliError) as refusal:
        run("predict", "sum", argument, "--router", address)
    assert said in refusal.value.line
    assert refusal.value.exit_code == 2


def test_a_csv_cell_that_is_no_number_is_named_by_file_row_and_column(small_fleet, tmp_path):
    address, _ = small_fleet
    table = tmp_path / "rows.csv"
    table.write_text("a,b\n1,2\n3,many\n")
    with pytest.raises(CliError, match=r"^rows.csv:2: column 'b' takes a number, got 'many'$"):
        run("predict", "sum", str(table), "--router", address)


@pytest.mark.parametrize(
    "arguments",
    [
        ("length", "not UTF-8: \udcff"),
        ("length\udcff", "text"),
        ("length", "text", "--version", "\udcff"),
        ("sum", '{"a": 1, "b": 2, "note": "\\ud800"}'),
        ("sum", '{"a\\ud800": 1}'),
    ],
    ids=["text", "model", "version", "cell", "column"],
)
def test_what_is_no_utf8_is_one_line(small_fleet, arguments):
    address, _ = small_fleet
    with pytest.raises(CliError, match="is not UTF-8 text") as refusal:
        run("predict", *arguments, "--router", address)
    assert refusal.value.exit_code == 2


def test_an_image_whose_name_is_no_utf8_is_answered(small_fleet, tmp_path):
    address, _ = small_fleet
    (tmp_path / "p\udcff.png").write_bytes(b"\x01\xff")
    _, output = run("predict", "brightness", str(tmp_path / "p\udcff.png"), "--router", address)
    assert "p\N{REPLACEMENT CHARACTER}.png" in output


@pytest.mark.parametrize(
    ("flags", "said"), [(("--top", "4294967296"), "--top.*4294967295"), (("--timeout", "inf"), "--timeout.*86400")]
)
def test_a_number_that_no_call_takes_is_refused(small_fleet, flags, said):
    address, _ = small_fleet
    result = CliRunner().invoke(commands, ["predict", "length", "text", "--router", address, *flags])
    assert result.exit_code == 2
    assert re.search(said, result.stderr)


def test_models_lists_every_version_with_its_state_service_and_tasks(small_fleet):
    address, _ = small_fleet
    code, output = run("models", "--router", address)
    line = next(line for line in output.splitlines() if "brightness" in line)
    assert code == 0
    for word in ("1 (default)", "ready", "vision", "classify, embed", "CPU"):
        assert word in line


def test_models_show_tells_shape_columns_and_figures(small_fleet):
    address, _ = small_fleet
    _, output = run("models", "show", "sum", "--router", address)
    for part in ("The sum of two columns.", "x: FP32 [any, 2]", "kg", "mse", "0.5000"):
        assert part in output


def test_models_show_as_json_is_the_manifest(small_fleet):
    address, _ = small_fleet
    _, output = run("models", "show", "sum", "--router", address, "--json")
    assert json.loads(output)["table"]["columns"][0]["name"] == "a"


def test_status_shows_who_serves_and_who_is_down_and_says_so_in_the_exit_code(small_fleet, silent_address, capsys):
    address, _ = small_fleet
    down = ["--text", silent_address, "--tabular", silent_address]
    result = CliRunner().invoke(commands, ["status", "--router", address, "--vision", address, *down])
    states = ["SERVING" in line for line in result.stdout.splitlines() if "127.0.0.1:" in line]
    assert states == [True, True, False, False]
    assert isinstance(result.exception, CliError)


def test_status_names_the_front_of_a_service(small_fleet):
    address, _ = small_fleet
    everything = [part for name in ("--router", "--vision", "--text", "--tabular") for part in (name, address)]
    _, output = run("status", *everything)
    assert ["native" in line for line in output.splitlines() if "vision" in line] == [True]


def test_help_answers_at_once_because_it_loads_no_grpc():
    heavy = ("grpc", "google.protobuf", "numpy", "rich.console")
    probe = f"import sys, argosy_cli.__main__; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_a_failure_is_one_line_on_standard_error_and_an_exit_code():
    command = [sys.executable, "-m", "argosy_cli", "models", "--router", "127.0.0.1:1", "--timeout", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "argosy: no fleet at 127.0.0.1:1: start one with `argosy up`\n"


@pytest.mark.parametrize("command", ["train", "serve", "route", "predict", "models", "status"])
def test_the_help_of_every_command_has_an_example(command):
    code, output = run(command, "--help")
    assert code == 0
    assert f"  argosy {command}" in output
