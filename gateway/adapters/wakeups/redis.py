"""Wake-ups over Redis' publish and subscribe."""

import asyncio
import secrets

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.adapters.wakeups import reconnecting
from gateway.adapters.wakeups.reconnecting import COALESCE_SECONDS, NETWORK_TIMEOUT_SECONDS, ReconnectingWakeup

CHANNEL = "dovetail:events"


class RedisWakeup(ReconnectingWakeup):
    """Subscribes over one connection and publishes over another."""

    name = "Redis"
    connection_errors = (OSError, TimeoutError, RedisError)

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.process_id = secrets.token_bytes(8)
        """The payload of each message, by which a process recognises its own."""

    async def run(self) -> None:
        # redis-py applies `socket_timeout` with `wait_for`, which on Python 3.11 can lose the cancellation at shutdown
        options = {"socket_timeout": None, "socket_connect_timeout": NETWORK_TIMEOUT_SECONDS}
        async with Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), **options) as redis, redis.pubsub() as pubsub:
            async with asyncio.timeout(NETWORK_TIMEOUT_SECONDS):
                await pubsub.subscribe(CHANNEL)
            self.on_connected()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.receive_loop(pubsub))
                tasks.create_task(self.publish_loop(redis))

    async def receive_loop(self, pubsub: PubSub) -> None:
        """Wake this process for each message of another one.

        Raises `TimeoutError` if this process does not receive even its own heartbeat: the subscription is lost.
        """
        while True:
            async with asyncio.timeout(reconnecting.HEARTBEAT_SECONDS + NETWORK_TIMEOUT_SECONDS):
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
            if message and message["data"] != self.process_id:
                self.wake()

    async def publish_loop(self, redis: Redis) -> None:
        while True:
            await self.wait_for_send()
            async with asyncio.timeout(NETWORK_TIMEOUT_SECONDS):
                await redis.publish(CHANNEL, self.process_id)
            await asyncio.sleep(COALESCE_SECONDS)
