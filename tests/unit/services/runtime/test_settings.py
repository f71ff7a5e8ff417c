"""Where a setting comes from, and what is not understood."""

from pathlib import Path

import pytest

from services.runtime.settings import ServiceSettings, SettingsError, read_settings

DEFAULTS: dict[str, object] = {"address": "127.0.0.1:8520", "metrics_address": "127.0.0.1:8521"}
FILE = """
[service]
address = "127.0.0.1:1"
threads = 3
reflection = true
[text]
address = "127.0.0.1:2"
[vision]
address = "127.0.0.1:3"
"""


def settings(*arguments: str, **environment: str) -> ServiceSettings:
    return read_settings("text", arguments, environment, DEFAULTS)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "argosy.toml"
    path.write_text(FILE)
    return f"--config={path}"


def test_without_anything_the_defaults_hold() -> None:
    found = settings()
    assert (found.address, found.models_dir, found.threads, found.provider) == (
        "127.0.0.1:8520",
        Path("models"),
        0,
        "cpu",
    )


def test_the_file_wins_over_the_defaults_and_its_own_section_over_the_common_one(config: str) -> None:
    found = settings(config)
    assert (found.address, found.threads, found.reflection) == ("127.0.0.1:2", 3, True)


def test_the_environment_wins_over_the_file(config: str) -> None:
    found = settings(config, ARGOSY_ADDRESS="127.0.0.1:4", ARGOSY_REFLECTION="false")
    assert (found.address, found.threads, found.reflection) == ("127.0.0.1:4", 3, False)


def test_flags_win_over_everything(config: str) -> None:
    found = settings(config, "--address", "127.0.0.1:5", "--no-reflection", ARGOSY_ADDRESS="127.0.0.1:4")
    assert (found.address, found.reflection) == ("127.0.0.1:5", False)


def test_models_may_be_named_by_flags_or_in_the_environment() -> None:
    assert settings("--model", "a", "--model", "b").model == ("a", "b")
    assert settings(ARGOSY_MODEL="a,b").model == ("a", "b")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ARGOSY_ADDRESS": "8500"}, "address"),
        ({"ARGOSY_ADDRESS": "localhost:99999"}, "address"),
        ({"ARGOSY_THREADS": "many"}, "threads"),
        ({"ARGOSY_THREADS": "-1"}, "threads"),
        ({"ARGOSY_PROVIDER": "tpu"}, "provider"),
        ({"ARGOSY_MAX_MESSAGE_BYTES": "1"}, "max_message_bytes"),
        ({"ARGOSY_TLS_CERTIFICATE": "cert.pem"}, "tls_private_key"),
        ({"ARGOSY_TLS_CLIENT_CA": "ca.pem"}, "tls_certificate"),
    ],
)
def test_a_value_that_is_not_understood_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        settings(**environment)


def test_a_key_of_the_file_that_is_unknown_is_named(tmp_path: Path) -> None:
    path = tmp_path / "argosy.toml"
    path.write_text("[service]\nthread = 3\n")
    with pytest.raises(SettingsError, match="thread"):
        settings(f"--config={path}")


@pytest.mark.parametrize("text", ["threads = 3", "[visoin]\nthreads = 3", "service = 3", "[[service]]\nthreads = 3"])
def test_what_stands_in_no_section_of_the_file_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "argosy.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"in a section, one of \[service\], \[vision\], \[text\], \[tabular\]"):
        settings(f"--config={path}")


@pytest.mark.parametrize("name", ["ARGOSY_THREAD", "ARGOSY_CONFIG", "ARGOSY_SERVICE_THREADS", "ARGOSY_threads"])
def test_a_variable_of_our_prefix_that_is_no_setting_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: there is no such setting$"):
        settings(**{name: "3"})


@pytest.mark.parametrize(
    "name",
    [
        "ARGOSY",
        "ARGOSY_ROUTER",
        "ARGOSY_ROUTER_SERVICE_HOST",
        "ARGOSY_ROUTER_SERVICE_PORT",
        "ARGOSY_ROUTER_SERVICE_PORT_GRPC",
        "ARGOSY_ROUTER_PORT",
        "ARGOSY_ROUTER_PORT_8500_TCP",
        "ARGOSY_ROUTER_PORT_8500_TCP_ADDR",
        "ARGOSY_SERVICE_HOST",
        "ARGOSY_PORT",
    ],
)
def test_a_variable_that_others_set_is_left_alone(name: str) -> None:
    of_kubernetes = {"ARGOSY_SERVICE_HOST": "10.0.0.1", "ARGOSY_ROUTER_SERVICE_HOST": "10.0.0.2"}
    assert settings(**of_kubernetes | {name: "3"}) == settings()


@pytest.mark.parametrize("name", ["ARGOSY_PORT", "ARGOSY_METRICS_PORT", "ARGOSY_SERVICE_PORT_GRPC"])
def test_a_variable_that_only_looks_like_one_of_kubernetes_is_an_error(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: there is no such setting"):
        settings(**{name: "9000"})


@pytest.mark.parametrize("text", [None, "[service", "\xff"])
def test_a_file_that_cannot_be_read_is_an_error(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "argosy.toml"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"argosy\.toml"):
        settings(f"--config={path}")


def test_an_unknown_flag_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings("--nosuch")
    assert "--nosuch" in capsys.readouterr().err
