"""What the tests ask of the node that runs the fleet's processes, and of the fleet on it."""

import grpc
import psutil

from argosy.v1.model_pb2 import ListModelsRequest
from argosy.v1.model_pb2_grpc import ModelServiceStub

from .conftest import PODS

PROCESSES = ("argosy-vision", "argosy-text", "argosy-tabular", "argosy-router")


def runs_of(node, name):
    """The pods of one Deployment whose process runs."""
    found = [run for run in node.runs.values() if run.process is not None and run.ended is None]
    return [run for run in found if run.pod["metadata"]["name"].startswith(name)]


def first_process(run):
    """What the container's process number one is on this machine."""
    (child,) = psutil.Process(run.process.popen.pid).children()
    return child


def names_of(runs):
    return {run.pod["metadata"]["name"] for run in runs}


def wait_until_gone(api, runs):
    """Until the API server has none of these pods any more."""
    api.wait(PODS, lambda pods: not names_of(runs) & {pod["metadata"]["name"] for pod in pods}, 120)


def ready_endpoints(address, model):
    """How many endpoints of a model the router at `address` has."""
    with grpc.insecure_channel(address) as channel:
        models = ModelServiceStub(channel).ListModels(ListModelsRequest(), 10).models
    return sum(found.ready_endpoint_count for found in models if found.model == model)
