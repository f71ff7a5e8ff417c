"""What Argosy's services cost and answer, beside Triton, MLServer, plain grpcio and ONNX Runtime alone.

`make bench`, or `python -m bench [--quick] [--case NAME …] [--contender NAME …]`: set up what is missing, check every
answer, measure, print tables, write .cache/bench/bench.json. `--markdown` prints README's table of the last run.
"""

import argparse
import signal
import sys

from bench import headroom, report, start_up
from bench.cases import Case, cases
from bench.contenders import CONTENDERS, Contender
from bench.figures import Figures, merged, read, write
from bench.generator import generator
from bench.machine import facts, pinned, usable_cpus
from bench.markdown import table
from bench.measure import Plan, measure
from tests.e2e.harness import ROOT

FOLDER = ROOT / ".cache" / "bench"
REPORT = FOLDER / "bench.json"
WHOLE = Plan(rounds=3, seconds=1.0, waves=4)
QUICK = Plan(rounds=1, seconds=0.4, waves=2)


def main() -> int:
    # So that the servers end with it, as they do on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = _parser().parse_args()
    if options.markdown:
        print(table(read(REPORT)))
        return 0
    known = cases(FOLDER / "models")
    if unknown := set(options.case or ()) - {case.name for case in known}:
        sys.exit(f"no such case: {', '.join(unknown)}; there are {', '.join(case.name for case in known)}")
    chosen = [case for case in known if not options.case or case.name in options.case]
    contenders = [one for one in CONTENDERS if not options.contender or one.name in options.contender]
    figures = run(known[0], chosen, contenders, QUICK if options.quick else WHOLE)
    write(merged(read(REPORT), figures) if options.case and REPORT.is_file() else figures, REPORT)
    report.show(figures)
    return int(figures.faults > 0)


def run(smallest: Case, chosen: list[Case], contenders: list[Contender], plan: Plan) -> Figures:
    """Everything; what is going on is told on standard error."""
    cpus, sender = usable_cpus(), generator()
    with pinned(cpus.load):
        _tell("the load against an echo")
        echo = headroom.measure(smallest, sender, cpus, plan)
        starts = start_up.measure(smallest, cpus)
        found = []
        for case in chosen:
            _tell(case.name)
            found.append(measure(case, contenders, sender, cpus, plan))
    return Figures(facts(), cpus.shared, sender.name, echo, starts, tuple(found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: three minutes instead of fifteen")
    parser.add_argument(
        "--case", action="append", help="measure only this case, keep the last figures of others; repeatable"
    )
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument("--contender", action="append", choices=names, help="measure only this one; repeatable")
    parser.add_argument("--markdown", action="store_true", help="measure nothing, print the last run as README's table")
    return parser


def _tell(what: str) -> None:
    print(f"measuring {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
