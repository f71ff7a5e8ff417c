"""What Envoy tries again, how often, and which endpoint it leaves out: the defaults that the design states."""

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection

from services.router.snapshot import CLUSTER_TYPE, snapshot
from tests.unit.services.router.test_snapshot import SOCKETS, TWO, by_header, by_message

NOW = snapshot(SOCKETS, TWO)
UNANSWERED = {"unavailable", "connect-failure", "refused-stream", "reset"}


def cluster() -> Cluster:
    return Cluster.FromString(NOW.resources[CLUSTER_TYPE]["small/1"].body)


def ejection() -> OutlierDetection:
    return cluster().outlier_detection


def test_only_what_no_endpoint_has_answered_is_tried_again_and_once() -> None:
    for route in (by_message(NOW, "small", "1"), by_message(NOW, "small", ""), by_header(NOW, "small", "1")):
        policy = route.route.retry_policy
        assert set(policy.retry_on.split(",")) == UNANSWERED
        assert list(policy.retriable_status_codes) == []
        assert policy.num_retries.value == 1


def test_a_second_attempt_goes_to_another_endpoint() -> None:
    policy = by_message(NOW, "small", "1").route.retry_policy
    assert [host.name for host in policy.retry_host_predicate] == ["envoy.retry_host_predicates.previous_hosts"]
    assert policy.host_selection_retry_max_attempts == 50


def test_a_fifth_of_what_is_in_flight_is_tried_again_at_most_or_what_one_connection_carries() -> None:
    (thresholds,) = cluster().circuit_breakers.thresholds
    budget = thresholds.retry_budget
    assert (budget.budget_percent.value, budget.min_retry_concurrency.value) == (20, 1024)


def test_five_failures_in_a_row_put_an_endpoint_out_for_half_a_minute_and_longer_each_time() -> None:
    found = ejection()
    assert (found.consecutive_gateway_failure.value, found.enforcing_consecutive_gateway_failure.value) == (5, 100)
    local = (found.consecutive_local_origin_failure.value, found.enforcing_consecutive_local_origin_failure.value)
    assert (found.split_external_local_origin_errors, local) == (True, (5, 100))
    assert found.base_ejection_time.ToSeconds() == 30


def test_an_endpoint_is_not_put_out_for_what_a_model_does() -> None:
    found = ejection()
    for share in ("enforcing_consecutive_5xx", "enforcing_success_rate", "enforcing_local_origin_success_rate"):
        assert found.HasField(share)  # Envoy's own default is another
        assert getattr(found, share).value == 0


def test_half_of_the_endpoints_stay_whatever_they_answer() -> None:
    assert ejection().max_ejection_percent.value == 50
