from argosy.v1.model_pb2 import MODEL_STATE_READY, ModelStatus, WatchModelsResponse
from services.router.inventory import Endpoint, Link
from services.router.watch import reported

HERE = Endpoint("text", "h:1")


def test_a_report_brings_an_endpoint_up_with_its_models_and_services() -> None:
    status = ModelStatus(model="small", version="1", state=MODEL_STATE_READY, default_version=True)
    now = reported(HERE, WatchModelsResponse(models=[status], services=["argosy.v1.TextService"]))
    assert now.link is Link.UP
    assert [(m.model, m.version, m.ready, m.default) for m in now.models] == [("small", "1", True, True)]
    assert now.services == ("argosy.v1.TextService",)


def test_an_endpoint_that_drains_is_no_longer_up() -> None:
    assert reported(HERE, WatchModelsResponse(draining=True)).link is Link.DRAINING


def test_a_name_that_cannot_be_routed_is_left_out() -> None:
    statuses = [ModelStatus(model='sm"all', version="1"), ModelStatus(model="small", version="")]
    assert reported(HERE, WatchModelsResponse(models=statuses)).models == ()
