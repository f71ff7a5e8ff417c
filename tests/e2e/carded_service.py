"""The tabular service on a card that is acted out: `python -m tests.e2e.carded_service --provider cuda --models-dir …`.

Everything else of it is the tabular service's own.
"""

import os
import sys

from services.runtime.ending import end_process
from services.runtime.service import main
from services.tabular.__main__ import TABULAR
from tests.acted_card import acted_card

if __name__ == "__main__":
    with acted_card():
        end_process(main(TABULAR, sys.argv[1:], os.environ))
