"""Shared names: several workers, leases, returned jobs, dead letters, crashes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from daemons import Daemon, befriend

from m2client import (
    AsyncClient,
    Client,
    ClientModeDiffersError,
    ClientUnknownError,
    Job,
    MessageReceived,
    WorkStream,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Pair

PATIENCE = 60
ONLY_MESSAGES = [MessageReceived]


def open_work(client: Client, name: str, **options: object) -> WorkStream:
    """Returns a worker that has subscribed, and that ends if the expected jobs do not come."""
    arguments = {"kinds": ONLY_MESSAGES, "timeout": PATIENCE, **options}
    return client.work(name, **arguments).__enter__()  # type: ignore[arg-type]


def text(job: Job) -> str:
    assert isinstance(job.event, MessageReceived)
    return job.event.text


def send_words(pair: Pair, count: int) -> list[str]:
    words = [f"{uuid.uuid4()}" for _ in range(count)]
    for word in words[:-1]:
        pair.ann.send("ben", word)
    pair.ann.send("ben", words[-1], wait="delivered")
    return words


def test_a_job_is_done_once_the_body_has_finished(pair: Pair, name: str) -> None:
    with open_work(pair.ben, name) as jobs:
        words = send_words(pair, 3)
        first = next(jobs)
        assert (text(first), first.delivery) == (words[0], 1)
        assert first.until is not None
        assert first.cursor == first.event.cursor
        (client,) = [one for one in pair.ben.event_clients() if one.name == name]
        assert (client.shared, client.workers, client.leased, client.lag) == (True, 1, 1, 3)
        assert [text(next(jobs)), text(next(jobs))] == words[1:]
        jobs.ack()
    (client,) = [one for one in pair.ben.event_clients() if one.name == name]
    assert (client.leased, client.lag, client.dead_letters) == (0, 0, 0)


def test_a_body_that_raises_returns_its_job_at_once(pair: Pair, name: str) -> None:
    with open_work(pair.ben, name):
        pass
    words = send_words(pair, 2)
    with pytest.raises(ZeroDivisionError):
        fail_in_the_body(pair.ben, name)
    with open_work(pair.ben, name, lease=3600) as jobs:
        for job in jobs:  # A break returns it, too: the next loop gets it again.
            assert (text(job), job.delivery) == (words[0], 2)
            break
        received = [(text(job), job.delivery) for _, job in zip(range(2), jobs)]
        assert received == [(words[0], 3), (words[1], 1)]


def fail_in_the_body(client: Client, name: str) -> None:
    with open_work(client, name, lease=3600) as jobs:
        for _ in jobs:
            raise ZeroDivisionError


def test_a_job_that_was_not_read_is_returned_when_its_worker_leaves(pair: Pair, name: str) -> None:
    """The daemon gives the next job before it is asked for, as soon as one is done."""
    with open_work(pair.ben, name, lease=3600) as jobs:
        words = send_words(pair, 2)
        assert text(next(jobs)) == words[0]
        jobs.ack()
        while not any(one.name == name and one.leased == 1 for one in pair.ben.event_clients()):
            time.sleep(0.02)
    with open_work(pair.ben, name, lease=3600) as jobs:
        job = next(jobs)
        assert (text(job), job.delivery) == (words[1], 2)


def test_workers_share_the_events_and_keep_the_order_of_a_contact(own_pair: Pair, name: str) -> None:
    pair = own_pair
    done: list[tuple[str, str]] = []
    lock = threading.Lock()

    def work(client: Client) -> None:
        with client.work(name, kinds=ONLY_MESSAGES, timeout=PATIENCE) as jobs:
            ready.release()
            for job in jobs:
                assert isinstance(job.event, MessageReceived)
                with lock:
                    done.append((job.event.contact_name, job.event.text))
                    if len(done) == 2 * count:
                        everything.set()

    count, ready, everything = 20, threading.Semaphore(0), threading.Event()
    with Daemon("carol") as carol, carol.client() as at_carol, ExitStack() as stack:
        befriend(pair.ben_daemon, carol, ("ben", "carol"))
        clients = [stack.enter_context(pair.ben_daemon.client()) for _ in range(3)]
        threads = [threading.Thread(target=work, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
            assert ready.acquire(timeout=PATIENCE)
        for number in range(count):
            pair.ann.send("ben", f"{number}")
            at_carol.send("ben", f"{number}")
        assert everything.wait(PATIENCE)
        for client in clients:
            client.close()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
    for contact in ("ann", "carol"):
        assert [word for who, word in done if who == contact] == [f"{number}" for number in range(count)]


CRASHING = """
    import os, sys
    from m2client import Client

    for job in Client(sys.argv[1]).work(sys.argv[2], kinds=["messageReceived"], lease=2):
        print(job.event.text, flush=True)
        os.kill(os.getpid(), 9)
