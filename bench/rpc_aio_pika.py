"""One process of the echo contest, on aio-pika as its tutorial writes RPC: the arguments of `rpc_troupe`.

Its fastest plain form: no confirms, no acks, an exclusive reply queue, one publish a message.
https://docs.aio-pika.com/rabbitmq-tutorial/6-rpc.html
"""

from __future__ import annotations

import asyncio
import sys
import uuid

import aio_pika
import msgspec
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from bench.closed_loop import drive
from bench.echo import Echo, Said

encode = msgspec.msgpack.Encoder().encode
decode_echo = msgspec.msgpack.Decoder(Echo).decode
decode_said = msgspec.msgpack.Decoder(Said).decode


async def serve(url: str, prefix: str) -> None:
    """Until it is ended."""
    connection = await aio_pika.connect_robust(url)
    channel = await connection.channel(publisher_confirms=False)
    await channel.set_qos(prefetch_count=256)
    queue = await channel.declare_queue(f"{prefix}.aio-pika", auto_delete=True)

    async def answer(request: AbstractIncomingMessage) -> None:
        reply = aio_pika.Message(encode(Said(decode_echo(request.body).text)), correlation_id=request.correlation_id)
        await channel.default_exchange.publish(reply, routing_key=request.reply_to or "")

    await queue.consume(answer, no_ack=True)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def ask(url: str, prefix: str, in_flight: int, seconds: float, server: int) -> None:
    """Print a `Sample`."""
    connection = await aio_pika.connect_robust(url)
    channel = await connection.channel(publisher_confirms=False)
    replies = await channel.declare_queue(exclusive=True)
    waiting: dict[str, asyncio.Future[bytes]] = {}

    async def answered(reply: AbstractIncomingMessage) -> None:
        waiting.pop(reply.correlation_id or "").set_result(reply.body)

    await replies.consume(answered, no_ack=True)

    async def call(text: str) -> str:
        id = str(uuid.uuid4())
        future = waiting[id] = asyncio.get_running_loop().create_future()
        request = aio_pika.Message(encode(Echo(text=text)), correlation_id=id, reply_to=replies.name)
        await channel.default_exchange.publish(request, routing_key=f"{prefix}.aio-pika")
        return decode_said(await future).text

    sample = await drive(call, in_flight=in_flight, seconds=seconds, server=server)
    await connection.close()
    print(msgspec.json.encode(sample).decode())


def main(role: str, url: str, prefix: str, *rest: str) -> None:
    if role == "serve":
        uvloop.run(serve(url, prefix))
    else:
        uvloop.run(ask(url, prefix, int(rest[0]), float(rest[1]), int(rest[2])))


if __name__ == "__main__":
    main(*sys.argv[1:])
