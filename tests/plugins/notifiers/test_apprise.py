"""The Apprise notifier against a real HTTP server: what arrives, and what a failure says."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import strongroom
from engine.contract.config import build, describe, secret_fields
from engine.errors import ConfigError
from plugins.notifiers.apprise import Apprise, NotDelivered
from strongroom.testing.readers import context
from tests.parts.webhook import SECRET, Server, webhook

MESSAGE = strongroom.Message(
    title="shop-nightly failed",
    body="The disk of 'offsite' is full.",
    level="error",
    facts=(("Job", "shop-nightly"), ("Status", "Failed")),
)


@pytest.fixture
def server() -> Iterator[Server]:
    with webhook() as server:
        yield server


def notifier(url: str, folder: Path, **values: Any) -> Apprise:
    return Apprise(build(Apprise.Config, {"url": url, **values}), context(folder))


def test_the_whole_url_is_the_secret() -> None:
    assert secret_fields(Apprise.Config) == {"url"}
    assert SECRET not in repr(build(Apprise.Config, {"url": f"json://user:{SECRET}@host"}))
    assert [spec.name for spec in describe(Apprise.Config)] == ["url", "time_limit"]


@pytest.mark.parametrize("url", ["", "example.org", f"{SECRET}", "://x"])
def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(Apprise.Config, {"url": url})
    assert raised.value.field == "url"
    assert not url or url not in str(raised.value)


def test_a_message_arrives_with_its_facts(server: Server, tmp_path: Path) -> None:
    notifier(server.url, tmp_path).send(MESSAGE)
    assert server.paths == ["/tokentoken"]
    [got] = server.got
    assert got["title"] == "shop-nightly failed"
    assert got["message"] == "The disk of 'offsite' is full.\n\nJob: shop-nightly\nStatus: Failed"
    assert got["type"] == "failure"


def test_the_rendered_payload_is_what_arrives_and_holds_no_secret(server: Server, tmp_path: Path) -> None:
    channel = notifier(server.url, tmp_path)
    payload = channel.render(MESSAGE)
    channel.send(MESSAGE)
    [got] = server.got
    assert (payload["title"], payload["body"], payload["type"]) == (got["title"], got["message"], got["type"])
    text = json.dumps(payload)
    assert SECRET not in text
    assert "tokentoken" not in text


@pytest.mark.parametrize("level", ["info", "success", "warning"])
def test_levels_become_the_services_own(server: Server, tmp_path: Path, level: str) -> None:
    notifier(server.url, tmp_path).send(strongroom.Message("t", "b", level))
    assert server.got[0]["type"] == level
    assert server.got[0]["message"] == "b"


def test_the_test_is_a_real_message(server: Server, tmp_path: Path) -> None:
    assert notifier(server.url, tmp_path).check() == "A test message was sent by json."
    assert "Strongroom" in server.got[0]["title"]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_refusal_is_a_failure_that_says_why(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(NotDelivered) as raised:
        notifier(server.url, tmp_path).send(MESSAGE)
    assert str(status) in raised.value.message
    assert SECRET not in raised.value.message
    assert "tokentoken" not in raised.value.message


def test_an_absent_server_is_a_failure_without_the_secret(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url
    server.server_close()
    with caplog.at_level(logging.DEBUG), pytest.raises(NotDelivered) as raised:
        notifier(url, tmp_path).send(MESSAGE)
    for text in (raised.value.message, caplog.text, *capfd.readouterr()):
        assert SECRET not in text
        assert "tokentoken" not in text


def test_a_service_that_does_not_answer_ends_at_the_time_limit(server: Server, tmp_path: Path) -> None:
    server.hold = threading.Event()
    url = f"{server.url}?rto=60"
    with pytest.raises(NotDelivered, match="no answer in 1 seconds"):
        notifier(url, tmp_path, time_limit=1).send(MESSAGE)
    assert server.got


def test_a_service_that_apprise_does_not_know_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        notifier(f"nosuchservice://{SECRET}", tmp_path).send(MESSAGE)
    assert raised.value.field == "url"
    assert "nosuchservice" in raised.value.message
    assert SECRET not in str(raised.value)


def test_without_the_library_the_remedy_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(strongroom.StrongroomError) as raised:
        notifier("json://host", tmp_path).send(MESSAGE)
    assert "strongroom[notify]" in raised.value.remedy


def test_loading_the_adapter_does_not_load_the_library() -> None:
    code = "import sys, plugins.notifiers.apprise; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0
