"""Handlers with a known behaviour for every kind of call, and for things that go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from swarmd.model.errors import Code, Rejection
from swarmd.rpc import pb
from swarmd.rpc.call import Call

DISPATCHER = "docker.swarmkit.v1.Dispatcher"
LOG_BROKER = "docker.swarmkit.v1.LogBroker"
CONTROL = "docker.swarmkit.v1.Control"
CA = "docker.swarmkit.v1.CA"
RELAYS = "swarmd.v1.Relays"
HEALTH = "docker.swarmkit.v1.Health"
ROOT = b"-----BEGIN CERTIFICATE-----\nroot\n"
SENTENCE = "Dienst »web« läuft auf 100% — 雪\nzweite Zeile"


class TestDispatcher:
    """`calls` remembers who asked; `cancelled` counts streams that ended early."""

    __test__ = False

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.cancelled = 0
        self.messages = 3
        self.pause_s = 0.0
        self.payload = b""

    def Heartbeat(self, call: Call, request: Any) -> Any:
        """Answers in the plain way, or as the session id says."""
        self.calls.append(call)
        match request.session_id:
            case "reject":
                raise Rejection(Code.NOT_FOUND, SENTENCE)
            case "crash":
                raise RuntimeError("secret detail")
            case "trailer":
                call.set_trailer("x-note", "noted")
        answer = pb.dispatcher.HeartbeatResponse()
        answer.period.seconds = 5
        return answer

    async def UpdateTaskStatus(self, call: Call, request: Any) -> Any:
        """Takes as long as `pause_s`."""
        self.calls.append(call)
        try:
            await asyncio.sleep(self.pause_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if request.session_id == "reject":
            raise Rejection(Code.ABORTED, SENTENCE)
        return pb.dispatcher.UpdateTaskStatusResponse()

    async def Session(self, call: Call, request: Any) -> AsyncIterator[Any]:
        """Counts to `messages`, then ends, rejects or waits as the request says."""
        self.calls.append(call)
        try:
            for number in range(self.messages):
                yield pb.dispatcher.SessionMessage(session_id=str(number), RootCA=self.payload)
            if request.session_id == "wait":
                await asyncio.Event().wait()
            if request.session_id == "reject":
                raise Rejection(Code.INVALID_ARGUMENT, SENTENCE)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise


class TestLogBroker:
    __test__ = False

    def __init__(self) -> None:
        self.bytes = 0
        self.messages = 0
        self.slow_s = 0.0

    async def PublishLogs(self, call: Call, requests: AsyncIterator[Any]) -> Any:
        async for request in requests:
            if request.subscription_id == "reject":
                raise Rejection(Code.NOT_FOUND, "no such subscription")
            self.messages += 1
            self.bytes += sum(len(message.data) for message in request.messages)
            await asyncio.sleep(self.slow_s)
        return pb.logbroker.PublishLogsResponse()


class TestControl:
    __test__ = False

    async def CreateConfig(self, call: Call, request: Any) -> Any:
        """Returns the spec."""
        config = pb.objects.Config(id="c", spec=request.spec)
        return pb.control.CreateConfigResponse(config=config)


class TestCA:
    __test__ = False

    def GetRootCACertificate(self, call: Call, request: Any) -> Any:
        return pb.ca.GetRootCACertificateResponse(certificate=ROOT)


class TestHealth:
    __test__ = False

    def Check(self, call: Call, request: Any) -> Any:
        return pb.health.HealthCheckResponse(status=pb.health.HealthCheckResponse.SERVING)


class EarlierRelays:
    """Knows nothing of groups of heartbeats, so that each is passed on by itself."""

    def ReportSilence(self, call: Call, request: Any) -> Any:
        return pb.cluster.ReportSilenceResponse()


def services() -> dict[str, object]:
    return {
        DISPATCHER: TestDispatcher(),
        LOG_BROKER: TestLogBroker(),
        CONTROL: TestControl(),
        CA: TestCA(),
        HEALTH: TestHealth(),
        RELAYS: EarlierRelays(),
    }
