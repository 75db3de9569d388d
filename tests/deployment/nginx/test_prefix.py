"""Monica under a path of another site: a real nginx strips it, and every link has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
import requests

from tests.deployment.nginx.bare import bare_nginx
from tests.support.command import monica
from tests.support.server import Server

KEY = "une-clef"
LOCATION = """
location /tts/ {{
    proxy_pass http://127.0.0.1:{port}/;
    proxy_set_header X-Forwarded-Prefix /tts;
}}
"""
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a Monica under /tts."""
    folder = tmp_path_factory.mktemp("mounted")
    settings = {"MONICA_ENGINE": "espeak", "MONICA_CACHE_DIR": str(folder / "cache"), "MONICA_API_KEY": KEY}
    with (
        Server(folder, settings | {"MONICA_PROXY_PREFIX": "on"}) as server,
        bare_nginx(folder, LOCATION.format(port=server.wait_ready().port)) as url,
    ):
        yield f"{url}/tts"


@pytest.mark.parametrize("page", ["/docs", "/docs/"])
def test_links_of_the_docs_lead_somewhere(mounted: str, page: str) -> None:
    answer = requests.get(mounted + page, timeout=20)
    assert answer.history == []
    links = re.findall(r'(?:href|src)="([^"]+)"|url: "([^"]+)"', answer.text)
    found = [urljoin(answer.url, link or spec) for link, spec in links]
    assert len(found) == 4
    assert all(requests.get(link, timeout=20).status_code == 200 for link in found)


def test_document_names_the_prefix_as_the_server(mounted: str) -> None:
    document = requests.get(f"{mounted}/openapi.json", timeout=20).json()
    (server,) = document["servers"]
    assert urljoin(mounted, server["url"]) == mounted
    said = requests.post(
        f"{urljoin(mounted, server['url'])}/blabla", json={"text": "Bo !"}, headers=HEADERS, timeout=60
    )
    assert said.status_code == 200


def test_location_of_a_job_leads_to_it(mounted: str) -> None:
    made = requests.post(f"{mounted}/v1/phrases/warm", json={"phrases": ["Tapis !"]}, headers=HEADERS, timeout=60)
    assert (made.status_code, made.headers["Location"]) == (202, f"/tts/v1/jobs/{made.json()['id']}")
    assert requests.get(urljoin(made.url, made.headers["Location"]), timeout=20).json()["id"] == made.json()["id"]


def test_commands_take_the_address_with_the_prefix(mounted: str) -> None:
    done = monica("say", "Tapis !", "-o", "-", "--url", f"{mounted}/", MONICA_API_KEY=KEY)
    assert (done.returncode, done.stdout[:4]) == (0, b"RIFF"), done.stderr


def test_without_the_setting_the_header_means_nothing(server: Server) -> None:
    headers = {"X-Forwarded-Prefix": "/tts"}
    assert "servers" not in requests.get(f"{server.url}/openapi.json", headers=headers, timeout=20).json()
    assert "/tts" not in requests.get(f"{server.url}/docs", headers=headers, timeout=20).text


def test_location_of_an_announcement_leads_to_it(mounted: str) -> None:
    made = requests.post(f"{mounted}/v1/announcements", json={"text": "Tapis !"}, headers=HEADERS, timeout=60)
    assert (made.status_code, made.headers["Location"]) == (201, f"/tts/v1/announcements/{made.json()['id']}")


def test_pages_for_people_stay_under_the_path(mounted: str) -> None:
    with requests.Session() as browser:
        page = browser.post(f"{mounted}/session", data={"cle": KEY, "page": "regie"}, timeout=20)
        assert page.status_code == 200
        assert 'name="root" content="/tts"' in page.text
        sources = re.findall(r'(?:src|href|action)="([^"]*)"', page.text)
        assert sources and all(source.startswith("/tts/") for source in sources)  # noqa: PT018
        assert browser.get(urljoin(mounted, "/tts/pages/regie.mjs"), timeout=20).status_code == 200
