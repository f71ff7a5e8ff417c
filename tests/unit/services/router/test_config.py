from pathlib import Path

import pytest
from pydantic import ValidationError

from services.router.config import ConfigError, Dns, load_config
from services.runtime.addresses import split_address


def written(folder: Path, text: str) -> Path:
    path = folder / "fleet.yaml"
    path.write_text(text)
    return path


def test_services_are_static_addresses_or_a_name(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "services: {text: ['h:1', 'h:2'], vision: {dns: 'vision:8510'}}"))
    assert config.services == {"text": ("h:1", "h:2"), "vision": Dns(dns="vision:8510")}


def test_the_defaults_are_the_fleets_ports(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "services: {text: ['h:1']}"))
    assert (config.address, config.metrics_address, config.reflection) == ("127.0.0.1:8500", "127.0.0.1:8501", False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("services: {}", "services"),
        ("services: {text: [nowhere]}", "'nowhere' is no host:port"),
        ("services: {text: ['h:99999']}", "host:port"),
        ("services: {text: ['h:1']}\nport: 1", "port"),
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


def test_a_config_cannot_be_changed(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "services: {text: ['h:1']}"))
    with pytest.raises(ValidationError):
        config.address = "h:2"


def test_an_address_comes_apart_with_ipv6_too() -> None:
    assert split_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split_address("[::1]:80") == ("::1", 80)
