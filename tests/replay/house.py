"""A Conveyor to record on: a real server and real steps, a relay and a receiver that do as told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    UpdateActivityOptionsRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

import worker
from activities.failures import FailureActivities
from activities.interceptor import StepInterceptor
from adapters.database import migrate
from adapters.telemetry import LogReporter
from cli.demo.data import load_demo_data, store_examples
from cli.serving import Options
from equipment import Adapters, open_adapters
from jobs.base import Queue
from jobs.client import JobClient, Submission, reading
from jobs.client.webhooks import EndpointDesk
from jobs.status import JobState, JobStatus
from opening import open_endpoint_desk
from settings import Settings
from tests.mail_relay import ScriptedRelay, mail_relay
from tests.replay.replaying import WORKFLOWS
from workflows.interceptor import FinalFailureInterceptor
from workflows.sandbox import RUNNER

LOOKS: Final = timedelta(seconds=0.05)
NO_GRACE: Final = timedelta(0)
"""A stopped worker cuts its steps at once."""


@dataclass
class Receiver:
    """A web server that answers with the next status, the last one for ever."""

    statuses: list[int] = field(default_factory=lambda: [204])
    url: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while requests are answered."""

    async def take(self, request: web.Request) -> web.Response:
        """Take one request."""
        await request.read()
        self.asked.set()
        await self.answer.wait()
        return web.Response(status=self.statuses.pop(0) if self.statuses[1:] else self.statuses[0])


