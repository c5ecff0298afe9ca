"""What a run and its destinations come to, for every way in which each copy may end."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import product
from typing import Any, cast

import pytest

from engine.cancellation import CancelToken
from engine.cli.output import ExitCode, exit_code_of
from engine.events import Status
from engine.pipeline.context import Artifact, DestinationContext, RunnerContext, UploadResult
from engine.pipeline.outcome import copy_results, destination_results, settle_status
from engine.records import Endpoint
from engine.rules.retention import Retention

S, F, C, NEVER = Status.SUCCESS, Status.FAILED, Status.CANCELLED, None
"""How a copy may end; `NEVER`, for a whole database: its dump failed, and no destination got anything."""
Fate = Status | None


def run_of(table: list[list[Fate]], *, cancelled: bool = False) -> RunnerContext:
    """A run that has ended: a row a database, in it a fate a destination; a row of NEVER was not dumped."""
    ctx = cast(Any, RunnerContext)(
        services=None,
        execution=None,
        job=None,
        recorder=None,
        cancel=CancelToken(),
        stack=ExitStack(),
        started_at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    if cancelled:
        ctx.cancel.cancel()
    width = max(len(row) for row in table) or 2
    for number in range(width):
        place = Endpoint("destination", f"d{number}", f"place{number}", "local", {})
        ctx.destinations.append(DestinationContext(place, number, Retention()))
    ctx.databases = tuple(f"db{number}" for number in range(len(table)))
    for database, row in zip(ctx.databases, table, strict=True):
        artifact = Artifact(database, f"{database}.age")
        ctx.artifacts.append(artifact)
        if not row:
            continue  # the run was cancelled before its turn
        artifact.status = F if row[0] is NEVER else S
        for destination, fate in zip(ctx.destinations, row, strict=True):
            error = "" if fate is S else f"why {database} is not at {destination.name}"
            destination.results.append(UploadResult(artifact, fate or F, error=error))
    return ctx  # type: ignore[no-any-return]


ROWS: list[list[Fate]] = [*map(list, product([S, F, C], repeat=2)), [NEVER, NEVER]]


@pytest.mark.parametrize("table", list(product(ROWS, repeat=2)), ids=str)
def test_every_combination_of_two_databases_and_two_destinations(table: tuple[list[Fate], ...]) -> None:
    """The rules said once more, by counting."""
    ctx = run_of([*table])
    flat = [fate for row in table for fate in row]

    status = settle_status(ctx)

    if S not in flat:
        assert status is F
    elif set(flat) == {S}:
        assert status is S
    else:
        assert status is Status.PARTIAL
    for number, result in enumerate(destination_results(ctx)):
        its = [row[number] for row in table if row[number] is not NEVER]
        if not its:
            assert result.status is F, "it holds nothing"
        else:
            assert result.status is (F if F in its else C if C in its else S)
        assert (result.path is not None) == (S in its)
        assert bool(result.error) == (result.status is not S)
    kept = [(its.database, its.destination_id, its.status) for its in copy_results(ctx)]
    assert sorted(kept, key=str) == sorted(
        [
            (f"db{row}", f"d{column}", fate)
            for row, fates in enumerate(table)
            for column, fate in enumerate(fates)
            if fate is not NEVER
        ],
        key=str,
    )


@pytest.mark.parametrize(
    ("table", "status", "destinations", "exit_code"),
    [
        ([[S]], S, [S], ExitCode.SUCCESS),
        ([[F]], F, [F], ExitCode.FAILED),
        ([[NEVER]], F, [F], ExitCode.FAILED),
        ([[S, F]], Status.PARTIAL, [S, F], ExitCode.PARTIAL),
        ([[S, S], [NEVER, NEVER]], Status.PARTIAL, [S, S], ExitCode.PARTIAL),
        ([[S, S], [S, F]], Status.PARTIAL, [S, F], ExitCode.PARTIAL),
        ([[F, S], [S, F]], Status.PARTIAL, [F, F], ExitCode.PARTIAL),
        ([[F, F], [NEVER, NEVER]], F, [F, F], ExitCode.FAILED),
        ([[S, S, S], [S, S, S], [S, S, S]], S, [S, S, S], ExitCode.SUCCESS),
    ],
)
def test_the_cases_that_people_ask_about(
    table: list[list[Fate]], status: Status, destinations: list[Status], exit_code: ExitCode
) -> None:
    ctx = run_of(table)

    assert settle_status(ctx) is status
    assert [its.status for its in destination_results(ctx)] == destinations
    assert exit_code_of(status) == exit_code


def test_a_dump_that_was_stopped_because_all_destinations_had_failed_is_their_failure() -> None:
    ctx = run_of([[F, F], [S, S]])
    ctx.artifacts[0].status, ctx.artifacts[0].abandoned = F, True

    assert settle_status(ctx) is Status.PARTIAL
    assert [its.status for its in destination_results(ctx)] == [F, F]


@pytest.mark.parametrize(
    ("table", "destinations"),
    [
        ([[S, C]], [S, C]),
        ([[S, F]], [S, F]),
        ([[C, F]], [C, F]),
        ([[S, S], []], [C, C]),
        ([[NEVER, NEVER], [S, C]], [S, C]),
        ([[], []], [C, C]),
    ],
    ids=str,
)
def test_a_cancel_leaves_each_destination_what_is_true_of_it(
    table: list[list[Fate]], destinations: list[Status]
) -> None:
    ctx = run_of(table, cancelled=True)

    assert [its.status for its in destination_results(ctx)] == destinations


def test_a_destination_that_could_not_be_opened_has_failed_though_the_run_was_cancelled() -> None:
    ctx = run_of([[S, S]], cancelled=True)
    ctx.destinations[1].error, ctx.destinations[1].results = "The key is gone.", []

    assert [its.status for its in destination_results(ctx)] == [S, F]
