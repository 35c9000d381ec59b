"""Several processes on one socket, and the one that starts them anew when they end."""

import logging
import os
import signal
import socket
import time
from multiprocessing import parent_process
from threading import Thread
from weakref import WeakSet

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

LONGEST_PAUSE = 30.0
"""Seconds between two attempts to start a worker, at most: the first pause is one second, each is twice the last."""

logger = logging.getLogger("gateway.supervising")


class Supervisor(Multiprocess):
    """Replaces workers that end.

    uvicorn's own ends everything as soon as one cannot start: while the database is away, one worker that dies would
    take those with it that wait for its return. Here that is so only while no worker has ever been ready.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.ready: WeakSet[Process] = WeakSet()
        """Those that were seen to be."""
        self.gone: WeakSet[Process] = WeakSet()
        """Those whose place is to be taken."""
        self.has_served, self.has_failed = False, False
        self.failures = 0
        """How many workers could not start since the last that could."""
        self.not_before = 0.0
        """When the next may be started, on the clock that never goes back."""

    def keep_subprocess_alive(self) -> None:
        for place, process in enumerate(self.processes):
            if process not in self.gone and not self.is_well(process):
                self.bury(process)
            if self.should_exit.is_set():
                return
            if process in self.gone and time.monotonic() >= self.not_before:
                self.processes[place] = self.started()

    def is_well(self, process: Process) -> bool:
        patience = self.config.timeout_worker_healthcheck
        if not process.process.is_alive():
            return False
        if process not in self.ready and process.is_ready(patience):
            self.ready.add(process)
            self.has_served, self.failures = True, 0
            return True
        return process.is_alive(patience)

    def bury(self, process: Process) -> None:
        """It has ended, or does not answer any more."""
        process.kill()
        process.join()
        self.gone.add(process)
        if process.exitcode != STARTUP_FAILURE:
            logger.warning("Worker %s died; another takes its place", process.pid)
        elif self.has_served:
            self.put_off(process)
        else:
            logger.error("Worker %s could not start, and none has: the server ends", process.pid)
            self.has_failed = True
            self.should_exit.set()

    def put_off(self, process: Process) -> None:
        """What kept it from starting is likely to be there for a while."""
        pause = min(2.0**self.failures, LONGEST_PAUSE)
        self.failures += 1
        self.not_before = time.monotonic() + pause
        logger.error("Worker %s could not start; another try in %.0f s", process.pid, pause)

    def started(self) -> Process:
        process = Process(self.config, self.sockets)
        process.start()
        return process


def heed_parent() -> None:
    """Have this process stop, as if told to, when the one that started it ends: nobody else could tell it to."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="heeding the parent", daemon=True).start()
