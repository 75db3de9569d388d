"""Every document of deploy/kubernetes is valid, and a wrong one would be refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.kinds import Refused, refusals_of_serve, serve_config, validate
from tests.support.manifests import BASE, FOLDER, OVERLAYS, Document, base, find, kustomization, load, overlay
from tests.support.ray_cluster import require_ray
from tests.support.server import ROOT

Change = Callable[[Any], object]
DOCUMENTS = [("base", each) for each in base()] + [
    (name, each) for name in OVERLAYS for each in overlay(name) if each not in base()
]


@pytest.mark.parametrize(
    "document",
    [pytest.param(each, id=f"{where}-{each['kind']}-{each['metadata']['name']}") for where, each in DOCUMENTS],
)
def test_every_document_is_valid(document: Document) -> None:
    validate(document)


def test_every_file_is_used() -> None:
    named = {BASE / name for name in kustomization(BASE)["resources"]}
    for name in OVERLAYS:
        folder = FOLDER / "overlays" / name
        described = kustomization(folder)
        assert set(described) <= {"apiVersion", "kind", "namespace", "resources", "images", "patches"}
        named |= {folder / file for file in described["resources"][1:]}
        named |= {folder / patch["path"] for patch in described["patches"]}
        (image,) = described["images"]
        (container,) = find("StatefulSet")["spec"]["template"]["spec"]["containers"]
        assert container["image"].split(":")[0] == image["name"]
    assert named == {path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml"}


def pod(document: Any) -> Any:
    return document["spec"]["template"]["spec"]


def head(document: Any) -> Any:
    return document["spec"]["rayClusterConfig"]["headGroupSpec"]


def workers(document: Any) -> Any:
    (group,) = document["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    return group


def worker(document: Any) -> Any:
    (container,) = workers(document)["template"]["spec"]["containers"]
    return container


def upstream(document: Any, number: int = 0) -> Any:
    return document["spec"]["upstreams"][number]


def trigger(document: Any) -> Any:
    return document["spec"]["triggers"][0]


def behaviour(document: Any) -> Any:
    return document["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]


MISTAKES: dict[str, dict[str, tuple[Change, str]]] = {
    "StatefulSet": {
        "unknown field of a pod": (lambda it: pod(it).update(terminationGracePeriod=90), "terminationGracePeriod"),
        "number for a string": (lambda it: pod(it)["containers"][0].update(image=8), "8 is not"),
    },
    "ScaledObject": {
        "nothing to scale": (lambda it: it["spec"].pop("scaleTargetRef"), "spec.scaleTargetRef"),
        "nothing to scale by": (lambda it: it["spec"].pop("triggers"), "spec.triggers"),
        "nameless": (lambda it: it["spec"]["scaleTargetRef"].pop("name"), "scaleTargetRef.name"),
        "typo": (lambda it: it["spec"].update(minReplicas=2), "minReplicas"),
        "text for a number": (lambda it: it["spec"].update(minReplicaCount="2"), "minReplicaCount"),
        "version": (lambda it: it.update(apiVersion="keda.sh/v1"), "keda.sh/v1alpha1"),
        "typo deep down": (lambda it: behaviour(it)["scaleUp"].update(policy=[]), "scaleUp.policy"),
        "typo in metadata": (lambda it: it["metadata"].update(labelled={}), "labelled"),
        "trigger's typo": (lambda it: trigger(it).update(metricTyp="Value"), "metricTyp"),
        "trigger's type": (lambda it: trigger(it).pop("type"), "triggers.0.type"),
        "number in a trigger": (lambda it: trigger(it)["metadata"].update(threshold=2), "metadata.threshold"),
        "Prometheus' typo": (lambda it: trigger(it)["metadata"].update(thresholds="1"), "thresholds"),
        "no query": (lambda it: trigger(it)["metadata"].pop("query"), "'query' is a required"),
    },
    "VirtualServer": {
        "typo": (lambda it: upstream(it).update(lb_method="hash"), "lb_method"),
        "text for a number": (lambda it: upstream(it).update(port="80"), "'80' is not"),
        "number for a string": (lambda it: upstream(it).update({"client-max-body-size": 0}), "0 is not"),
        "two actions": (lambda it: it["spec"]["routes"][-1]["action"].update({"return": {"body": ""}}), "too many"),
        "no path": (lambda it: it["spec"]["routes"][0].pop("path"), "'path' is a required"),
    },
    "RayService": {
        "typo": (lambda it: it["spec"].update(serveConfig=""), "serveConfig"),
        "no cluster": (lambda it: it["spec"].pop("rayClusterConfig"), "rayClusterConfig"),
        "no head": (lambda it: it["spec"]["rayClusterConfig"].pop("headGroupSpec"), "headGroupSpec"),
        "YAML for its text": (lambda it: it["spec"].update(serveConfigV2={}), "is not of type 'string'"),
        "number for a string": (lambda it: head(it)["rayStartParams"].update({"num-cpus": 0}), "0 is not"),
        "unknown field of a pod": (lambda it: workers(it)["template"]["spec"].update(grace=9), "grace"),
        "no name": (lambda it: worker(it).pop("name"), "'name' is a required"),
        "probe": (lambda it: worker(it)["livenessProbe"]["httpGet"].pop("port"), "'port' is a required"),
        "text for a number": (lambda it: workers(it).update(maxReplicas="4"), "'4' is not"),
        "mode": (lambda it: it["spec"]["rayClusterConfig"]["authOptions"].update(mode="tokens"), "tokens"),
    },
}


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        pytest.param(kind, change, said, id=f"{kind}: {what}")
        for kind, mistakes in MISTAKES.items()
        for what, (change, said) in mistakes.items()
    ],
)
def test_mistakes_are_refused(kind: str, change: Change, said: str) -> None:
    name, within = ("replicas", "kuberay") if kind == "RayService" else ("monica", "")
    wrong = copy.deepcopy(find(kind, name, within))
    change(wrong)
    with pytest.raises(Refused, match=said):
        validate(wrong)


def _deployment(config: Any) -> Any:
    return config["applications"][0]["deployments"][0]


MISTAKES_IN_SERVE: dict[str, tuple[Change, str]] = {
    "typo": (lambda it: it.update(proxy_locations="EveryNode"), "proxy_locations"),
    "value": (lambda it: it.update(proxy_location="Everywhere"), "proxy_location"),
    "nothing to import": (lambda it: it["applications"][0].pop("import_path"), "import_path"),
    "deployment's typo": (lambda it: _deployment(it).update(max_ongoing=8), "max_ongoing"),
    "text for a number": (lambda it: _deployment(it).update(max_ongoing_requests="many"), "max_ongoing_requests"),
    "actor's typo": (lambda it: _deployment(it)["ray_actor_options"].update(num_gpu=1), "num_gpu"),
    "scaling's typo": (lambda it: _deployment(it)["autoscaling_config"].update(min_replica=1), "min_replica"),
    "fewest above most": (lambda it: _deployment(it)["autoscaling_config"].update(min_replicas=9), "min_replicas"),
    "port's typo": (lambda it: it["http_options"].update(prot=8000), "prot"),
}


def test_ray_serve_takes_its_configurations_and_no_wrong_ones() -> None:
    require_ray()
    (file,) = load(ROOT / "deploy" / "ray" / "serve.yaml")
    right = [file, serve_config(find("RayService", "replicas", "kuberay"))]
    wrong = []
    for change, _ in MISTAKES_IN_SERVE.values():
        wrong.append(copy.deepcopy(right[1]))
        change(wrong[-1])
    refusals = refusals_of_serve(right + wrong)
    assert refusals[:2] == ["", ""]
    for (what, (_, said)), refusal in zip(MISTAKES_IN_SERVE.items(), refusals[2:], strict=True):
        assert said in refusal, what
