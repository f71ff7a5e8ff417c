import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.router.config import ConfigError, Dns, load_config, with_flags
from services.runtime.addresses import join_address, split_address


def written(folder: Path, text: str) -> Path:
    path = folder / "fleet.yaml"
    path.write_text(text)
    return path


def test_services_are_static_addresses_or_a_name(tmp_path: Path) -> None:
    text = "services: {text: ['10.0.0.4:1', '[fd00::4]:2'], vision: {dns: 'vision:8510'}}"
    config = load_config(written(tmp_path, text))
    assert config.services == {"text": ("10.0.0.4:1", "[fd00::4]:2"), "vision": Dns(dns="vision:8510")}


def test_the_defaults_are_the_fleets_ports(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "services: {text: ['10.0.0.4:1']}"))
    assert (config.address, config.metrics_address, config.reflection) == ("127.0.0.1:8500", "127.0.0.1:8501", False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("services: {}", "services"),
        ("services: {text: [nowhere]}", "'nowhere' is no host:port"),
        ("services: {text: ['h:99999']}", "host:port"),
        ("services: {text: ['10.0.0.4:1']}\nport: 1", "port"),
        ("services: {text: ['text:8520']}", "'text:8520' is no IP:port; a service with a name is written {dns: …}"),
        ("services: {text: ['fd00::4:8520']}", "'fd00::4:8520' is no IP:port: write it as"),
        ("address: localhost:8500\nservices: {text: []}", "address: Value error, 'localhost:8500' is no IP:port"),
        ("services: {text: {dns: 'text..argosy:8520'}}", "'text..argosy' is no host name"),
        (f"services: {{text: {{dns: '{64 * 't'}:8520'}}}}", f"'{64 * 't'}' is no host name"),
        ("metrics_address: a..b:1\nservices: {text: []}", "'a..b' is no host name"),
        ("services: [", "no YAML"),
        ("services: 2024-02-30", "no YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no .*fleet\.yaml"):
        load_config(tmp_path / "fleet.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)


def test_what_the_command_line_says_goes_over_the_file(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "services: {text: ['10.0.0.4:1']}"))
    assert with_flags(config, {"address": "0.0.0.0:9000"}).address == "0.0.0.0:9000"


def test_a_flag_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    config = written(tmp_path, "services: {text: ['10.0.0.4:1']}")
    command = [sys.executable, "-m", "services.router", "--config", str(config), "--address", "9000"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    (said,) = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert "address: Value error, '9000' is no host:port" in said


def test_a_config_cannot_be_changed(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "services: {text: ['10.0.0.4:1']}"))
    with pytest.raises(ValidationError):
        config.address = "10.0.0.4:2"


def test_an_address_comes_apart_and_together_with_ipv6_too() -> None:
    assert split_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split_address("[::1]:80") == ("::1", 80)
    assert join_address("127.0.0.1", 80) == "127.0.0.1:80"
    assert join_address("::1", 80) == "[::1]:80"
