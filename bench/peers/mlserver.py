"""MLServer with its adaptive batching, on a small model class of ours, as its documents say how to write one."""

import json
import shutil
from pathlib import Path

from bench.cases import Case
from bench.peers.install import environment

NAME = "mlserver"
MAX_BATCH = 64
# Its batching waits for company in any case; this is the shortest wait that still fills batches.
MAX_WAIT_S = 0.001
# Its log as the harness reads one: an event a line.
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"events": {"format": '{"event": "%(message)s"}'}},
    "handlers": {"events": {"class": "logging.StreamHandler", "formatter": "events"}},
    "loggers": {"mlserver": {"level": "INFO", "handlers": ["events"]}},
}


def loaded_event(model: str) -> str:
    """What it logs once the model is there."""
    return f"Loaded model '{model}' successfully."


def command(case: Case, port: int, http_port: int, folder: Path) -> list[str]:
    """What starts it for the case's model, with everything that it reads written into `folder`."""
    program = environment(NAME) / "bin" / "mlserver"
    settings = {
        "host": "127.0.0.1",
        "grpc_port": port,
        "http_port": http_port,
        # In the server's own process: a worker process costs it a copy of every request, and it has one CPU here.
        "parallel_workers": 0,
        "metrics_endpoint": None,
        "debug": False,
        "logging_settings": _LOGGING,
        "grpc_max_message_length": -1,
    }
    model = {
        "name": case.model,
        "implementation": "mlserver_model.OnnxModel",
        "max_batch_size": MAX_BATCH,
        "max_batch_time": MAX_WAIT_S,
        "parameters": {"uri": str(case.graph.resolve())},
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    shutil.copy(Path(__file__).with_name("mlserver_model.py"), folder)
    return ["env", f"PYTHONPATH={folder}", str(program), "start", str(folder)]
