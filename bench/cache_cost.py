"""What an answer out of the response cache costs, beside running the small model for it.

`python -m bench.cache_cost [ROUNDS]` asks a service that keeps answers and one that does not the same eight messages in
turns, at 1 and 32 in flight: after the first of each every request hits.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from bench.cases import MANY, ONE, of_small_model
from bench.generator import generator
from bench.machine import pinned, usable_cpus
from bench.pairs import ROUNDS, compared, running
from tests.e2e.harness import ROOT, Processes


def main(rounds: int) -> None:
    case, sender, cpus = of_small_model(ROOT / ".cache" / "bench" / "models"), generator(), usable_cpus()
    with Processes() as processes, tempfile.TemporaryDirectory() as folder:
        keeping = Path(folder)
        shutil.copytree(case.models_dir / case.model, keeping / case.model)
        (keeping / case.model / "serving.yaml").write_text("cache_bytes: 1000000\n", encoding="utf-8")
        with pinned(cpus.server):
            folders = (keeping, case.models_dir)
            servers = [processes.service(case.kind, models, "--model", case.model) for models in folders]
        with pinned(cpus.load):
            pair = running(servers, case)
            for load in (ONE, MANY):
                print("from the cache and run,", compared(pair, case, load, sender, rounds), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)
