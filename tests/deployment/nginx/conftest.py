from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deployment.nginx.site import Site, make_certificate
from tests.support.server import Server

Front = Callable[..., Site]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    make_certificate(folder)
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, certificate: Path, server: Server) -> Iterator[Site]:
    """nginx in front of a real Monica, shared by all tests that do not change it."""
    with Site(tmp_path_factory.mktemp("site"), certificate, [server.wait_ready().port]) as site:
        yield site


@pytest.fixture
def front(tmp_path: Path, certificate: Path) -> Iterator[Front]:
    """Put an nginx in front of nodes, given by their ports, with changes to its configuration."""
    with ExitStack() as stack:

        def put(*nodes: int, changes: Mapping[str, str] | None = None) -> Site:
            folder = tmp_path / "site"
            folder.mkdir()
            return stack.enter_context(Site(folder, certificate, nodes, changes))

        yield put
