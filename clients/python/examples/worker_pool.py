#!/usr/bin/env python3
"""Shares the messages of all contacts among several workers; start it in as many processes as needed.

    worker_pool.py 4
    worker_pool.py dead-letters

A worker is one thread. The messages of one contact are handled in order, those of different contacts at
the same time. If a process is killed, its jobs are given to other workers when their leases end. A job that
failed five times is a dead letter.
"""

import sys
import threading

from m2client import Client, Job, M2Error, MessageReceived

NAME = "worker-pool"
LEASE = 10.0


def handle(m2: Client, job: Job) -> None:
    """Does one job: replies with the sum of the numbers in the message."""
    if isinstance(job.event, MessageReceived):
        total = sum(int(word) for word in job.event.text.split())
        # A job may be done twice; the key makes sure that its reply is sent once.
        m2.reply(job.event, f"{total}", key=job.event.message_id)


def work(m2: Client) -> None:
    """Does jobs until the client is closed. A job that fails is returned, to be tried again later."""
    with m2.work(NAME, kinds=[MessageReceived], lease=LEASE, auto_ack=False) as jobs:
        for job in jobs:
            try:
                handle(m2, job)
            except (ValueError, M2Error) as error:
                jobs.nack(job, delay=0.1 * job.delivery, reason=f"{error}")
            else:
                jobs.ack(job)


def main() -> None:
    """Runs the workers, or lists the dead letters."""
    with Client() as m2:
        if sys.argv[1] == "dead-letters":
            for letter in m2.dead_letters(NAME):
                name = letter.event.contact_name if letter.event else "?"
                print(f"{name}: {letter.deliveries} times, {letter.reason}")
            return
        threads = [threading.Thread(target=work, args=(m2,)) for _ in range(int(sys.argv[1]))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
