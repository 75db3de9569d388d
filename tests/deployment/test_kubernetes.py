"""deploy/kubernetes is true to Monica's settings, metrics, paths and nginx's site. test_kinds.py validates it."""

from __future__ import annotations

import json
import math
import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from flask import Flask
from prometheus_client import REGISTRY

from monica import metrics
from monica.config import Settings
from monica.synthesis.take import Lane, Source
from tests.support.manifests import OVERLAYS, Document, find, overlay
from tests.support.server import ROOT
from tests.support.system import program

SETTINGS = {field.metadata["name"] for field in fields(Settings)}
NODES = pytest.mark.parametrize("within", ["", *OVERLAYS], ids=["base", *OVERLAYS])


def container(node: Document) -> Document:
    (only,) = node["spec"]["template"]["spec"]["containers"]
    return dict(only)


@NODES
def test_settings_exist_and_their_values_are_right(
    within: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    node = find("StatefulSet", within=within)
    environment = {each["name"]: each["value"] for each in container(node)["env"]}
    assert set(environment) <= SETTINGS
    assert "MONICA_SHARED_STORE" in environment, "the patch replaced the list"
    (tmp_path / "api-key").write_text("sesame")
    mounted = {each["name"]: each["mountPath"] for each in container(node)["volumeMounts"]}
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace(mounted["secrets"], str(tmp_path)))
    settings = Settings.from_env()
    assert (settings.port, settings.api_key) == (8080, "sesame")
    store = find("Service", "store")
    assert settings.shared_store == f"redis://store:{store['spec']['ports'][0]['port']}"


def test_gpu_pod_has_a_gpu_and_refuses_to_speak_without() -> None:
    node = container(find("StatefulSet", within="gpu"))
    environment = {each["name"]: each["value"] for each in node["env"]}
    assert (environment["MONICA_ENGINE"], environment["MONICA_DEVICE"]) == ("chatterbox", "cuda")
    assert node["resources"]["limits"]["nvidia.com/gpu"] == "1"


@NODES
def test_a_pod_ends_what_it_has_begun(within: str) -> None:
    graceful_timeout = math.ceil(Settings().deadline_s) + 5
    assert (
        find("StatefulSet", within=within)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        >= graceful_timeout + 10
    )


