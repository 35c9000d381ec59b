"""Several worker processes on one socket, and the supervisor that replaces those that exit."""

import logging
import socket
import time
from weakref import WeakSet

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

MAX_BACKOFF_SECONDS = 30.0
"""Longest pause between two attempts to start a worker. The first pause is one second; each one doubles."""

logger = logging.getLogger("gateway.server.supervisor")


class Supervisor(Multiprocess):
    """A supervisor that replaces workers, even if the replacement cannot start at first.

    uvicorn's own stops every worker as soon as one cannot start. A worker that dies while the database is unavailable
    would take down the workers that only wait for the database to come back. This one stops only if no worker has
    ever been ready.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.ready: WeakSet[Process] = WeakSet()
        """Workers that have completed startup."""
        self.exited: WeakSet[Process] = WeakSet()
        """Workers that are waiting for their replacement."""
        self.has_served = False
        self.has_failed = False
        self.start_failures = 0
        """Failed starts since the last successful one."""
        self.next_start = 0.0
        """Earliest time of the next start, in seconds of `time.monotonic`."""

    def keep_subprocess_alive(self) -> None:
        """Check each worker, and replace those that have exited or hang. uvicorn calls this twice a second."""
        for index, process in enumerate(self.processes):
            if process not in self.exited and not self.is_healthy(process):
                self.handle_exit(process)
            if self.should_exit.is_set():
                return
            if process in self.exited and time.monotonic() >= self.next_start:
                self.processes[index] = self.start_worker()

    def is_healthy(self, process: Process) -> bool:
        timeout = self.config.timeout_worker_healthcheck
        if not process.process.is_alive():
            return False
        if process in self.ready:
            return process.is_alive(timeout)
        if process.is_ready(timeout):
            self.ready.add(process)
            self.has_served, self.start_failures = True, 0
        return True  # a worker that still imports the application answers no health checks

    def handle_exit(self, process: Process) -> None:
        """Clean up after a worker that exited or hangs, and decide when to replace it."""
        process.kill()
        process.join()
        self.exited.add(process)
        if process.exitcode != STARTUP_FAILURE:
            logger.warning("Worker %s exited unexpectedly; starting a replacement", process.pid)
        elif self.has_served:
            self.back_off(process)
        else:
            logger.error("Worker %s could not start, and no worker ever did; stopping the server", process.pid)
            self.has_failed = True
            self.should_exit.set()

    def back_off(self, process: Process) -> None:
        """Delay the next start: what prevented this one will probably last for a while."""
        pause_seconds = min(2.0**self.start_failures, MAX_BACKOFF_SECONDS)
        self.start_failures += 1
        self.next_start = time.monotonic() + pause_seconds
        logger.error("Worker %s could not start; trying again in %.0f s", process.pid, pause_seconds)

    def start_worker(self) -> Process:
        process = Process(self.config, self.sockets)
        process.start()
        return process
