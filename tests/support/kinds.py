"""Validates a document of Kubernetes by its kind.

Kubernetes' own kinds by its schemas, which the package kubernetes-validate has. KEDA's by the models of
cloudcoil-models-keda, made from its definitions. No package has those of KubeRay and of NGINX Ingress Controller, so
what deploy/kubernetes uses of them is listed here, from their references; the pods in a RayService are Kubernetes' own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from kubernetes_validate.utils import schema_contents
from pydantic import ValidationError
from referencing import Registry, Resource
from ruamel.yaml import YAML

from tests.support.manifests import Document

VERSION = kubernetes_validate.latest_version()
_DEFINITIONS = "https://kubernetes.io/api/_definitions.json"
STRING, TEXTS = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}
NUMBER, YES_OR_NO = {"type": "integer", "minimum": 0}, {"type": "boolean"}


class Refused(Exception):
    """Kubernetes, or the add-on whose kind it is, would not take the document. Says why."""


def _ours(kind: str) -> dict[str, str]:
    return {"$ref": f"{_DEFINITIONS}#/$defs/io.k8s.{kind}"}


def _closed(required: str, /, **fields: Any) -> dict[str, Any]:
    """Describe an object that has these fields and no others. In their names, _ stands for -."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return {"type": "object", "properties": named, "required": required.split(), "additionalProperties": False}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": 1}


def _one(kind: str, version: str, spec: dict[str, Any]) -> dict[str, Any]:
    head = {"apiVersion": {"const": version}, "kind": {"const": kind}}
    return _closed("apiVersion kind metadata spec", **head, metadata=_ours(_META), spec=spec)


_META = "apimachinery.pkg.apis.meta.v1.ObjectMeta"
_POD, _CONTAINER = _ours("api.core.v1.PodTemplateSpec"), _ours("api.core.v1.SecurityContext")
_DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}

# https://docs.nginx.com/nginx-ingress-controller/configuration/virtualserver-and-virtualserverroute-resources/
_ACTION = _closed("", **{"pass": STRING, "return": _closed("body", code=NUMBER, type=STRING, body=STRING)}) | {
    "minProperties": 1, "maxProperties": 1
}  # fmt: skip
_UPSTREAM = _closed(
    "name service port",
    name={"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"}, service=STRING, port=NUMBER,
    lb_method=STRING, max_fails=NUMBER, keepalive=NUMBER, connect_timeout=_DURATION, read_timeout=_DURATION,
    next_upstream=STRING, next_upstream_timeout=_DURATION, buffering=YES_OR_NO,
    client_max_body_size={"type": "string", "pattern": r"^\d+[kKmM]?$"},
)  # fmt: skip
_CONDITION = _closed("variable value", variable={"type": "string", "pattern": r"^\$"}, value=STRING)
_ROUTE = _closed(
    "path action", path={"type": "string", "pattern": "^(/|~|=)"}, action=_ACTION,
    matches=_list(_closed("conditions action", conditions=_list(_CONDITION), action=_ACTION)),
)  # fmt: skip
_VIRTUAL_SERVER = _one(
    "VirtualServer", "k8s.nginx.org/v1",
    _closed(
        "host upstreams routes", host=STRING, upstreams=_list(_UPSTREAM), routes=_list(_ROUTE),
        tls=_closed("secret", secret=STRING, redirect=_closed("enable", enable=YES_OR_NO)),
    ),
)  # fmt: skip

# https://ray-project.github.io/kuberay/reference/api/, of KubeRay 1.7
_WORKERS = _closed(
    "groupName rayStartParams template", groupName=STRING, replicas=NUMBER, minReplicas=NUMBER, maxReplicas=NUMBER,
    rayStartParams=TEXTS, template=_POD,
)  # fmt: skip
_RAY_CLUSTER = _closed(
    "headGroupSpec rayVersion", rayVersion=STRING,
    authOptions=_closed("mode", mode={"enum": ["disabled", "token"]}), enableInTreeAutoscaling=YES_OR_NO,
    autoscalerOptions=_closed(
        "", idleTimeoutSeconds=NUMBER, resources=_ours("api.core.v1.ResourceRequirements"), securityContext=_CONTAINER
    ),
    headGroupSpec=_closed("rayStartParams template", rayStartParams=TEXTS, template=_POD),
    workerGroupSpecs=_list(_WORKERS),
)  # fmt: skip
_RAY_SERVICE = _one(
    "RayService", "ray.io/v1",
    _closed(
        "rayClusterConfig serveConfigV2", serveConfigV2=STRING, excludeHeadPodFromServeSvc=YES_OR_NO,
        rayClusterConfig=_RAY_CLUSTER,
    ),
)  # fmt: skip

# https://keda.sh/docs/2.13/scalers/prometheus: KEDA's own schema takes any text there.
_PROMETHEUS = _closed(
    "serverAddress query threshold",
    serverAddress=STRING, query=STRING, threshold={"type": "string", "pattern": r"^\d+(\.\d+)?$"},
)  # fmt: skip


def validate(document: Document) -> None:
    """Raise Refused for a field that is unknown, missing, or of another type than its kind has it."""
    try:
        match document["kind"]:
            case "VirtualServer":
                _against(_VIRTUAL_SERVER, document)
            case "RayService":
                _against(_RAY_SERVICE, document)
            case "ScaledObject":
                written = json.dumps(document)
                ScaledObject.model_validate_json(written, strict=True, extra="forbid", by_alias=True, by_name=False)
                for trigger in document["spec"]["triggers"]:
                    assert trigger["type"] == "prometheus", "list here what another type of trigger takes"
                    _against(_PROMETHEUS, trigger["metadata"])
            case _:
                kubernetes_validate.validate(document, VERSION, strict=True)
    except (ValidationError, jsonschema.ValidationError) as error:
        raise Refused(str(error)) from error


def serve_config(document: Document) -> Document:
    """Return the configuration of Serve in a RayService."""
    config: Document = YAML(typ="safe").load(document["spec"]["serveConfigV2"])
    return config


def refusals_of_serve(configs: Sequence[Document]) -> list[str]:
    """Return what Ray Serve has against each configuration; "" is nothing. Asked plainly, it would pass over typos."""
    asked = subprocess.run(
        [sys.executable, "-c", _ASK_SERVE], input=json.dumps(configs), capture_output=True, text=True, timeout=120
    )
    assert asked.returncode == 0, asked.stderr
    answers: list[str] = json.loads(asked.stdout.splitlines()[-1])
    return answers


_ASK_SERVE = """
import json, sys
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import ServeDeploySchema

def refusal(config):
    try:
        for application in ServeDeploySchema.model_validate(config, extra="forbid").applications:
            for deployment in application.deployments:
                if isinstance(deployment.autoscaling_config, dict):  # the schema takes any
                    AutoscalingConfig.model_validate(deployment.autoscaling_config, extra="forbid")
    except ValueError as error:
        return str(error)
    return ""

print(json.dumps([refusal(config) for config in json.load(sys.stdin)]))
"""
"""In a process of its own: the tests' never imports Ray."""


@cache
def _registry() -> Registry[Any]:
    definitions = schema_contents(f"kubernetes-json-schema/v{VERSION}-local-strict/_definitions.json", VERSION)
    return Resource.from_contents(definitions) @ Registry()


def _against(schema: dict[str, Any], document: Document) -> None:
    jsonschema.Draft202012Validator(schema, registry=_registry()).validate(document)
