"""The configuration of Ray Serve that ships names what there is."""

from __future__ import annotations

import ast
from dataclasses import fields

from ruamel.yaml import YAML

from monica.config import Settings
from monica.engine.registry import engine_names
from tests.support.server import ROOT


def test_the_configuration_fits_the_code() -> None:
    config = YAML(typ="safe").load((ROOT / "deploy" / "ray" / "serve.yaml").read_text())
    (application,) = config["applications"]
    module, _, name = application["import_path"].partition(":")
    tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
    assigned = {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
                if isinstance(target, ast.Name)}  # fmt: skip
    assert name in assigned
    (deployment,) = application["deployments"]
    assert deployment["name"] in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    variables = application["runtime_env"]["env_vars"]
    assert set(variables) <= {field.metadata["name"] for field in fields(Settings)}
    assert variables["MONICA_ENGINE"] in engine_names()
    assert variables["MONICA_LANGUAGE"] == Settings().language
    assert deployment["graceful_shutdown_timeout_s"] > Settings().deadline_s
    # The queue of a replica is Monica's, which knows lanes: Serve's begins where that one ends.
    assert deployment["max_ongoing_requests"] == Settings().queue_size + 8
