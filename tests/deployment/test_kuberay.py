"""The overlay for KubeRay: its replicas are those of deploy/ray, and only its servers reach them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from typing import Any
from urllib.parse import urlsplit

import pytest

from monica.config import Settings
from tests.support.kinds import serve_config
from tests.support.manifests import FOLDER, Document, find, load, overlay
from tests.support.ray_cluster import require_ray
from tests.support.server import ROOT

RAY = find("RayService", "replicas", "kuberay")
CLUSTER: Document = RAY["spec"]["rayClusterConfig"]
(WORKERS,) = CLUSTER["workerGroupSpecs"]
TEMPLATES = {"head": CLUSTER["headGroupSpec"]["template"], "replica": WORKERS["template"]}
PODS = pytest.mark.parametrize("part", TEMPLATES)


def container(part: str) -> Document:
    (only,) = TEMPLATES[part]["spec"]["containers"]
    return dict(only)


def environment_of_servers() -> dict[str, str]:
    (server,) = find("StatefulSet", within="kuberay")["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in server["env"]}


def test_replicas_are_those_of_deploy_ray() -> None:
    (file,) = load(ROOT / "deploy" / "ray" / "serve.yaml")
    (application,) = file["applications"]
    application["runtime_env"]["env_vars"]["MONICA_RAY_TOKEN_FILE"] = "/secrets/ray-token"
    (deployment,) = application["deployments"]
    deployment["autoscaling_config"]["min_replicas"] = 2
    assert serve_config(RAY) == file


def test_ray_is_the_one_that_is_installed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert extras["ray"] == [f"ray[serve]=={CLUSTER['rayVersion']}"]


def test_there_is_a_gpu_for_each_replica_and_a_pod_too_many_for_the_budget() -> None:
    (application,) = serve_config(RAY)["applications"]
    (deployment,) = application["deployments"]
    scaling = deployment["autoscaling_config"]
    assert (WORKERS["minReplicas"], WORKERS["maxReplicas"]) == (scaling["min_replicas"], scaling["max_replicas"])
    assert container("replica")["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert deployment["ray_actor_options"]["num_gpus"] == 1
    assert "nvidia.com/gpu" not in container("head")["resources"]["limits"]
    budget = find("PodDisruptionBudget", "replicas", "kuberay")["spec"]
    assert budget["minAvailable"] < WORKERS["minReplicas"]
    assert "maxUnavailable" not in budget, "not for pods that no built-in controller owns"


def test_a_replica_ends_its_takes_first() -> None:
    (application,) = serve_config(RAY)["applications"]
    (deployment,) = application["deployments"]
    grace = TEMPLATES["replica"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > deployment["graceful_shutdown_timeout_s"] > Settings().deadline_s


def test_servers_know_the_service_and_the_token_of_the_replicas() -> None:
    environment = environment_of_servers()
    assert environment["MONICA_ENGINE"] == "ray"
    address = urlsplit(environment["MONICA_RAY_ADDRESS"])
    assert address.hostname == f"{RAY['metadata']['name']}-serve-svc", "as KubeRay names it"
    ports = {each["name"]: each["containerPort"] for each in container("replica")["ports"]}
    assert address.port == ports["serve"] == serve_config(RAY)["http_options"]["port"]
    (application,) = serve_config(RAY)["applications"]
    token = application["runtime_env"]["env_vars"]["MONICA_RAY_TOKEN_FILE"]
    assert environment["MONICA_RAY_TOKEN_FILE"] == token
    folder, _, key = token.rpartition("/")
    mounted = {each["mountPath"]: each["name"] for each in container("replica")["volumeMounts"]}
    volumes = {each["name"]: each for each in TEMPLATES["replica"]["spec"]["volumes"]}
    assert volumes[mounted[folder]]["secret"]["items"] == [{"key": key, "path": key}]


def test_the_token_of_ray_is_asked_for() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token"}


def test_no_one_but_serve_scales() -> None:
    assert all(document["kind"] != "ScaledObject" for document in overlay("kuberay"))
    assert find("StatefulSet", within="kuberay")["spec"]["replicas"] > 1


@PODS
def test_hardened(part: str) -> None:
    pod = TEMPLATES[part]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000, "the user of the image"
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod.get("automountServiceAccountToken", True) is (part == "head"), "the autoscaler needs one"
    for own in (container(part)["securityContext"], CLUSTER["autoscalerOptions"]["securityContext"]):
        assert (own["readOnlyRootFilesystem"], own["allowPrivilegeEscalation"]) == (True, False)
        assert own["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container(part)["resources"]["limits"]
    assert {each["mountPath"] for each in container(part)["volumeMounts"]} >= {"/tmp"}


_ASK_RAY = """
import json
from ray._private.ray_constants import DEFAULT_DASHBOARD_AGENT_LISTEN_PORT
from ray.dashboard.http_server_agent import PUBLIC_EXACT_PATHS
print(json.dumps([DEFAULT_DASHBOARD_AGENT_LISTEN_PORT, PUBLIC_EXACT_PATHS]))
"""


def test_probes_ask_what_ray_answers_without_a_token() -> None:
    """They are written out because the operator's own call wget, which the image has not."""
    require_ray()
    asked = subprocess.run([sys.executable, "-c", _ASK_RAY], capture_output=True, text=True, timeout=120, check=True)
    port, paths = json.loads(asked.stdout.splitlines()[-1])
    for part in TEMPLATES:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            at = container(part)[probe]["httpGet"]
            if (part, probe) == ("replica", "readinessProbe"):
                assert at == {"path": "/-/healthz", "port": "serve"}, "Serve's own"
            else:
                assert (at["port"], at["path"] in paths) == (port, True), (part, probe)