def test_probes_ask_what_exists(app: Flask) -> None:
    paths = {rule.rule for rule in app.url_map.iter_rules()}
    node = container(find("StatefulSet"))
    probed = {name: node[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert set(probed.values()) <= paths
    assert probed["readinessProbe"] == "/health"
    assert probed["livenessProbe"] == "/health/live", "a node that loads or degrades must not be killed"
    assert node["ports"] == [{"name": "http", "containerPort": 8080}]


@pytest.mark.parametrize(("kind", "name"), [("StatefulSet", "monica"), ("Deployment", "store")])
def test_hardened(kind: str, name: str) -> None:
    pod = find(kind, name)["spec"]["template"]["spec"]
    own = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (own["readOnlyRootFilesystem"], own["allowPrivilegeEscalation"]) == (True, False)
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    assert "memory" in pod["containers"][0]["resources"]["limits"]


def test_only_volumes_are_written_to() -> None:
    mounts = {each["mountPath"]: each.get("readOnly", False) for each in container(find("StatefulSet"))["volumeMounts"]}
    assert mounts == {"/data": False, "/tmp": False, "/secrets": True}
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "HF_HOME=/data/hub MONICA_CACHE_DIR=/data/cache" in dockerfile
    assert "USER 1000:1000" in dockerfile


def test_selectors_select() -> None:
    labels = {
        find(kind, name)["metadata"]["name"]: find(kind, name)["spec"]["template"]["metadata"]["labels"]
        for kind, name in (("StatefulSet", "monica"), ("Deployment", "store"))
    }
    selected = {
        ("Service", "monica"): "monica", ("Service", "monica-nodes"): "monica", ("Service", "store"): "store",
        ("PodDisruptionBudget", "monica"): "monica", ("NetworkPolicy", "monica"): "monica",
        ("NetworkPolicy", "store"): "store",
    }  # fmt: skip
    for (kind, name), of in selected.items():
        spec = find(kind, name)["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        assert selector.get("matchLabels", selector) == labels[of], (kind, name)
    first = find("Service", "monica-first")["spec"]["selector"]
    assert first == labels["monica"] | {"statefulset.kubernetes.io/pod-name": "monica-0"}
    assert find("StatefulSet")["spec"]["serviceName"] == "monica-nodes"


def test_scaling_asks_for_series_that_exist() -> None:
    scaled = find("ScaledObject")["spec"]
    target = scaled["scaleTargetRef"]
    assert find(target["kind"], target["name"])["apiVersion"] == target["apiVersion"]
    assert "replicas" not in find("StatefulSet")["spec"], "applying it again would undo what KEDA decided"
    known = {sample for family in REGISTRY.collect() for sample in (family.name, f"{family.name}_bucket")}
    assert metrics.queue_depth._labelnames == ("lane",)
    assert metrics.speech_duration._labelnames == ("cache",)
    queries = [trigger["metadata"]["query"] for trigger in scaled["triggers"]]
    for query in queries:
        assert set(re.findall(r"monica_\w+", query)) <= known
        assert "gpu" not in query.lower()
        assert set(re.findall(r'lane="(\w+)"', query)) <= set(Lane)
        assert set(re.findall(r'cache="(\w+)"', query)) <= set(Source)
        assert 'job="monica"' in query
    assert 'monica_queue_depth{job="monica", lane="live"}' in queries[0]
    assert scaled["minReplicaCount"] > find("PodDisruptionBudget")["spec"]["maxUnavailable"]


def upstream_of(path: str, method: str = "GET") -> str:
    """Return which upstream a request goes to: the regular expressions in order, then the prefix."""
    for route in find("VirtualServer")["spec"]["routes"]:
        pattern = route["path"].removeprefix("~")
        if not (re.search(pattern, path) if route["path"].startswith("~") else path.startswith(pattern)):
            continue
        for match in route.get("matches", []):
            (condition,) = match["conditions"]
            if condition == {"variable": "$request_method", "value": method}:
                return f"{match['action']['return']['code']}"
        action = route["action"]
        return str(action.get("pass") or action["return"]["code"])
    raise AssertionError(f"{path} goes nowhere")


@pytest.mark.parametrize(
    ("method", "path", "where"),
    [
        ("POST", "/blabla", "monica"),
        ("GET", "/blabla", "monica"),
        ("POST", "/v1/audio/speech", "monica"),
        ("GET", "/health", "monica"),
        ("GET", "/v1/audio/voices", "first"),
        ("POST", "/v1/audio/voices", "409"),
        ("DELETE", "/v1/audio/voices/marie", "409"),
        ("PUT", "/v1/lexicon", "409"),
        ("POST", "/v1/phrases/warm", "first"),
        ("PUT", "/v1/phrases/ab12/pin", "first"),
        ("POST", "/v1/phrases/bundle", "bundles"),
        ("GET", "/v1/jobs", "first"),
        ("POST", "/v1/announcements", "first"),
        ("GET", "/v1/events", "first"),
        ("GET", "/", "first"),
        ("GET", "/salle", "first"),
        ("GET", "/metrics", "403"),
    ],
)
def test_ingress_sends_each_path_where_nginx_does(method: str, path: str, where: str) -> None:
    assert upstream_of(path, method) == where


SPOKEN = {"/blabla", "/v1/audio/speech", "/v1/text", "/v1/models", "/v1/models/x", "/health", "/health/live"}
"""What any node answers alike, by its home."""


def test_what_a_node_has_for_itself_goes_to_the_first_one(app: Flask) -> None:
    """By nginx's site and by the ingress, whatever endpoints there will be."""
    site = (ROOT / "nginx" / "site.conf").read_text(encoding="utf-8")
    one_node = re.findall(r"location ~ (\S+) \{[^}]*?(?:\}[^}]*?)?proxy_pass http://monica_(?:jobs|phrases);", site)
    assert len(one_node) == 4
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<key:\w+>", "ab12", re.sub(r"<int:\w+>", "1", rule.rule))
        path = re.sub(r"<[^>]+>", "x", path)
        if path.startswith("/v1/") and path not in SPOKEN:
            assert any(re.search(pattern, path) for pattern in one_node), path
            assert upstream_of(path) in ("first", "bundles"), path
        elif path in SPOKEN:
            assert upstream_of(path) == "monica", path


def test_ingress_refuses_as_nginx_does() -> None:
    """The controller wants the quotes of a body escaped."""
    (body,) = {
        match["action"]["return"]["body"]
        for route in find("VirtualServer")["spec"]["routes"]
        for match in route.get("matches", [])
    }
    assert re.fullmatch(r'([^"\\]|\\.)*', body)
    error = json.loads(body.replace('\\"', '"'))["error"]
    site = (ROOT / "nginx" / "site.conf").read_text(encoding="utf-8")
    assert f'"code": "{error["code"]}", "message": "{error["message"]}"' in site


def test_queries_are_promql(tmp_path: Path) -> None:
    queries = [trigger["metadata"]["query"] for trigger in find("ScaledObject")["spec"]["triggers"]]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "keda", "rules": rules}]}))
    checked = subprocess.run(
        [program("promtool"), "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stderr


def test_ingress_is_as_patient_as_nginx() -> None:
    upstreams = {each["name"]: each for each in find("VirtualServer")["spec"]["upstreams"]}
    proxy = (ROOT / "nginx" / "proxy.conf").read_text(encoding="utf-8")
    assert f"proxy_next_upstream {upstreams['monica']['next-upstream']};" in proxy
    assert f"proxy_next_upstream_timeout {upstreams['monica']['next-upstream-timeout']};" in proxy
    assert re.fullmatch(r"hash \$request_body\S* consistent", upstreams["monica"]["lb-method"])
    for upstream in upstreams.values():
        assert f"proxy_read_timeout {upstream['read-timeout']};" in proxy
        assert find("Service", upstream["service"])["spec"]["ports"][0]["port"] == upstream["port"]


def test_no_secret_is_in_the_files() -> None:
    assert all(document["kind"] != "Secret" for within in OVERLAYS for document in overlay(within))
