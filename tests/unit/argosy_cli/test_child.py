"""A supervised program, with small real programs."""

import asyncio
import json
import os
import signal
import sys

import pytest

from argosy_cli.child import Child, restart_pause_s
from argosy_cli.errors import CliError
from argosy_cli.logs import plain_line
from argosy_cli.programs import Listening

ANY = Listening("127.0.0.1:0", "127.0.0.1:0")

SERVE = """
import json, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
print("not JSON", flush=True)
address = "127.0.0.1:7001" if sys.argv[1].endswith(":0") else sys.argv[1]
print(json.dumps({"event": "serving", "address": address, "started_with": sys.argv[1]}), flush=True)
signal.pause()
"""
IGNORE_SIGTERM = """
import json, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"event": "serving", "address": "127.0.0.1:7001"}), flush=True)
signal.pause()
"""
FAIL = """
import sys
print("argosy vision: port 8510 is taken", file=sys.stderr)
sys.exit(3)
"""


class Heard:
    """What a child said and which deaths were mended; `restarted` is set at the first."""

    def __init__(self):
        self.lines = []
        self.restarts = []
        self.restarted = asyncio.Event()

    def line(self, name, text):
        self.lines.append(text)

    def restart(self, name, code, pause_s):
        self.restarts.append((code, pause_s))
        self.restarted.set()


def child_of(program, heard):
    return Child("vision", lambda at: [sys.executable, "-c", program, at.address], ANY, heard.line, heard.restart)


def test_a_child_has_started_once_its_log_says_where_it_serves():
    async def scenario():
        heard = Heard()
        child = child_of(SERVE, heard)
        listening = await child.start()
        await child.drain()
        return listening, heard.lines

    listening, lines = asyncio.run(scenario())
    assert listening.address == "127.0.0.1:7001"
    assert lines[0] == "not JSON"
    assert lines[-1] == "bye"


def test_a_child_that_ends_before_it_serves_is_an_error_with_its_last_line():
    async def scenario():
        await child_of(FAIL, Heard()).start()

    with pytest.raises(
        CliError, match=r"^vision at 127.0.0.1:0 ended with code 3 before it was ready: .*port 8510 is taken$"
    ):
        asyncio.run(scenario())


def test_a_killed_child_is_started_again_where_it_served_before():
    async def scenario():
        heard = Heard()
        child = child_of(SERVE, heard)
        await child.start()
        keeping = asyncio.create_task(child.keep_running())
        first = child.pid
        os.kill(first, signal.SIGKILL)
        await heard.restarted.wait()
        while child.pid == first:
            await asyncio.sleep(0)
        fields = await child.logged("serving")
        keeping.cancel()
        await child.drain()
        return heard.restarts, fields

    restarts, fields = asyncio.run(scenario())
    assert restarts == [(-signal.SIGKILL, 0.5)]
    assert fields["started_with"] == "127.0.0.1:7001"


def test_the_pause_before_a_restart_doubles_up_to_half_a_minute():
    assert [restart_pause_s(failures) for failures in (1, 2, 3, 7, 1000)] == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_kill_ends_a_child_that_ignores_sigterm_and_the_drain_that_waits_for_it():
    async def scenario():
        child = child_of(IGNORE_SIGTERM, Heard())
        await child.start()
        draining = asyncio.create_task(child.drain())
        child.kill()
        await asyncio.wait_for(draining, 10)

    asyncio.run(scenario())


def test_what_a_dead_child_started_does_not_outlive_it():
    parent = f"""
import json, subprocess, sys, os, signal
grandchild = subprocess.Popen([sys.executable, "-c", {SERVE!r}, ":0"], stdout=subprocess.DEVNULL)
print(json.dumps({{"event": "serving", "address": str(grandchild.pid)}}), flush=True)
signal.pause()
"""

    async def scenario():
        child = child_of(parent, Heard())
        listening = await child.start()
        grandchild = os.pidfd_open(int(listening.address))
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(grandchild, gone.set)
        await child.drain()
        await asyncio.wait_for(gone.wait(), 10)
        asyncio.get_running_loop().remove_reader(grandchild)
        os.close(grandchild)

    asyncio.run(scenario())


def test_log_lines_that_are_json_but_no_object_are_only_passed_on():
    async def scenario():
        heard = Heard()
        program = "import json; print(json.dumps([1])); print(json.dumps({'event': 5}))"
        with pytest.raises(CliError):
            await child_of(program, heard).start()
        return heard.lines

    assert asyncio.run(scenario()) == ["[1]", json.dumps({"event": 5})]


def test_a_log_line_is_shown_to_a_person_as_level_event_and_fields():
    line = json.dumps({"event": "version refused", "model": "digits", "level": "warning", "timestamp": "now", "n": 1})
    assert plain_line(line) == "warning: version refused model=digits"
    assert plain_line("Traceback (most recent call last):") == "Traceback (most recent call last):"
