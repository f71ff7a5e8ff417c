"""The supervision of Envoy, with small programs in its place that print what Envoy might."""

import asyncio
import sys

import pytest
from structlog.testing import capture_logs

from services.router.envoy import Envoy


def logged_by(program: str) -> list[tuple[str, str]]:
    """(level, text) of what became of the lines of a program that prints and ends."""

    async def until_it_ends() -> None:
        ended = asyncio.Event()
        supervising = asyncio.create_task(Envoy((sys.executable, "-c", program), ended.set).supervise())
        await asyncio.wait([supervising, asyncio.create_task(ended.wait())], return_when=asyncio.FIRST_COMPLETED)
        supervising.cancel()
        with pytest.raises(asyncio.CancelledError):
            await supervising

    with capture_logs() as lines:
        asyncio.run(until_it_ends())
    return [(line["log_level"], line["event"]) for line in lines if line["event"] != "envoy ended"]


def prints(data: bytes) -> str:
    return f"import sys; sys.stderr.buffer.write({data!r})"


def test_a_line_keeps_its_level() -> None:
    assert logged_by(prints(b"error|a|b\n\nwarning|c\n")) == [("error", "a|b"), ("warning", "c")]


def test_what_is_in_no_form_of_envoys_is_passed_on_whole() -> None:
    assert logged_by(prints(b"Segfault at 0x0|here\n\xff%s")) == [
        ("warning", "Segfault at 0x0|here"),
        ("warning", "\N{REPLACEMENT CHARACTER}%s"),
    ]


def test_a_line_of_megabytes_is_cut_and_those_behind_it_are_kept() -> None:
    program = "import sys; sys.stderr.write('error|' + 3_000_000 * 'x' + '\\nwarning|after\\n')"
    first, *others, last = logged_by(program)
    assert first[0] == "error"
    assert sum(len(text) for _, text in (first, *others)) == 3_000_000
    assert last == ("warning", "after")
