"""How a run and each of its destinations ended, by its copies: rules without any act.

A copy is one artifact at one destination. Each database at each destination is one chance to succeed.
"""

from __future__ import annotations

from engine.events import Status
from engine.pipeline.context import Artifact, DestinationContext, RunnerContext, UploadResult
from engine.records import ArtifactResult, CopyResult, DestinationResult


def settle_status(ctx: RunnerContext) -> Status:
    """The run's status by its copies: none succeeded is Failed, fewer than all is Partial.

    A cancel is not looked at here: it counts wherever this is not Success.
    """
    succeeded = sum(
        result.status is Status.SUCCESS for destination in ctx.destinations for result in destination.results
    )
    if succeeded == 0:
        return Status.FAILED
    wanted = len(ctx.databases) * len(ctx.destinations)
    return Status.SUCCESS if succeeded == wanted else Status.PARTIAL


def destination_status(ctx: RunnerContext, destination: DestinationContext) -> Status:
    """One destination's own outcome; what was never dumped is not its failure.

    Its own failure comes before a cancel: that it failed stays true. What a cancel kept from it, be it
    in the middle of its upload or before its dump, makes it Cancelled.
    """
    if destination.error:
        return Status.FAILED
    outcomes = {result.status for result in own_results(destination)}
    if Status.FAILED in outcomes:
        return Status.FAILED
    owed = len(ctx.artifacts) - sum(never_dumped(artifact) for artifact in ctx.artifacts)
    if Status.CANCELLED in outcomes or (
        ctx.cancel.cancelled and (not outcomes or len(own_results(destination)) < owed)
    ):
        return Status.CANCELLED
    return Status.SUCCESS if outcomes else Status.FAILED


def own_results(destination: DestinationContext) -> list[UploadResult]:
    """The results that are the destination's own doing: those of artifacts that there were."""
    return [result for result in destination.results if not never_dumped(result.artifact)]


def own_error(destination: DestinationContext) -> str:
    """Why the destination did not get everything that there was, or an empty text."""
    return destination.error or next((its.error for its in own_results(destination) if its.error), "")


def own_remedy(destination: DestinationContext) -> str:
    """What to do about `own_error`, or an empty text."""
    if destination.error:
        return destination.remedy
    return next((its.remedy for its in own_results(destination) if its.error), "")


def never_dumped(artifact: Artifact) -> bool:
    """Whether its dump failed, so that no destination could get it."""
    return artifact.status is Status.FAILED and not artifact.abandoned


# -- as records ------------------------------------------------------------------------------------------


def artifact_results(ctx: RunnerContext) -> list[ArtifactResult]:
    """Each database's artifact; one that had not ended ended with the run."""
    return [
        ArtifactResult(
            database=artifact.database,
            name=artifact.name,
            status=artifact.status if artifact.status.ended else ctx.status,
            size=artifact.size,
            dump_size=artifact.dump_size,
            sha256=artifact.sha256,
            error=artifact.error or None,
        )
        for artifact in ctx.artifacts
    ]


def destination_results(ctx: RunnerContext) -> list[DestinationResult]:
    """Each destination in sum."""
    found = []
    for destination in ctx.destinations:
        stored = [result for result in destination.results if result.status is Status.SUCCESS]
        found.append(
            DestinationResult(
                destination_id=destination.endpoint.id,
                name=destination.name,
                status=destination_status(ctx, destination),
                priority=destination.priority,
                path=stored[0].artifact.name if stored else None,
                proof=stored[0].proof if stored else None,
                error=_error(destination) or None,
                bytes_sent=sum(result.bytes_sent for result in destination.results),
            )
        )
    return found


def copy_results(ctx: RunnerContext) -> list[CopyResult]:
    """Each copy, of the artifacts that there were: why another one is missing, its artifact says."""
    return [
        CopyResult(
            destination_id=destination.endpoint.id,
            database=result.artifact.database,
            artifact=result.artifact.name,
            status=result.status,
            proof=result.proof or None,
            error=result.error or None,
            bytes_sent=result.bytes_sent,
        )
        for destination in ctx.destinations
        for result in own_results(destination)
    ]


def _error(destination: DestinationContext) -> str:
    """Why it is not Success: its own error, else that of a dump that gave it nothing."""
    if error := own_error(destination):
        return error
    if own_results(destination):
        return ""
    return next((its.error for its in destination.results if its.error), "")
