"""The fleet's own processes, run as the manifests say: probes, DNS, drains, restarts and crashes under load."""

import re
import signal
import urllib.request
from pathlib import Path

import pytest
import yaml

from k8s.testing.control_plane import is_ready
from k8s.testing.pod import Probe

from .conftest import DEPLOYMENTS, K8S, MODELS, NAMESPACE, PODS
from .machine import PROCESSES, first_process, ready_endpoints, runs_of
from .page import KUBERNETES, README, commands_on
from .test_overlays import available


@pytest.fixture(scope="module")
def fleet(add_machine, cluster, api):
    """A machine with the local overlay, brought up by the README's own commands."""
    machine = add_machine("machine", MODELS)
    commands = commands_on(README, "Other languages, and Kubernetes", "kubectl apply")
    cluster.run_as_typed(commands, MODELS.parent)
    api.wait(DEPLOYMENTS, available, 240)
    return machine


def test_the_page_has_the_commands_of_the_readme(fleet):
    deploy = commands_on(KUBERNETES, "Deploy", "kubectl apply")
    assert deploy == commands_on(README, "Other languages, and Kubernetes", "kubectl apply")


def test_the_router_has_an_endpoint_for_each_model_that_the_commands_brought(fleet, router):
    models = ("digits", "word-language", "diabetes", "income")
    assert {model: ready_endpoints(router, model) for model in models} == dict.fromkeys(models, 1)


def test_each_process_is_ready_by_its_own_probes_without_a_restart(fleet):
    runs = [run for name in PROCESSES for run in runs_of(fleet, name)]
    assert [run.restarts for run in runs] == [0] * 4
    assert all(0 < run.ready_after_s < 60 for run in runs)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_runs_as_nobody_in_particular_without_rights_on_a_root_that_it_cannot_write(fleet, name):
    (run,) = runs_of(fleet, name)
    about = Path(f"/proc/{first_process(run).pid}")
    lines = (about / "status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert status["Uid"].split() == ["10001"] * 4
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    options = {line.split()[1]: line.split()[3].split(",") for line in (about / "mounts").read_text().splitlines()}
    assert "ro" in options["/"]
    assert "rw" in options["/tmp"]


def test_a_process_stays_well_below_its_memory_limit(fleet):
    for run in fleet.runs.values():
        limits = run.process.limits
        assert 0 < limits.most_memory() < limits.memory * 0.8


def test_the_processes_count_everything_that_the_rules_ask_for(fleet):
    rules = yaml.safe_load((K8S / "components" / "monitoring" / "rules.yaml").read_text())["spec"]["groups"]
    rules = [rule for group in rules for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"\b(?:argosy|envoy)_\w+\b(?!=)", rule["expr"])}
    pages = "".join(metrics_of(run) for name in PROCESSES for run in runs_of(fleet, name))
    counted = {name for name in asked if re.search(rf"^(# TYPE )?{name}[ {{]", pages, re.MULTILINE)}
    assert asked - counted == {rule["record"] for rule in rules if "record" in rule} & asked
    (of_callers,) = {series for rule in rules for series in re.findall(r"envoy_\w+{[^}]+}", rule["expr"])}
    assert of_callers in pages


def metrics_of(run):
    """What Prometheus reads of a pod."""
    (container,) = run.pod["spec"]["containers"]
    (port,) = (port["containerPort"] for port in container["ports"] if port["name"] == "metrics")
    with urllib.request.urlopen(f"http://{run.sandbox.address}:{port}/metrics", timeout=10) as page:
        return page.read().decode()


def test_a_second_replica_is_found_by_name_and_one_that_goes_is_missed_by_nobody(fleet, cluster, api, router, load):
    cluster.kubectl("-n", NAMESPACE, "scale", "deployment/argosy-vision", "--replicas=2")
    api.wait(DEPLOYMENTS, available, 120)
    first, _ = runs_of(fleet, "argosy-vision")
    load.wait_for_answers(200)
    assert ready_endpoints(router, "digits") == 2
    cluster.kubectl("-n", NAMESPACE, "delete", "pod", first.pod["metadata"]["name"])
    api.wait(DEPLOYMENTS, available, 120)
    assert first.ended.exit_code == 0
    assert not first.ended.killed


def test_a_process_that_is_killed_is_started_again_and_no_call_is_lost(fleet, api, load):
    run = runs_of(fleet, "argosy-vision")[0]
    first_process(run).kill()
    restarted(api, run, 1)


def test_a_frozen_process_is_killed_by_its_liveness_probe_and_started_again(fleet, api):
    run = runs_of(fleet, "argosy-tabular")[0]
    first_process(run).send_signal(signal.SIGSTOP)
    restarted(api, run, 1)


def test_envoy_has_kept_its_stream_to_the_router_through_the_quiet_that_was(fleet):
    (run,) = runs_of(fleet, "argosy-router")
    assert "config stream" not in run.log.read_text()


def test_with_every_model_down_the_router_gets_no_callers_and_is_not_restarted(fleet, cluster, api):
    (run,) = runs_of(fleet, "argosy-router")
    cluster.kubectl("-n", NAMESPACE, "scale", *(f"deployment/{name}" for name in PROCESSES[:3]), "--replicas=0")
    name = run.pod["metadata"]["name"]
    api.wait(PODS, lambda pods: [pod for pod in pods if pod["metadata"]["name"] == name and not is_ready(pod)], 90)
    (container,) = run.pod["spec"]["containers"]
    assert all(Probe(container[probe]).passes(run.sandbox.address) for probe in ("startupProbe", "livenessProbe"))


def restarted(api, run, times):
    name = run.pod["metadata"]["name"]

    def again(pods):
        states = [pod["status"]["containerStatuses"][0] for pod in pods if pod["metadata"]["name"] == name]
        return [state for state in states if state["restartCount"] == times and state["ready"]]

    assert api.wait(PODS, again, 240)