def _policies() -> list[Document]:
    return [each["spec"] for each in overlay("kuberay") if each["kind"] == "NetworkPolicy"]


def test_network_policies_reach_what_they_are_about() -> None:
    labels: list[dict[str, str]] = [each["metadata"]["labels"] for each in TEMPLATES.values()]
    labels += [find(kind, name)["spec"]["template"]["metadata"]["labels"]
               for kind, name in (("StatefulSet", "monica"), ("Deployment", "store"))]  # fmt: skip
    peers = [peer["podSelector"] for policy in _policies() for way, to in (("ingress", "from"), ("egress", "to"))
             for rule in policy.get(way, []) for peer in rule.get(to, []) if "podSelector" in peer]  # fmt: skip
    budget = find("PodDisruptionBudget", "replicas", "kuberay")["spec"]["selector"]
    for selector in [policy["podSelector"] for policy in _policies()] + peers + [budget]:
        assert any(selector["matchLabels"].items() <= each.items() for each in labels), selector


def test_only_ray_reaches_all_of_ray() -> None:
    """Monica may speak to Serve, and the operator to the dashboard."""
    rules: list[Any] = find("NetworkPolicy", "replicas", "kuberay")["spec"]["ingress"]
    free = [rule for rule in rules if "ports" not in rule]
    assert [rule["from"] for rule in free] == [
        [{"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "replicas"}}}]
    ]
    assert [rule["ports"] for rule in rules if rule not in free] == [[{"port": "serve"}], [{"port": "dashboard"}]]


def test_the_images_can_be_built_as_it_says() -> None:
    said = (FOLDER / "overlays" / "kuberay" / "kustomization.yaml").read_text(encoding="utf-8")
    built = dict(re.findall(r"docker build -t (\S+) (.+) \.$", said, re.MULTILINE))
    images = {container(part)["image"] for part in TEMPLATES}
    assert images <= set(built)
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (image,) = images
    for argument in re.findall(r"--build-arg (\w+)=", built[image]):
        assert f"\nARG {argument}=" in dockerfile.partition("FROM uv AS build")[2], argument
