"""Hosts as people configure them: used by name of ID, refused in circles, told apart from their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.values import SourceReport
from engine.errors import ConfigError, ConnectionFailed, NeedsTrust, UsageError
from engine.workspace import Workspace
from tests.parts.sshd import SshServer, sshd  # noqa: F401 - a fixture


def values(server: SshServer) -> dict[str, object]:
    return {key: value for key, value in server.values().items() if key != "path"}


def test_a_host_is_tested_by_running_something_there(workspace: Workspace, sshd: SshServer) -> None:  # noqa: F811
    host = workspace.endpoints.save("host", "db-server", "ssh", values(sshd))
    assert "runs tools (Linux" in str(workspace.endpoints.check(host))


def test_a_source_is_checked_on_its_host(
    workspace: Workspace,
    sshd: SshServer,  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("x")
    host = workspace.endpoints.save("host", "db-server", "ssh", values(sshd))
    source = workspace.endpoints.save(
        "source", "documents", "files", {"path": str(tmp_path / "data")}, host=host.id
    )
    before = len(sshd.log())
    assert isinstance(workspace.endpoints.check(source), SourceReport)
    assert "Accepted publickey" in sshd.log()[before:], "it was not asked over SSH"
    with pytest.raises(UsageError, match="used by documents"):
        workspace.endpoints.delete("host", "db-server")
    workspace.endpoints.delete("source", "documents")
    workspace.endpoints.delete("host", "db-server")


def test_the_question_about_a_hosts_key_is_the_hosts_and_not_the_sources(
    workspace: Workspace,
    sshd: SshServer,  # noqa: F811
    tmp_path: Path,
) -> None:
    unknown = {**values(sshd), "known_hosts": str(tmp_path / "nobody")}
    host = workspace.endpoints.save("host", "db-server", "ssh", unknown)
    with pytest.raises(NeedsTrust):
        workspace.endpoints.check(host)
    source = workspace.endpoints.save("source", "documents", "files", {"path": "/"}, host=host.id)
    with pytest.raises(ConnectionFailed, match="db-server is not trusted yet") as caught:
        workspace.endpoints.check(source)
    assert "strongroom check host db-server" in caught.value.remedy


def test_a_hosts_password_is_in_no_error(workspace: Workspace, sshd: SshServer) -> None:  # noqa: F811
    wrong = {**values(sshd), "private_key": None, "password": "pässword of the host"}
    host = workspace.endpoints.save("host", "db-server", "ssh", {k: v for k, v in wrong.items() if v})
    source = workspace.endpoints.save("source", "documents", "files", {"path": "/"}, host=host.id)
    with pytest.raises(ConnectionFailed) as caught:
        workspace.endpoints.check(source)
    assert "pässword" not in f"{caught.value} {caught.value.remedy}"
    assert workspace.endpoints.secrets(source) == ["pässword of the host"]


def test_a_way_that_goes_in_a_circle_is_refused(workspace: Workspace) -> None:
    save = workspace.endpoints.save
    one = save("host", "one", "docker", {"container": "one"})
    two = save("host", "two", "docker", {"container": "two"}, host=one.id)
    with pytest.raises(ConfigError, match="by way of itself"):
        save("host", "one", "docker", {"container": "one"}, id=one.id, host=two.id)
    with pytest.raises(ConfigError, match="is this machine"):
        save("host", "local", "docker", {"container": "x"})
    with pytest.raises(ConfigError, match="reached from this machine"):
        save("destination", "disk", "local", {"path": "/tmp/x"}, host=one.id)
