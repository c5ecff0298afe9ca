"""docs/storage-sftp.md shows the settings that there are, and says what is so."""

from __future__ import annotations

from pathlib import Path

from engine.contract.config import describe
from plugins.storage.sftp import SftpServer
from plugins.storage.sftp_server import reading, session, writing
from tests.plugins.sources.test_documentation import row

PAGE = Path(__file__).parents[4] / "docs" / "storage-sftp.md"


def test_the_page_has_the_table_of_the_settings() -> None:
    rows = ["| key | kind | what | default |", "|---|---|---|---|", *map(row, describe(SftpServer.Config))]
    wanted = "\n".join(rows)
    assert wanted in PAGE.read_text(encoding="utf-8"), f"{PAGE.name} should have this table:\n{wanted}"


def test_the_page_tells_the_figures_that_hold() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for figure in (
        f"{reading.AHEAD >> 20} MiB ahead",
        f"{writing.BEHIND >> 20} MiB",
        f"{session.ANSWER:.0f} s",
    ):
        assert figure in text
