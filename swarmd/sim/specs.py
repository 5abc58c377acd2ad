"""Specs of services as operators of a simulated swarm write them: every mode, every temper.

A *theme* says what the services of a run are mostly about, so that some seeds go deep where others
go wide. `runnable` turns any spec into one that can run, which is what is left at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from msgspec.structs import replace

from swarmd.model import modes
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.model.secret import Config, Secret
from swarmd.model.spec import (
    ConfigReference,
    ContainerSpec,
    Cron,
    EndpointSpec,
    FileTarget,
    GlobalJob,
    GlobalMode,
    HealthConfig,
    NetworkAttachmentConfig,
    Placement,
    PortConfig,
    Replicated,
    ReplicatedJob,
    RestartPolicy,
    SecretReference,
    ServiceMode,
    ServiceSpec,
    Stateful,
    TaskSpec,
    UpdateConfig,
)
from swarmd.model.states import Concurrency, FailureAction, MissedRuns, StartOrder, UpdateOrder
from swarmd.sim.client import REVISION
from swarmd.sim.furniture import BACKEND, TAINT

STEADY: tuple[str, ...] = ("steady",)
BATCH: tuple[str, ...] = ("batch", "1")
PORTS = (30_001, 30_002, 30_003)
TEMPERS: tuple[tuple[str, ...], ...] = (
    *(STEADY, STEADY, STEADY),
    ("flaky", "3"),
    ("broken",),
    ("batch", "2"),
    ("ill", "2"),
)
JOB_TEMPERS: tuple[tuple[str, ...], ...] = (BATCH, BATCH, ("batch", "3"), ("flaky", "1"))
REPLICAS_MAX = 5
MODES = ("replicated", "global", "stateful", "job", "global job", "cron")
# How often a mode is drawn, in the order of MODES.
WEIGHTS = {
    "mixed": (9, 4, 4, 2, 1, 3),
    "ports": (1, 0, 0, 0, 0, 0),
    "health": (1, 0, 0, 0, 0, 0),
    "files": (4, 1, 1, 0, 0, 0),
    "stateful": (1, 0, 9, 0, 0, 0),
    "cron": (1, 0, 0, 1, 1, 9),
}
THEMES = tuple(WEIGHTS)


class SpecSource:
    """Draws specs.

    Args:
        revision: gives each spec a label that no other has.
        gentle: all services can run whatever happens to them.
    """

    def __init__(
        self, rng: Random, *, revision: Callable[[], str], gentle: bool, theme: str
    ) -> None:
        self._rng = rng
        self._revision = revision
        self._gentle = gentle
        self._theme = theme
        self.files: Sequence[Secret | Config] = ()  # what services may refer to

    def service(self, name: str) -> ServiceSpec:
        """A service to begin with."""
        mode = self._mode()
        spec = ServiceSpec(name=name, task_template=self._template(mode), mode=mode)
        if modes.is_job(mode):
            return self._revised(spec)
        replicas = mode.replicated.replicas if mode.replicated is not None else 0
        return self._revised(
            replace(
                spec,
                update_config=self._update(mode),
                endpoint_spec=self._endpoint(),
                min_available=self._rng.randrange(0, (replicas or 0) + 1),
            )
        )

    def changed(self, spec: ServiceSpec) -> ServiceSpec:
        """Another version of a service."""
        mode = spec.mode
        if mode.cron is not None:
            cron = self._cron()
            again = spec.task_template.force_update + self._rng.choice((0, 0, 1))
            template = replace(self._template(mode), force_update=again)
            return self._revised(replace(spec, mode=ServiceMode(cron=cron), task_template=template))
        if mode.replicated is not None and self._rng.random() < 0.4:
            return self._revised(replace(spec, mode=replicated(self._count(least=0))))
        template = replace(self._template(mode), force_update=spec.task_template.force_update + 1)
        spec = replace(spec, task_template=template)
        if not modes.is_job(mode):
            spec = replace(spec, update_config=self._update(mode))
        return self._revised(spec)

    def runnable(self, spec: ServiceSpec) -> ServiceSpec:
        """The service as it can be left: it comes to an end, or to a rest."""
        mode, template = spec.mode, spec.task_template
        job = modes.is_job(mode)
        container = template.container_spec or ContainerSpec()
        template = replace(
            template,
            container_spec=replace(container, command=BATCH if job else STEADY),
            restart_policy=RestartPolicy(delay_ns=0),
            force_update=template.force_update + 1,
        )
        if mode.cron is not None:
            # No run is forced: one that is going may forbid another.
            template = replace(template, force_update=spec.task_template.force_update)
            mode = ServiceMode(cron=replace(mode.cron, suspended=True))
        config = None if job else UpdateConfig(monitor_ns=100 * MILLISECOND)
        return self._revised(replace(spec, mode=mode, task_template=template, update_config=config))

    # --- modes

    def _mode(self) -> ServiceMode:
        weights = WEIGHTS[self._theme]
        if self._gentle:
            weights = (*weights[:3], 0, 0, 0)
        count = self._count(least=1)
        match self._rng.choices(MODES, weights)[0]:
            case "global":
                return ServiceMode(global_=GlobalMode())
            case "stateful":
                order = self._rng.choice(tuple(StartOrder))
                lease_ns = self._rng.choice((5, 8)) * SECOND
                stateful = Stateful(replicas=count, lease_ns=lease_ns, start_order=order)
                return ServiceMode(stateful=stateful)
            case "job":
                return ServiceMode(
                    replicated_job=ReplicatedJob(max_concurrent=2, total_completions=count)
                )
            case "global job":
                return ServiceMode(global_job=GlobalJob())
            case "cron":
                return ServiceMode(cron=self._cron())
            case _:
                return replicated(count)

    def _cron(self) -> Cron:
        rng = self._rng
        return Cron(
            schedule=f"@every {rng.choice((1, 2, 5))}s",
            concurrency=rng.choice(tuple(Concurrency)),
            missed_runs=rng.choice(tuple(MissedRuns)),
            starting_deadline_ns=rng.choice((0, 0, 3 * SECOND)),
            suspended=rng.random() < 0.1,
            job=ReplicatedJob(total_completions=rng.randrange(1, 3)),
            successful_runs_kept=rng.choice((None, 0, 2)),
        )

    def _count(self, *, least: int) -> int:
        return self._rng.randrange(least, REPLICAS_MAX + 1)

    # --- what is run

    def _template(self, mode: ServiceMode) -> TaskSpec:
        return TaskSpec(
            container_spec=self._container(mode),
            networks=self._networks(),
            restart_policy=self._restart_policy(),
            placement=self._placement(),
        )

    def _container(self, mode: ServiceMode) -> ContainerSpec:
        command = STEADY
        if modes.is_job(mode):
            command = self._rng.choice(JOB_TEMPERS)
        elif not self._gentle:
            command = self._rng.choice(
                TEMPERS if self._theme != "health" else (STEADY, ("ill", "2"))
            )
        health = None
        if command[0] == "ill" or self._rng.random() < 0.2:
            health = HealthConfig(
                test=("CMD", "look"),
                interval_ns=500 * MILLISECOND,
                timeout_ns=SECOND,
                retries=self._rng.choice((1, 3)),
            )
        return self._with_file(ContainerSpec(command=command, healthcheck=health))

    def _restart_policy(self) -> RestartPolicy:
        if self._gentle:
            return RestartPolicy(delay_ns=200 * MILLISECOND)
        return RestartPolicy(
            delay_ns=self._rng.choice((0, 200 * MILLISECOND, SECOND)),
            max_attempts=self._rng.choice((0, 0, 3)),
            window_ns=self._rng.choice((0, 5 * SECOND)),
            max_delay_ns=self._rng.choice((0, 0, 2 * SECOND)),
        )

    def _placement(self) -> Placement | None:
        if self._rng.random() < 0.8:
            return None
        return Placement(tolerations=(TAINT,))

    def _endpoint(self) -> EndpointSpec | None:
        """A port of everybody's choice now and then, so that some are refused."""
        if self._gentle or (self._theme != "ports" and self._rng.random() < 0.5):
            return None
        choice = PORTS if self._theme == "ports" else (0, 0, *PORTS)
        return EndpointSpec(
            ports=(PortConfig(target_port=80, published_port=self._rng.choice(choice)),)
        )

    def _with_file(self, container: ContainerSpec) -> ContainerSpec:
        if not self.files or (self._theme != "files" and self._rng.random() < 0.5):
            return container
        file = self._rng.choice(list(self.files))
        target = FileTarget(name="file", uid="0", gid="0", mode=0o400)
        latest = self._rng.random() < 0.5
        if isinstance(file, Secret):
            secret = SecretReference(file.id, file.spec.name, target, latest)
            return replace(container, secrets=(secret,))
        config = ConfigReference(file.id, file.spec.name, target, latest=latest)
        return replace(container, configs=(config,))

    def _networks(self) -> tuple[NetworkAttachmentConfig, ...]:
        if self._rng.random() < 0.5:
            return ()
        return (NetworkAttachmentConfig(target=BACKEND.id),)

    def _update(self, mode: ServiceMode) -> UpdateConfig:
        orders = tuple(UpdateOrder) if mode.stateful is None else (UpdateOrder.STOP_FIRST,)
        if self._gentle:
            return UpdateConfig(
                parallelism=1,
                delay_ns=self._rng.choice((500 * MILLISECOND, SECOND)),
                failure_action=FailureAction.CONTINUE,
                order=self._rng.choice(orders),
            )
        return UpdateConfig(
            parallelism=self._rng.choice((0, 1, 2)),
            delay_ns=self._rng.choice((0, 0, 500 * MILLISECOND)),
            failure_action=self._rng.choice(tuple(FailureAction)),
            monitor_ns=self._rng.choice((100 * MILLISECOND, SECOND)),
            order=self._rng.choice(orders),
            task_timeout_ns=self._rng.choice((0, 0, 5 * SECOND)),
        )

    def _revised(self, spec: ServiceSpec) -> ServiceSpec:
        return replace(spec, labels={REVISION: self._revision()})


def replicated(replicas: int) -> ServiceMode:
    return ServiceMode(replicated=Replicated(replicas=replicas))
