"""What an index, a load and an unload may ask for: the one repository, a model by its name, and of Triton's parameters
one that changes nothing here.

A version is loaded as its manifest and the operator's serving.yaml say. A request that wants another configuration,
other files or another repository is refused: answered OK, its caller would take the old version for the new one.
"""

from inference.grpc_service_pb2 import (
    RepositoryIndexRequest,
    RepositoryModelLoadRequest,
    RepositoryModelUnloadRequest,
)
from services.runtime.errors import ServingError, invalid_input, shown

# Triton's clients send it with every unload; no model depends on another.
_DEPENDENTS = "unload_dependents"


def check_index(request: RepositoryIndexRequest) -> None:
    """Raises ServingError (INVALID_INPUT) for one repository among several."""
    _check_repository(request.repository_name)


def check_load(request: RepositoryModelLoadRequest) -> None:
    """Raises ServingError (INVALID_INPUT) for anything besides the model's name."""
    _check_repository(request.repository_name)
    for name in sorted(request.parameters):
        raise _not_taken(name, "a version is loaded as its manifest and serving.yaml say")


def check_unload(request: RepositoryModelUnloadRequest) -> None:
    """Raises ServingError (INVALID_INPUT) for anything besides the model's name and `unload_dependents`."""
    _check_repository(request.repository_name)
    for name in sorted(request.parameters):
        if name != _DEPENDENTS:
            raise _not_taken(name, f"an unload has no parameter but {_DEPENDENTS}")
        if request.parameters[name].WhichOneof("parameter_choice") != "bool_param":
            raise invalid_input(f"parameters.{name}: true or false is needed", f"parameters.{name}")


def _check_repository(name: str) -> None:
    if name:
        text = f"repository_name: there is one repository, which has no name; got '{shown(name)}'"
        raise invalid_input(text, "repository_name")


def _not_taken(name: str, why: str) -> ServingError:
    field = f"parameters.{shown(name)}"
    return invalid_input(f"{field}: not taken: {why}", field)
