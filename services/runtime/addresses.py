"""`host:port`, as settings and fleet.yaml state where to listen and where an endpoint is."""

from typing import Annotated

from pydantic import AfterValidator


def split_address(address: str) -> tuple[str, int]:
    """`host:port` apart; the brackets of an IPv6 host are dropped."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def join_address(host: str, port: int) -> str:
    """`host:port`, with brackets round an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host_and_port(address: str) -> str:
    host, separator, port = address.rpartition(":")
    if not (host and separator and port.isdigit() and int(port) < 1 << 16):
        raise ValueError(f"'{address}' is no host:port")
    try:
        # As it is made to be looked up: no label may be empty or have more than 63 characters.
        host.encode("idna")
    except UnicodeError:
        raise ValueError(f"'{host}' is no host name") from None
    return address


Address = Annotated[str, AfterValidator(_host_and_port)]
