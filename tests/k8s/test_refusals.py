"""A wrong manifest of each kind is refused by the API server, with a reason that names the mistake."""

import copy
import re

import pytest
import yaml

from .conftest import NAMESPACE, remove_namespace


def change(path, value):
    """A function that sets `path` of a copy to `value`."""

    def of(item):
        changed = copy.deepcopy(item)
        at = changed
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        return changed

    return of


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
SAY = ("spec", "groups", 0, "rules", 0)

WRONG = [
    ("Deployment", change(("spec", "replica"), 2), "unknown field"),
    ("Deployment", change(("spec", "selector", "matchLabels"), {"app": "other"}), "selector.*does not match"),
    ("Deployment", change((*CONTAINER, "resources", "requests", "memory"), "9Gi"), "must be less than or equal"),
    ("Deployment", change((*CONTAINER, "livenessProbe", "grpc", "port"), 70000), "between 1 and 65535"),
    ("Deployment", change(("spec", "strategy", "rollingUpdate", "maxSurge"), 0), "may not be 0"),
    ("Service", change(("spec", "ports", 1, "name"), "grpc"), "Duplicate value"),
    ("ServiceAccount", change(("automountServiceAccountToken",), "no"), "of type bool"),
    ("ConfigMap", change(("data", "a/b"), "x"), "valid config key"),
    ("Namespace", change(("metadata", "labels", "pod-security.kubernetes.io/enforce"), "strict"), "must be one of"),
    ("PriorityClass", change(("value",), 2_000_000_000), "maximum allowed value"),
    ("PodDisruptionBudget", change(("spec", "minAvailable"), 1), "cannot be both set"),
    ("HorizontalPodAutoscaler", change(("spec", "maxReplicas"), 1), "greater than or equal to"),
    ("NetworkPolicy", change(("spec", "ingress"), [{"from": [{"ipBlock": {"cidr": "10.0.0.300/8"}}]}]), "(?i)cidr|IP"),
    ("Gateway", change(("spec", "listeners", 0, "port"), 0), "greater than or equal to 1"),
    ("GRPCRoute", change(("spec", "rules", 0, "backendRefs", 0, "port"), None), "(?i)port"),
    ("Certificate", change(("spec", "privateKey", "algorithm"), "DSA"), "Unsupported value"),
    ("PodMonitor", change(("spec", "podMetricsEndpoints", 0, "interval"), "often"), "should match"),
    ("PrometheusRule", change((*SAY, "expr"), None), "(?i)expr"),
]


@pytest.fixture(scope="module")
def objects(rendered, cluster):
    """What the production overlay renders, by kind: one of each; its namespace is there."""
    found = {item["kind"]: item for item in yaml.safe_load_all(rendered("production"))}
    cluster.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump(found["Namespace"]))
    yield found
    remove_namespace(cluster)


def send(cluster, item):
    arguments = ("apply", "--dry-run=server", "--validate=strict", "-f", "-")
    return cluster.kubectl(*arguments, check=False, text=yaml.safe_dump(item))


@pytest.mark.parametrize(("kind", "wrong", "says"), WRONG, ids=[f"{kind}-{says}" for kind, _, says in WRONG])
def test_a_wrong_object_is_refused_and_the_right_one_is_not(cluster, objects, kind, wrong, says):
    refused = send(cluster, wrong(objects[kind]))
    assert refused.returncode
    assert re.search(says, refused.stderr), refused.stderr
    if kind != "Namespace":
        accepted = send(cluster, objects[kind])
        assert not accepted.returncode, accepted.stderr


def test_every_kind_of_the_production_overlay_has_a_wrong_object(objects):
    assert {kind for kind, _, _ in WRONG} == set(objects)


def test_a_keda_object_without_a_target_is_refused(cluster, objects):
    wrong = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
             "metadata": {"name": "x", "namespace": NAMESPACE}, "spec": {"triggers": []}}  # fmt: skip
    assert "scaleTargetRef" in send(cluster, wrong).stderr


@pytest.mark.parametrize(
    "weaker",
    [
        change((*POD, "securityContext", "runAsNonRoot"), False),
        change((*CONTAINER, "securityContext", "allowPrivilegeEscalation"), True),
        change((*CONTAINER, "securityContext", "capabilities"), {}),
        change((*POD, "securityContext", "seccompProfile"), {"type": "Unconfined"}),
        change((*POD, "hostNetwork"), True),
        change((*POD, "volumes", 0), {"name": "models", "hostPath": {"path": "/"}}),
    ],
    ids=["root", "escalation", "capabilities", "seccomp", "host-network", "host-path"],
)
def test_a_pod_that_is_weaker_than_the_restricted_standard_is_forbidden(cluster, objects, weaker):
    spec = weaker(objects["Deployment"])["spec"]["template"]["spec"]
    # The pod's own standing is what is asked about: what it names elsewhere is not there.
    del spec["priorityClassName"]
    metadata = {"name": "weaker", "namespace": NAMESPACE}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {**spec, "serviceAccountName": "default"},
    }
    refused = send(cluster, pod)
    assert 'violates PodSecurity "restricted' in refused.stderr