@dataclass(kw_only=True)
class House:
    """Everything that a scenario plays on."""

    client: Client
    settings: Settings
    adapters: Adapters
    relay: ScriptedRelay
    receiver: Receiver

    @property
    def jobs(self) -> JobClient:
        """The client of people and programs."""
        return JobClient(self.client)

    @property
    def desk(self) -> EndpointDesk:
        """Where endpoints are registered."""
        return open_endpoint_desk(self.settings, self.adapters.database, self.client)

    def tidy(self) -> None:
        """Let relay and receiver behave well again, for the next scenario."""
        for script in (self.relay.mail, self.relay.rcpt, self.relay.data):
            script.clear()
        self.relay.refuse.clear()
        self.relay.before_answer = None
        self.receiver.statuses = [204]
        self.receiver.asked.clear()
        self.receiver.answer.set()

    async def submit(self, kind: str, data: Mapping[str, Any], key: str | None = None) -> str:
        """Submit a job and return its id."""
        return (await self.jobs.submit(kind, data, Submission(key=key))).id

    async def until(self, job_id: str, reached: Callable[[JobStatus], bool]) -> JobStatus:
        """Return the job when it is as told."""
        async for job in self.jobs.watch(job_id, interval=LOOKS):
            if reached(job):
                return job
        msg = f"{job_id} ended otherwise"
        raise AssertionError(msg)

    async def finished(self, job_id: str) -> JobState:
        """Return how the job ended."""
        return (await self.jobs.wait(job_id)).state

    async def start(self, workflow: str, queue: Queue, job_id: str, *args: Any) -> None:
        """Start a workflow that nobody submits."""
        await self.client.start_workflow(workflow, args=args, id=job_id, task_queue=queue)

    async def child_of(self, job_id: str) -> str:
        """Return the first job that a job has started, when it has."""
        events = self.handle(job_id).fetch_history_events(wait_new_event=True)
        async for event in events:
            started = event.child_workflow_execution_started_event_attributes
            if started.workflow_execution.workflow_id:
                return started.workflow_execution.workflow_id
        msg = f"{job_id} started no job"
        raise AssertionError(msg)

    def handle(self, job_id: str) -> WorkflowHandle[Any, Any]:
        """Return the SDK's own handle of a job."""
        return self.client.get_workflow_handle(job_id)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run every workflow and every step."""
        options = Options(queues=list(Queue), slots={}, grace=NO_GRACE)
        slots = worker.slots_of(self.settings, options)
        interceptors = (StepInterceptor(), FinalFailureInterceptor())
        built = worker.build_workers(self.client, self.adapters, options, slots, interceptors)
        async with AsyncExitStack() as stack:
            for each in built:
                await stack.enter_async_context(each)
            yield

    @asynccontextmanager
    async def deciding(self) -> AsyncIterator[None]:
        """Run every workflow and no step: those are for ``take_step``."""
        async with AsyncExitStack() as stack:
            for queue in Queue:
                deciding = Worker(
                    self.client,
                    task_queue=queue,
                    workflows=WORKFLOWS,
                    activities=FailureActivities(LogReporter(), self).all(),
                    no_remote_activities=True,
                    workflow_runner=RUNNER,
                    interceptors=[FinalFailureInterceptor()],
                )
                await stack.enter_async_context(deciding)
            yield

    async def attempts(self, job_id: str, run_id: str) -> int:
        """Return the attempts of a job's last step, for the report of its failure."""
        return await reading.last_attempt(self.client, job_id, run_id)

    async def take_step(self, queue: Queue) -> PollActivityTaskQueueResponse:
        """Take a step as a worker would; one that is never heard of again, if that is all."""
        asked = PollActivityTaskQueueRequest(
            namespace=self.client.namespace,
            task_queue=TaskQueue(name=queue),
            identity="recorder",
        )
        while True:
            task = await self.client.workflow_service.poll_activity_task_queue(asked)
            if task.task_token:
                return task

    async def lose_workers(self, queue: Queue, times: int) -> None:
        """Let so many workers vanish, each in the step that it took."""
        async with self.deciding():
            for _ in range(times):
                await self.take_step(queue)

    async def fail_step(self, queue: Queue, error: str) -> None:
        """Let the next step fail for good with an error of that type."""
        await self.fail(await self.take_step(queue), error)

    async def fail(self, task: PollActivityTaskQueueResponse, error: str) -> None:
        """Let a step that was taken fail for good with an error of that type."""
        info = ApplicationFailureInfo(type=error, non_retryable=True)
        failure = Failure(message="as the scenario says", application_failure_info=info)
        await self.client.workflow_service.respond_activity_task_failed(
            RespondActivityTaskFailedRequest(
                namespace=self.client.namespace, task_token=task.task_token, failure=failure
            )
        )

    async def complete_step(self, queue: Queue, result: Any) -> None:
        """Let the next step return ``result``."""
        task = await self.take_step(queue)
        payloads = await self.client.data_converter.encode([result])
        await self.client.workflow_service.respond_activity_task_completed(
            RespondActivityTaskCompletedRequest(
                namespace=self.client.namespace,
                task_token=task.task_token,
                result=Payloads(payloads=payloads),
            )
        )

    async def limit_step(self, job_id: str, step: str, limit: timedelta) -> None:
        """Let a step that is due time out after ``limit``, all its attempts counted."""
        options = ActivityOptions()
        options.schedule_to_close_timeout.FromTimedelta(limit)
        request = UpdateActivityOptionsRequest(
            namespace=self.client.namespace,
            execution=WorkflowExecution(workflow_id=job_id),
            id=step,
            activity_options=options,
            update_mask=FieldMask(paths=["schedule_to_close_timeout"]),
        )
        while True:
            try:
                await self.client.workflow_service.update_activity_options(request)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                await asyncio.sleep(LOOKS.total_seconds())  # not due yet
            else:
                return


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver of webhooks on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def open_house(client: Client, folder: Path) -> AsyncIterator[House]:
    """Open a house on the server of ``client``, with the demo's data."""
    async with mail_relay() as relay, receiving() as receiver:
        settings = Settings(
            data_dir=folder,
            smtp_url=f"smtp://127.0.0.1:{relay.port}?tls=none",
            alerts_to=["ops@example.com"],
            webhook_allowed_networks=["127.0.0.0/8"],
            webhook_allow_http=True,
            webhook_allow_ports=True,
        )
        await asyncio.to_thread(folder.mkdir)
        await migrate(settings.database)
        async with open_adapters(settings) as adapters:
            await load_demo_data(adapters.database)
            await store_examples(adapters.storage)
            yield House(
                client=client,
                settings=settings,
                adapters=adapters,
                relay=relay,
                receiver=receiver,
            )