"""


def test_another_worker_gets_the_job_of_one_that_was_killed(pair: Pair, name: str) -> None:
    """The first worker is killed between handling the event and acknowledging it."""
    with open_work(pair.ben, name, lease=2):
        pass
    words = send_words(pair, 2)
    program = [sys.executable, "-c", textwrap.dedent(CRASHING), str(pair.ben_daemon.socket), name]
    run = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (run.returncode, run.stdout.split()) == (-9, words[:1]), run.stderr
    with open_work(pair.ben, name, lease=2) as jobs:
        received = [(text(job), job.delivery) for _, job in zip(range(2), jobs)]
    assert received == [(words[0], 2), (words[1], 1)]


def test_a_worker_continues_when_the_daemon_is_killed(own_pair: Pair, name: str) -> None:
    """The acknowledgement of the first job fails at first, and is repeated."""
    pair = own_pair
    with open_work(pair.ben, name, lease=2) as jobs:
        words = send_words(pair, 3)
        assert text(next(jobs)) == words[0]
        pair.ben_daemon.kill()
        pair.ben_daemon.start()
        received = [(text(job), job.delivery) for job in (next(jobs), next(jobs))]
    assert received == [(words[1], 1), (words[2], 1)]


def test_several_jobs_at_once_are_acknowledged_one_by_one(own_pair: Pair, name: str) -> None:
    pair = own_pair
    with Daemon("carol") as carol, carol.client() as at_carol:
        befriend(pair.ben_daemon, carol, ("ben", "carol"))
        with open_work(pair.ben, name, max_open=2, auto_ack=False) as jobs:
            pair.ann.send("ben", "a1")
            pair.ann.send("ben", "a2", wait="delivered")
            first = next(jobs)
            at_carol.send("ben", "c1", wait="delivered")
            second = next(jobs)
            assert [text(first), text(second)] == ["a1", "c1"]
            jobs.ack(second)
            jobs.nack(first, reason="try again")
            third = next(jobs)
            assert (text(third), third.delivery) == ("a1", 2)
            jobs.nack(first)  # Of the delivery before: nothing happens.
            jobs.ack(third)
            assert text(next(jobs)) == "a2"


def test_a_job_that_fails_too_often_is_a_dead_letter(pair: Pair, name: str) -> None:
    with open_work(pair.ben, name, max_deliveries=2, auto_ack=False) as jobs:
        words = send_words(pair, 3)
        for _ in range(2):
            for delivery in (1, 2):
                assert next(jobs).delivery == delivery
                jobs.nack(reason="no " + "ü" * 300)
        assert text(next(jobs)) == words[2]
        jobs.ack()
    letters = list(pair.ben.dead_letters(name, page_size=1))
    assert [text_of(one.event) for one in letters] == words[:2]
    assert {one.deliveries for one in letters} == {2}
    assert letters[0].reason.startswith("no üü")
    assert len(letters[0].reason.encode()) <= 256
    assert letters[0].since is not None
    # An empty selection is not everything.
    assert pair.ben.drop_dead_letters(name, []) == pair.ben.retry_dead_letters(name, []) == 0
    assert len(list(pair.ben.dead_letters(name))) == 2
    assert pair.ben.drop_dead_letters(name, letters[:1]) == 1
    assert pair.ben.retry_dead_letters(name, [letters[0].cursor, letters[1].cursor]) == 1
    with open_work(pair.ben, name) as jobs:
        again = next(jobs)
        assert (text(again), again.delivery) == (words[1], 1)
        jobs.ack(again)
    assert list(pair.ben.dead_letters(name)) == []
    assert pair.ben.retry_dead_letters(name) == 0


def text_of(event: object) -> str:
    assert isinstance(event, MessageReceived)
    return event.text


def test_a_returned_job_can_wait(pair: Pair, name: str) -> None:
    with open_work(pair.ben, name, auto_ack=False) as jobs:
        words = send_words(pair, 2)
        job = next(jobs)
        jobs.nack(job, delay=1)
        again = next(jobs)  # The second event of the contact waits for the first.
        assert (text(again), again.delivery) == (words[0], 2)
        assert again.until is not None
        assert job.until is not None
        assert (again.until - job.until).total_seconds() >= 0.9


def test_refusals_have_their_reason(pair: Pair, name: str) -> None:
    with open_work(pair.ben, name):
        pass
    with pytest.raises(ClientModeDiffersError):
        next(pair.ben.events(name))
    with pytest.raises(ClientUnknownError):
        list(pair.ben.dead_letters(f"{name}-unknown"))
    with pytest.raises(ValueError, match="client name"):
        pair.ben.work("")
    with pytest.raises(ValueError, match="auto_ack=False"):
        pair.ben.work(name, max_open=2)
    with pair.ben.work(name, timeout=1) as jobs, pytest.raises(ValueError, match="no job"):
        jobs.ack()


@contextmanager
def later(action: object) -> Iterator[None]:
    timer = threading.Timer(0.3, action)  # type: ignore[arg-type]
    timer.start()
    yield
    timer.join()


def test_closing_the_client_ends_its_workers(pair: Pair, name: str) -> None:
    client = pair.ben_daemon.client()
    jobs = open_work(client, name)
    with later(client.close):
        assert list(jobs) == []
    assert not jobs._progress.is_over  # noqa: SLF001
    assert list(jobs) == []  # Also a loop that begins later.


def test_workers_in_asyncio(pair: Pair, name: str) -> None:
    async def main() -> None:
        async with AsyncClient(pair.ben_daemon.socket, timeout=PATIENCE) as ben:
            kinds = ["messageReceived"]
            async with ben.work(name, kinds=kinds, lease=3600, timeout=PATIENCE) as jobs:
                words = await asyncio.get_running_loop().run_in_executor(None, send_words, pair, 3)
                assert text(await jobs.__anext__()) == words[0]
                assert text(await jobs.__anext__()) == words[1]
            with pytest.raises(ZeroDivisionError):
                await fail_in_the_async_body(ben, name, words[1])
            async with ben.work(name, kinds=kinds, max_deliveries=4, timeout=PATIENCE) as jobs:
                async for job in jobs:
                    if text(job) == words[2]:
                        break
                    await jobs.nack(reason="no")
            letters = [letter async for letter in ben.dead_letters(name)]
            assert [(one.reason, one.deliveries) for one in letters] == [("no", 4)]
            assert await ben.retry_dead_letters(name, []) == 0
            assert await ben.drop_dead_letters(name) == 1

    asyncio.run(main())


async def fail_in_the_async_body(client: AsyncClient, name: str, expected: str) -> None:
    kinds = ["messageReceived"]
    async with client.work(name, kinds=kinds, lease=3600, timeout=PATIENCE) as jobs:
        async for job in jobs:
            assert (text(job), job.delivery) == (expected, 2)
            raise ZeroDivisionError
