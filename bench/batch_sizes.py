"""What a row costs by the size of its batch, in ONNX Runtime alone on one CPU, and the size that a service would take.

`python -m bench.batch_sizes [ROUNDS]`: least CPU µs a row of several rounds, on the benchmark's own rows. A service
measures on rows of zeros as it loads, and only where all rows are of one size (`services/runtime/batch_size.py`).
"""

import sys

from rich.console import Console
from rich.table import Table

from bench import alone
from bench.cases import cases
from bench.machine import usable_cpus
from services.runtime.batch_size import largest_cheap
from tests.e2e.harness import ROOT

ROUNDS = 3
SIZES = (1, 2, 4, 8, 16, 32)


def main(rounds: int) -> None:
    cpus = usable_cpus()
    table = Table("CPU µs a row in batches of", *map(str, SIZES), "taken")
    for case in cases(ROOT / ".cache" / "bench" / "models"):
        if case.name != case.model:  # the same graph, asked in another way
            continue
        found = [alone.measure(case, cpus, SIZES) for _ in range(rounds)]
        least = {rows: min(raws[place].cpu_us for raws in found) for place, rows in enumerate(SIZES)}
        table.add_row(case.name, *(f"{us:.1f}" for us in least.values()), str(largest_cheap(least, SIZES[-1])))
    Console(width=120).print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)
