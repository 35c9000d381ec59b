"""Wake-ups over Redis' publish and subscribe."""

import asyncio
import secrets

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.adapters.wakeups import reconnecting
from gateway.adapters.wakeups.reconnecting import COALESCE_INTERVAL, PATIENCE, ReconnectingWakeup

CHANNEL = "dovetail:events"


class RedisBroker(ReconnectingWakeup):
    """Subscribes over one connection, and publishes over another."""

    name = "Redis"
    connection_errors = (OSError, TimeoutError, RedisError)

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.own_name = secrets.token_bytes(8)
        """Said with each word, to know one's own by."""

    async def run(self) -> None:
        # a `socket_timeout` would be kept by `wait_for`, which on Python 3.11 can lose the cancellation that ends us
        patience = {"socket_timeout": None, "socket_connect_timeout": PATIENCE}
        async with Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), **patience) as redis, redis.pubsub() as heard:
            async with asyncio.timeout(PATIENCE):
                await heard.subscribe(CHANNEL)
            self.connected()
            async with asyncio.TaskGroup() as both:
                both.create_task(self.on_message(heard))
                both.create_task(self.publish_loop(redis))

    async def on_message(self, heard: PubSub) -> None:
        """One's own word comes back too, now and then at least: in silence beyond that the subscription is gone."""
        while True:
            async with asyncio.timeout(reconnecting.HEARTBEAT + PATIENCE):
                message = await heard.get_message(ignore_subscribe_messages=True, timeout=None)
            if message and message["data"] != self.own_name:
                self.wake()

    async def publish_loop(self, redis: Redis) -> None:
        while True:
            await self.wait_for_send()
            async with asyncio.timeout(PATIENCE):
                await redis.publish(CHANNEL, self.own_name)
            await asyncio.sleep(COALESCE_INTERVAL)
