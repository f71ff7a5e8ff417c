"""`host:port`, as settings and fleet.yaml state where to listen and where an endpoint is."""

from typing import Annotated

from pydantic import AfterValidator


def split_address(address: str) -> tuple[str, int]:
    """`host:port` apart; the brackets of an IPv6 host are dropped."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _host_and_port(address: str) -> str:
    host, separator, port = address.rpartition(":")
    if not (host and separator and port.isdigit() and int(port) < 1 << 16):
        raise ValueError(f"'{address}' is no host:port")
    return address


Address = Annotated[str, AfterValidator(_host_and_port)]
