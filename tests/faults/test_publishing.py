"""The moment in which a backup gets its name: the request is lost, or its answer, or it is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.events import Status
from tests.faults.conftest import FULL
from tests.faults.three import Three, error_of, three_destinations
from tests.parts.commands import Installation
from tests.parts.s3 import S3Server
from tests.parts.sftp_standin import Do, StandIn
from tests.parts.sshd import SshServer, running

pytestmark = pytest.mark.faults

# ------------------------------------------------------------------------------------------------- S3

REQUESTS = {
    "begin": r"^POST .*[?&]uploads",
    "part": r"^PUT .*[?&]partNumber=2",
    "complete": r"^POST .*[?&]uploadId=",
    "sidecar": r"^PUT .*\.meta\.json",
}
"""S3's requests of one backup, in their order."""
ALL_S3 = [(name, answered) for name in REQUESTS for answered in (False, True)]
FEW_S3 = [("begin", True), ("part", False), ("complete", True), ("sidecar", True)]


def s3_cases(few: list[tuple[str, bool]]) -> pytest.MarkDecorator:
    cases = ALL_S3 if FULL else few
    names = [f"{name}-{'lost answer' if answered else 'lost request'}" for name, answered in cases]
    return pytest.mark.parametrize(("request_", "answered"), cases, ids=names)


@s3_cases([("complete", False)])
def test_s3_is_reset_at_a_request(three: Three, request_: str, answered: bool) -> None:
    """Asked once more it may have it; if not, nothing of it stays."""
    three.succeeds()
    before = three.before()
    rule = three.cloud.cut_on(REQUESTS[request_], answered=answered)
    execution = three.run()
    assert rule.happened
    three.costs_only(execution, "cloud")
    three.sound(before)


@pytest.mark.parametrize("request_", list(REQUESTS) if FULL else ["complete"])
def test_s3_is_reset_at_a_request_again_and_again(three: Three, request_: str) -> None:
    """It keeps the others waiting for nothing, and is right again with the next run."""
    three.succeeds()
    before = three.before()
    rule = three.cloud.cut_on(REQUESTS[request_], answered=True, times=1000)
    execution = three.run()
    assert rule.happened
    ended = three.costs_only(execution, "cloud")
    assert ended is Status.FAILED or request_ in ("complete", "sidecar")
    three.sound(before)


@s3_cases(FEW_S3)
def test_s3_has_it_at_the_second_try(
    three: Three, request_: str, answered: bool, quick_retries: None
) -> None:
    three.configure(upload_attempts=3)
    three.succeeds()
    before = three.before()
    rule = three.cloud.cut_on(REQUESTS[request_], answered=answered)
    execution = three.run()
    assert rule.happened
    assert three.costs_only(execution, "cloud") is Status.SUCCESS, error_of(execution, "cloud")
    three.sound(before)


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalError"), (503, "SlowDown"), (429, "SlowDown")] if FULL else [(503, "SlowDown")],
)
def test_a_storm_of_errors(three: Three, status: int, code: str, quick_retries: None) -> None:
    """It passes while there are attempts left, and fails that destination alone when it lasts."""
    three.configure(upload_attempts=6)
    three.succeeds()
    before = three.before()
    rules = [three.cloud.answer(status, code, match=its, times=1) for its in REQUESTS.values()]
    execution = three.run()
    assert all(rule.happened for rule in rules)
    assert three.costs_only(execution, "cloud") is Status.SUCCESS, error_of(execution, "cloud")

    three.configure(upload_attempts=3)
    rule = three.cloud.answer(status, code, match="^(PUT|POST|DELETE)", times=1000)
    execution = three.run()
    assert rule.happened
    assert three.costs_only(execution, "cloud") is Status.FAILED
    assert code in error_of(execution, "cloud") or str(status) in error_of(execution, "cloud")
    three.sound(before)


@pytest.mark.parametrize("status", [500, 503] if FULL else [500])
def test_a_storm_that_begins_in_the_middle(three: Three, status: int) -> None:
    """Not even the unfinished upload can be taken back: it stays on record until the next start."""
    three.succeeds()
    before = three.before()
    three.cloud.answer(status, match=REQUESTS["part"], times=1000)
    three.cloud.answer(status, match="^DELETE ", times=1000)
    execution = three.run()
    assert three.costs_only(execution, "cloud") is Status.FAILED
    assert three.places["cloud"].unfinished(), "the storm has kept it from being aborted"
    three.sound(before)


def test_a_completion_that_answers_200_and_says_that_it_failed(three: Three) -> None:
    """S3 sends the status before it has put the parts together; what comes then may be an error."""
    three.succeeds()
    before = three.before()
    rule = three.cloud.answer(200, "InternalError", match=REQUESTS["complete"], times=1000)
    execution = three.run()
    assert rule.happened
    assert three.costs_only(execution, "cloud") is Status.FAILED
    three.sound(before)


# ----------------------------------------------------------------------------------------------- SFTP


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    return StandIn(tmp_path_factory.mktemp("standin"))


@pytest.fixture(scope="module")
def held_sshd(standin: StandIn) -> Iterator[SshServer]:
    """A server between which and its sftp-server somebody stands."""
    with running(options=[standin.option]) as server:
        yield server


@pytest.fixture
def held(
    installation: Installation, s3: S3Server, bucket: str, held_sshd: SshServer, standin: StandIn
) -> Iterator[Three]:
    standin.clear()
    with three_destinations(installation, s3, bucket, held_sshd) as its:
        yield its


RENAMES: list[tuple[str, Do, str]] = [
    ("rename", do, name) for do in ("cut", "lose answer", "stall", "die") for name in ("", ".meta.json")
]
OTHERS: list[tuple[str, Do, str]] = [
    ("open", "cut", ""),
    ("write", "die", ""),
    ("fsync", "cut", ""),
    ("close", "cut", ""),
]


def sftp_cases(*few: tuple[str, Do, str]) -> pytest.MarkDecorator:
    cases = [*RENAMES, *OTHERS] if FULL else few
    names = ["-".join([request, do, *(["sidecar"] if name else [])]) for request, do, name in cases]
    return pytest.mark.parametrize(("request_", "do", "name"), cases, ids=names)


@sftp_cases(("rename", "cut", ""), ("rename", "lose answer", ".meta.json"), ("rename", "stall", ""))
def test_sftp_is_reset_at_a_request(held: Three, standin: StandIn, request_: str, do: Do, name: str) -> None:
    held.configure(stall_after=4)
    held.succeeds()
    before = held.before()
    standin.order(request_, do, name)
    execution = held.run()
    assert standin.happened
    ended = held.costs_only(execution, "server")
    assert ended is Status.FAILED or do == "lose answer"
    held.sound(before)


@sftp_cases(("rename", "lose answer", ""), ("rename", "die", ".meta.json"), ("write", "die", ""))
def test_sftp_has_it_at_the_second_try(
    held: Three, standin: StandIn, request_: str, do: Do, name: str, quick_retries: None
) -> None:
    held.configure(stall_after=4, upload_attempts=3)
    held.succeeds()
    before = held.before()
    standin.order(request_, do, name)
    execution = held.run()
    assert standin.happened
    assert held.costs_only(execution, "server") is Status.SUCCESS, error_of(execution, "server")
    held.sound(before)
