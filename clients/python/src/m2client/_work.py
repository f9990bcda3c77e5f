"""The position of a worker of a shared name: the jobs that it has, and what became of them.

Does no I/O; see `_position`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from . import _event_calls, _jobs
from ._calls import duration
from ._position import Due, Position
from ._proto import event_pb2

if TYPE_CHECKING:
    from ._calls import TimeSpan
    from ._jobs import Job
    from ._progress import Selection

# Why a job is returned whose loop body was left.
LEFT = "its worker left it"

# The time after which a job is given again whose worker has left, in seconds. Until then, the daemon has
# noticed the end of the worker's stream, and does not give the job to it once more.
_GONE = 0.2


@dataclass(frozen=True)
class WorkOptions:
    """The arguments of `work`."""

    client: str
    selection: Selection
    lease: TimeSpan | None
    max_open: int
    max_deliveries: int
    auto_ack: bool
    reconnect: bool
    timeout: float | None

    def __post_init__(self) -> None:
        if not self.client:
            raise ValueError("Workers need a client name, which they share.")
        if self.auto_ack and self.max_open != 1:
            raise ValueError("A worker that has several jobs at once needs `auto_ack=False`.")


class WorkProgress(Position["Job"]):
    """The position of one worker. The daemon knows which jobs it has."""

    def __init__(self, options: WorkOptions) -> None:
        super().__init__(reconnect=options.reconnect, timeout=options.timeout)
        self._options = options
        self._open: Job | None = None
        self._due: Due | None = None

    def begin_loop(self) -> None:
        """Begins a loop over the stream: the job whose loop body was left is returned, and comes again."""
        if self._open is not None and self._options.auto_ack:
            self._due = self.refusal(self._open, None, LEFT)
        self._open = None

    def finish_body(self) -> None:
        """Notes that the body of the loop has finished for the last job."""
        if self._open is not None and self._options.auto_ack:
            self._due = self.acknowledgement(self._open)
        self._open = None

    @property
    def most_unread(self) -> int:
        """The number of jobs that the daemon may have given before they were asked for."""
        return self._options.max_open

    def leave(self, unread: list[Any], reason: str) -> list[Due]:
        """Returns the calls that return the job whose loop body was left, and those that were not read."""
        jobs = [job for job in map(_jobs.job, unread) if job is not None]
        left = [self.refusal(job, _GONE, LEFT) for job in jobs]
        if self._open is not None and self._options.auto_ack:
            left.append(self.refusal(self._open, _GONE, reason))
        return left

    def due(self) -> Due | None:
        """Returns the call about the last job, or `None` if there is none."""
        return self._due

    def settled(self, cursor: str) -> None:
        """Notes that the daemon has stored what became of a job."""
        if self._due is not None and self._due.cursor == cursor:
            self._due = None
        if self._open is not None and self._open.cursor == cursor:
            self._open = None

    def acknowledgement(self, job: Job | None) -> Due:
        """Returns the call that marks a job as done, or without one the last job."""
        cursor = self._chosen(job).cursor
        return Due(_event_calls.acknowledge(self._options.client, cursor), cursor)

    def refusal(self, job: Job | None, delay: TimeSpan | None, reason: str) -> Due:
        """Returns the call that returns a job, or without one the last job."""
        job = self._chosen(job)
        call = _event_calls.nack(self._options.client, job.cursor, job.delivery, delay, reason)
        return Due(call, job.cursor)

    def request(self) -> event_pb2.SubscribeRequest:
        """Returns the request of each subscription: the daemon knows where a shared name goes on."""
        options = self._options
        request = event_pb2.SubscribeRequest(
            client=options.client,
            shared=True,
            kinds=options.selection.kinds,
            contacts=options.selection.contacts,
            lease=duration(options.lease),
            max_open=options.max_open,
            max_deliveries=options.max_deliveries,
        )
        if options.selection.after:
            request.after = options.selection.after
        else:
            request.start_at = cast("event_pb2.StartAt", options.selection.start)
        return request

    def take(self, response: event_pb2.SubscribeResponse) -> Job | None:
        """Notes an answer. Returns the job in it, if there is one."""
        job = _jobs.job(response)
        self._open = job or self._open
        return job

    def _chosen(self, job: Job | None) -> Job:
        job = job or self._open
        if job is None:
            raise ValueError("There is no job.")
        return job
