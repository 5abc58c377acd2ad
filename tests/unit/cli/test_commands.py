"""Commands from the words typed to what is printed, over the real API of a virtual swarm."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from swarmd.cli.main import ENTRIES, cli
from swarmd.manager.control import ManagerMember
from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import NodeId
from swarmd.model.states import Availability, NodeState, Role, TaskState
from swarmd.rpc.pb import local
from tests.support.daemon import Daemon, a_line

SERVER = ("--process", "--", "python3", "-m", "http.server")


def create(daemon: Daemon, name: str = "web", *flags: str) -> str:
    return daemon.ok("service", "create", "--name", name, *flags, *SERVER)


def failing(daemon: Daemon, *words: str, code: int = 1) -> str:
    """What a command that must fail prints on stderr."""
    result = daemon.run(*words)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.stderr


def spec_of(daemon: Daemon, name: str = "web") -> Any:
    service = daemon.swarm.store.find_service_by_name(name)
    assert service is not None
    return service.spec


# Services.


def test_create_waits_until_the_tasks_run(daemon):
    assert create(daemon, "web", "--replicas", "3").splitlines()[-1] == "web: 3/3 running  1.0 s"
    assert len(daemon.swarm.running(daemon.swarm.store.find_service_by_name("web").id)) == 3


def test_a_process_takes_the_whole_command_line_and_an_image_its_arguments(daemon):
    create(daemon)
    container = spec_of(daemon).task_template.container_spec
    assert (container.executor, container.command) == (
        "process",
        ("python3", "-m", "http.server"),
    )
    daemon.ok("service", "create", "--name", "img", "-d", "nginx:1.27", "nginx", "-g", "daemon off")
    container = spec_of(daemon, "img").task_template.container_spec
    assert (container.image, container.args) == ("nginx:1.27", ("nginx", "-g", "daemon off"))
    assert container.command == ()


def test_flags_of_the_command_need_no_quoting(daemon):
    daemon.ok("service", "create", "--name", "a", "-d", "--process", "sleep", "--help", "-p", "80")
    assert spec_of(daemon, "a").task_template.container_spec.command == (
        "sleep", "--help", "-p", "80",
    )  # fmt: skip


def test_detached_creation_prints_the_id_only(daemon):
    assert create(daemon, "web", "-d") == "id1\n"


def test_a_service_without_a_name_is_called_after_what_it_runs(daemon):
    daemon.ok("service", "create", "-d", "registry.example.com/team/my_app:2@sha256:" + "0" * 64)
    (service,) = daemon.swarm.store.services()
    assert service.spec.name.startswith("my-app-")


def test_every_flag_of_creation_reaches_the_spec(daemon, tmp_path):
    variables = tmp_path / "env"
    variables.write_text("FROM_FILE=1\n")
    create(
        daemon,
        "web",
        *("-d", "--replicas", "2", "-e", "A=1", "--env-file", str(variables), "-l", "tier=front"),
        *("--container-label", "c=d", "-p", "8080:80", "--constraint", "node.hostname==n1"),
        *("--placement-pref", "spread=node.labels.rack", "--limit-cpu", "1.5"),
        *("--limit-memory", "64m", "--limit-pids", "9", "--reserve-cpu", "0.5"),
        *("--reserve-memory", "32m", "--restart-condition", "on-failure"),
        *("--restart-delay", "1s", "--restart-max-attempts", "3", "--restart-window", "1m"),
        *("--update-parallelism", "2", "--update-delay", "1s", "--update-monitor", "2s"),
        *("--update-failure-action", "rollback", "--update-max-failure-ratio", "0.25"),
        *("--update-order", "start-first", "--rollback-parallelism", "0"),
        *("--stop-grace-period", "5s", "--stop-signal", "SIGINT", "-u", "nobody", "-w", "/srv"),
        *("--hostname", "h-{{.Task.Slot}}", "--group", "adm", "--replicas-max-per-node", "4"),
        *("--log-driver", "json-file", "--log-opt", "max-size=1m"),
    )
    assert json.loads(daemon.ok("service", "inspect", "web"))[0]["Spec"] == {
        "Name": "web",
        "Labels": {"tier": "front"},
        "TaskTemplate": {
            "ContainerSpec": {
                "Labels": {"c": "d"},
                "Command": ["python3", "-m", "http.server"],
                "Hostname": "h-{{.Task.Slot}}",
                "Env": ["FROM_FILE=1", "A=1"],
                "Dir": "/srv",
                "User": "nobody",
                "Groups": ["adm"],
                "StopSignal": "SIGINT",
                "StopGracePeriod": 5_000_000_000,
                "Executor": "process",
            },
            "Resources": {
                "Limits": {"NanoCPUs": 1_500_000_000, "MemoryBytes": 64 << 20, "Pids": 9},
                "Reservations": {"NanoCPUs": 500_000_000, "MemoryBytes": 32 << 20},
            },
            "RestartPolicy": {
                "Condition": "on-failure",
                "Delay": 1_000_000_000,
                "MaxAttempts": 3,
                "Window": 60_000_000_000,
            },
            "Placement": {
                "Constraints": ["node.hostname==n1"],
                "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.rack"}}],
                "MaxReplicas": 4,
            },
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m"}},
        },
        "Mode": {"Replicated": {"Replicas": 2}},
        "UpdateConfig": {
            "Parallelism": 2,
            "Delay": 1_000_000_000,
            "FailureAction": "rollback",
            "Monitor": 2_000_000_000,
            "MaxFailureRatio": 0.25,
            "Order": "start-first",
        },
        "RollbackConfig": {"MaxFailureRatio": 0.0},
        "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]},
    }


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("-p", "x"), "is not a port"),
        (("--limit-cpu", "half"), "number of CPUs"),
        (("--limit-memory", "1x"), "is not a size"),
        (("--restart-delay", "5"), "is not a duration"),
        (("--replicas", "-1"), "not in the range"),
        (("--update-max-failure-ratio", "2"), "not in the range"),
        (("--mode", "global", "--replicas", "2"), "cannot be used with --mode global"),
        (("--entrypoint", "x"), "--entrypoint belongs to an image"),
        (("-e", "=x"), "has no name"),
        (("-l", "=x"), "has no key"),
    ],
)
def test_malformed_flags_are_usage_errors(daemon, flags, complaint):
    assert complaint in failing(daemon, "service", "create", *flags, *SERVER, code=2)
    assert daemon.swarm.store.services() == ()


def test_what_the_manager_refuses_is_an_error_in_its_words(daemon):
    message = failing(daemon, "service", "create", "--name", "a b", *SERVER)
    assert message.startswith("Error: service name 'a b' is not valid: use letters")


def test_a_service_nobody_can_place_says_why_and_what_to_do(daemon):
    result = daemon.run(
        *("service", "create", "--name", "web", "--constraint", "node.hostname==n9"),
        *("--timeout", "500ms", *SERVER),
    )
    assert result.exit_code == 124
    assert "no suitable node (scheduling constraints not satisfied on 3 nodes)" in result.stderr
    assert "see `swarmd service ps web`" in result.stderr


def test_tasks_that_fail_for_good_end_the_wait_with_their_reason(daemon):
    daemon.swarm.fate = lambda task: TaskState.FAILED
    message = failing(
        daemon, "service", "create", "--name", "web", "--restart-condition", "none", *SERVER
    )
    assert message.startswith("Error: web: 0 of 1 tasks running: boom")


def test_scale_changes_several_services_and_waits_for_all(daemon):
    create(daemon, "web")
    create(daemon, "api")
    lines = daemon.ok("service", "scale", "web=4", "api=0").splitlines()
    assert any(line.startswith("web: 4/4 running  ") for line in lines)
    assert any(line.startswith("api: 0/0 running  ") for line in lines)
    assert spec_of(daemon, "web").mode.replicated.replicas == 4


def test_scale_wants_a_number(daemon):
    assert "'web' is not SERVICE=REPLICAS" in failing(daemon, "service", "scale", "web", code=2)


def test_a_global_service_cannot_be_scaled(daemon):
    assert "g: 3/3 running" in create(daemon, "g", "--mode", "global")
    assert "the service is global" in failing(daemon, "service", "scale", "g=2")


def test_update_changes_what_it_is_told_and_waits_for_the_update(daemon):
    create(daemon, "web", "--replicas", "2", "-e", "A=1", "-p", "8080:80")
    out = daemon.ok(
        *("service", "update", "--env-add", "B=2", "--env-rm", "A", "--publish-rm", "80"),
        *("--publish-add", "8081:80", "--label-add", "x=y", "--update-monitor", "1s", "web"),
    )
    assert out.splitlines()[-1].startswith("web: 2/2 running  ")
    spec = spec_of(daemon)
    assert spec.task_template.container_spec.env == ("B=2",)
    assert [port.published_port for port in spec.endpoint_spec.ports] == [8081]
    service = daemon.swarm.store.find_service_by_name("web")
    assert all(task.spec == spec.task_template for task in daemon.swarm.running(service.id))


def test_words_behind_the_service_replace_its_command(daemon):
    create(daemon)
    daemon.ok("service", "update", "-d", "web", "--", "sleep", "1000")
    assert spec_of(daemon).task_template.container_spec.command == ("sleep", "1000")


def test_flags_behind_the_service_are_explained(daemon):
    create(daemon)
    message = failing(daemon, "service", "update", "web", "--force", code=2)
    assert "`swarmd service update --force web`" in message


def test_an_update_that_fails_says_that_it_was_rolled_back(daemon):
    create(daemon, "web", "--replicas", "2", "--update-failure-action", "rollback")
    daemon.swarm.fate = lambda task: (
        TaskState.FAILED if task.spec.container_spec.command == ("broken",) else None
    )
    message = failing(daemon, "service", "update", "web", "broken")
    assert "web: 2 of 2 tasks running: the update was rolled back" in message


def test_an_update_that_pauses_says_why(daemon):
    create(daemon, "web", "--replicas", "2")
    daemon.swarm.fate = lambda task: (
        TaskState.FAILED if task.spec.container_spec.command == ("broken",) else None
    )
    assert "update paused due to failure" in failing(daemon, "service", "update", "web", "broken")


@pytest.mark.parametrize("words", [("rollback", "web"), ("update", "--rollback", "web")])
def test_rollback_brings_the_previous_spec_back(daemon, words):
    create(daemon)
    daemon.ok("service", "update", "-d", "web", "other")
    daemon.ok("service", *words)
    assert spec_of(daemon).task_template.container_spec.command[0] == "python3"


def test_a_lost_race_is_run_again(daemon):
    create(daemon)
    act, races = daemon._act, iter(range(2))

    async def race() -> None:
        """The service changes between the command's read and its write."""
        await act()
        service = daemon.swarm.store.find_service_by_name("web")
        if next(races, None) == 1:
            daemon.swarm.update(service.id, service.spec)

    daemon.services["docker.swarmkit.v1.Control"]._env = daemon.services[
        "docker.swarmkit.v1.Control"
    ]._env._replace(read_barrier=race)
    daemon.ok("service", "update", "-d", "--label-add", "a=b", "web")
    assert spec_of(daemon).labels == {"a": "b"}


def test_removal_goes_on_after_a_failure(daemon):
    create(daemon, "web")
    create(daemon, "api")
    result = daemon.run("service", "rm", "web", "nobody", "api")
    assert result.exit_code == 1
    assert result.stdout == "web\napi\n"
    assert "no such service: nobody" in result.stderr
    assert daemon.swarm.store.services() == ()


def test_services_are_listed_by_name(daemon):
    create(daemon, "web", "--replicas", "2", "-p", "8080:80", "-l", "tier=front")
    create(daemon, "api")
    assert daemon.ok("service", "ls").splitlines() == [
        "ID    NAME   MODE         REPLICAS   IMAGE                    PORTS",
        "id2   api    replicated   1/1        python3 -m http.server",
        "id1   web    replicated   2/2        python3 -m http.server   *:8080->80/tcp",
    ]
    assert daemon.ok("service", "ls", "-q", "--filter", "label=tier=front") == "id1\n"
    assert daemon.ok("service", "ls", "-q", "--filter", "name=a", "--filter", "name=w") == (
        "id2\nid1\n"
    )
    rows = daemon.ok("service", "ls", "--format", "json").splitlines()
    assert [json.loads(row)["Replicas"] for row in rows] == ["1/1", "2/2"]


def test_an_unknown_filter_is_a_usage_error(daemon):
    message = failing(daemon, "service", "ls", "--filter", "colour=red", code=2)
    assert "unknown filter 'colour'; use id, name, mode, label" in message


def test_tasks_are_listed_with_their_predecessors_and_the_whole_reason(daemon):
    create(daemon, "web", "--restart-delay", "0s")
    (task,) = daemon.swarm.store.tasks()
    reason = "exit code 3: " + "the disk of this machine is full " * 5
    daemon.swarm.report(task, TaskState.FAILED, reason.strip())
    rows = daemon.ok("service", "ps", "web", "--filter", "name=web").splitlines()
    assert rows[0].split("   ")[0] == "ID"
    assert rows[1].split()[1] == "web.1"
    assert " \\_ web.1" in rows[2]
    assert reason.strip() in rows[2]
    assert "Failed 1 second ago" in rows[2]
    first = json.loads(daemon.ok("service", "ps", "--format", "json", "web").splitlines()[0])
    assert (first["Name"], first["DesiredState"]) == ("web.1", "Running")
    running = daemon.ok("service", "ps", "-q", "--filter", "desired-state=running", "web")
    assert len(running.splitlines()) == 1


def test_a_beginning_of_an_id_is_enough_when_it_is_the_only_one(daemon):
    create(daemon, "web")
    create(daemon, "api")
    assert json.loads(daemon.ok("service", "inspect", "id1"))[0]["Spec"]["Name"] == "web"
    message = failing(daemon, "service", "inspect", "id")
    assert "service 'id' is ambiguous: id1 (web), id2 (api)" in message


def test_an_update_in_progress_shows_in_inspect(daemon):
    create(daemon)
    daemon.ok("service", "update", "-d", "web", "other")
    daemon.ok("service", "ls")
    document = json.loads(daemon.ok("service", "inspect", "web"))[0]
    assert document["UpdateStatus"]["State"] == "updating"
    assert document["PreviousSpec"]["Name"] == "web"
    assert "Update:" in daemon.ok("service", "inspect", "--pretty", "web")


# Logs.


def test_log_lines_name_their_task_and_keep_their_stream(daemon):
    create(daemon, "web", "--replicas", "2")
    one, two = sorted(daemon.swarm.store.tasks(), key=lambda task: task.slot)
    daemon.logs.messages = [a_line(one.id, "hello"), a_line(two.id, "trouble", stderr=True)]
    result = daemon.run("service", "logs", "web")
    assert result.stdout == f"web.1.{one.id[:12]}@{one.node_id} | hello\n"
    assert result.stderr == f"web.2.{two.id[:12]}@{two.node_id} | trouble\n"
    assert daemon.ok("service", "logs", "--raw", "-t", "web") == (
        "2023-11-14T22:13:20.000000000Z hello\n"
    )
    (service_id,) = daemon.logs.requests[0].selector.service_ids
    assert service_id == "id1"


def test_the_logs_of_one_task_are_asked_for_by_its_id(daemon):
    create(daemon)
    (task,) = daemon.swarm.store.tasks()
    daemon.ok("service", "logs", "--tail", "5", "-f", "--since", "10s", task.id[:10])
    request = daemon.logs.requests[0]
    assert list(request.selector.task_ids) == [task.id]
    assert (request.options.tail, request.options.follow) == (-6, True)
    assert request.options.since.seconds <= daemon.swarm.now // 10**9 - 10


@pytest.mark.parametrize("flags", [("--tail", "many"), ("--since", "yesterday")])
def test_malformed_log_options_are_usage_errors(daemon, flags):
    failing(daemon, "service", "logs", *flags, "web", code=2)


def test_logs_of_nothing_are_an_error(daemon):
    assert "no such service: nobody" in failing(daemon, "service", "logs", "nobody")


# Nodes.


def test_nodes_are_listed_with_a_star_for_this_one(daemon):
    daemon.swarm.set_node("n3", state=NodeState.DOWN, availability=Availability.DRAIN)
    assert daemon.ok("node", "ls").splitlines() == [
        "ID     HOSTNAME   STATUS   AVAILABILITY   MANAGER STATUS   ADDRESS         ENGINE VERSION",
        "n1 *   n1         Ready    Active         Leader           10.0.0.1:2377",
        "n2     n2         Ready    Active                          10.0.0.1",
        "n3     n3         Down     Drain                           10.0.0.1",
    ]
    assert daemon.ok("node", "ls", "-q", "--filter", "availability=drain") == "n3\n"
    own = json.loads(daemon.ok("node", "ls", "--format", "json").splitlines()[0])
    assert (own["Self"], own["ManagerStatus"]) == (True, "Leader")


def test_a_node_is_changed_by_name(daemon):
    daemon.ok("node", "update", "--availability", "drain", "--label-add", "rack=r1", "n2")
    spec = daemon.swarm.store.get_node("n2").spec
    assert (spec.availability, spec.labels) == (Availability.DRAIN, {"rack": "r1"})
    daemon.ok("node", "update", "--label-rm", "rack", "n2")
    assert daemon.swarm.store.get_node("n2").spec.labels == {}


def test_promotion_and_demotion_say_what_they_did(daemon):
    daemon.ok("node", "promote", "n1")
    assert daemon.ok("node", "promote", "n2", "n1") == (
        "Node n2 promoted to a manager.\nNode n1 is already a manager.\n"
    )
    daemon.members += (ManagerMember("n2", 2, "10.0.0.2:2377", leader=False, reachable=True),)
    assert daemon.ok("node", "demote", "n2") == "Node n2 demoted in the swarm.\n"
    assert daemon.swarm.store.get_node("n2").spec.role is Role.WORKER


def test_a_demotion_at_the_cost_of_the_quorum_is_refused(daemon):
    daemon.ok("node", "promote", "n1")
    assert "attempting to demote the last manager" in failing(daemon, "node", "demote", "n1")
    daemon.ok("node", "promote", "n2")
    daemon.blocker = "1 of 2 managers would remain reachable"
    assert daemon.blocker in failing(daemon, "node", "demote", "n1")


def test_a_node_that_is_up_is_removed_by_force_only(daemon):
    assert "is not down and can't be removed" in failing(daemon, "node", "rm", "n3")
    assert daemon.ok("node", "rm", "--force", "n3") == "n3\n"
    assert daemon.swarm.store.find_node(NodeId("n3")) is None


def test_tasks_of_this_node_are_listed_without_naming_it(daemon):
    create(daemon, "web", "--replicas", "3")
    rows = daemon.ok("node", "ps").splitlines()
    assert len(rows) == 2
    assert rows[1].split()[1].startswith("web.")
    assert len(daemon.ok("node", "ps", "n1", "n2").splitlines()) == 3


def test_a_node_is_inspected_by_name_or_as_self(daemon):
    documents = json.loads(daemon.ok("node", "inspect", "self", "n2"))
    assert [document["ID"] for document in documents] == ["n1", "n2"]
    assert documents[0]["ManagerStatus"]["Leader"] is True


# Membership.


def test_init_tells_how_to_go_on(daemon):
    assert daemon.ok("init", "--advertise-addr", "10.0.0.1", "--cert-expiry", "24h") == (
        "swarm created: node n1 is a manager; runtime process (no containerd), balancing proxy\n"
        "note: as root\n"
        "to add a worker:   swarmd join --token SWMTKN-1-w 10.0.0.1:2377\n"
        "to add a manager:  swarmd token manager\n"
    )
    (request,) = daemon.local.requests
    assert request.advertise_addr == "10.0.0.1"
    assert request.node_cert_expiry.seconds == 86_400
    assert not request.HasField("heartbeat_period")


def test_join_tells_the_role(daemon):
    out = daemon.ok("join", "--token", "T", "--availability", "drain", "10.0.0.1", "10.0.0.2:2377")
    assert out.startswith("node n2 joined the swarm as a manager; runtime process")
    (request,) = daemon.local.requests
    assert list(request.remote_addrs) == ["10.0.0.1", "10.0.0.2:2377"]
    assert request.availability == local.AVAILABILITY_DRAIN


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(("10.0.0.1",), "--token is missing"), (("--token", "T"), "address of a manager is missing")],
)
def test_join_needs_a_token_and_a_manager(daemon, words, complaint):
    assert complaint in failing(daemon, "join", *words, code=2)


def test_a_unit_runs_this_nodes_daemon(daemon):
    unit = daemon.ok("init", "--print-unit")
    assert f"--state-dir {daemon.socket.parent} daemon\n" in unit
    assert daemon.ok("join", "--print-unit") == unit
    assert daemon.local.requests == []


def test_leaving_can_be_forced(daemon):
    assert daemon.ok("leave", "--force") == "node left the swarm\n"
    assert daemon.local.requests[0].force


def test_stopping_leaves_tasks_unless_told_otherwise(daemon):
    assert daemon.ok("stop") == "daemon stopped; its tasks run on\n"
    assert daemon.ok("stop", "--tasks") == "daemon stopped with its tasks\n"
    assert [request.stop_tasks for request in daemon.local.requests] == [False, True]


def test_tokens_are_shown_and_rotated(daemon):
    first = daemon.ok("token", "--rotate", "-q", "worker").strip()
    assert first.startswith("SWMTKN-1-")
    assert daemon.ok("token", "worker") == (
        f"to add a worker:  swarmd join --token {first} 10.0.0.1:2377\n"
    )
    assert "the manager token was replaced" in daemon.ok("token", "--rotate", "manager")
    assert daemon.ok("token", "-q", "worker").strip() == first


# The program.


def test_info_shows_what_was_chosen_and_why(daemon):
    daemon.local.info.warnings.append("port 8080/tcp is taken by another program")
    result = daemon.run("info")
    assert "Runtime:         process (no containerd)\n" in result.stdout
    assert "Role:            leader\n" in result.stdout
    assert result.stderr == "WARNING: port 8080/tcp is taken by another program\n"
    assert json.loads(daemon.ok("info", "--format", "json"))["Raft"]["Term"] == 2


def test_info_of_a_node_without_a_swarm_says_how_to_get_one(daemon):
    daemon.local.info = local.InfoResponse(version="0.1.0", pid=1)
    assert "not part of a swarm: run `swarmd init`" in daemon.ok("info")


@pytest.mark.parametrize("words", [("service", "ls"), ("node", "ls"), ("info",), ("leave",)])
def test_without_a_daemon_the_next_step_is_named(daemon, words):
    daemon.close()
    daemon.socket.unlink()
    message = failing(daemon, *words)
    assert message.startswith(f"Error: no swarmd daemon is running at {daemon.socket}\n")
    assert "`swarmd init`" in message


@pytest.mark.parametrize(
    ("sentence", "hint"),
    [
        ("this node is not part of a swarm", "`swarmd init`"),
        ("this node is not a swarm manager", "run this on a manager"),
    ],
)
def test_what_a_node_cannot_do_is_explained(daemon, sentence, hint):
    class Refusing:
        def ListServices(self, call: Any, request: Any) -> Any:
            raise Rejection(Code.FAILED_PRECONDITION, sentence)

        ListServiceStatuses = ListServices

    daemon.services["docker.swarmkit.v1.Control"] = Refusing()
    message = failing(daemon, "service", "ls")
    assert sentence in message
    assert hint in message


@pytest.mark.parametrize("host", ["tcp://10.0.0.1:2377", "10.0.0.1:2377"])
def test_a_host_is_a_socket(host):
    completed = subprocess.run(
        [sys.executable, "-m", "swarmd.cli", "-H", host, "service", "ls"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 2
    assert "is not a socket" in completed.stderr


def test_help_and_completion_load_nothing_heavy():
    """They run while a person types: no protobuf, no rich, no records."""
    program = (
        "import sys; from swarmd.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "try: cli(['service', 'create', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = [m for m in sys.modules if m.partition('.')[0] in\n"
        "         ('google', 'grpc', 'rich', 'asyncio', 'msgspec', 'cryptography')]\n"
        "assert not heavy, heavy\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr


def test_every_listed_command_exists():
    context = cli.make_context("swarmd", ["info"], resilient_parsing=True)
    for name in ENTRIES:
        command = cli.get_command(context, name)
        assert command is not None
        for inner in getattr(command, "_entries", ()):
            assert command.get_command(context, inner) is not None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(daemon, shell):
    assert "_SWARMD_COMPLETE" in daemon.ok("completion", shell)


def test_names_are_completed_from_the_swarm(daemon):
    from click.shell_completion import ShellComplete

    create(daemon, "web")
    create(daemon, "api")
    target = daemon.target()
    complete = ShellComplete(cli, {"obj": target}, "swarmd", "_SWARMD_COMPLETE")

    def words(*args: str, incomplete: str) -> list[str]:
        return [item.value for item in complete.get_completions(list(args), incomplete)]

    assert words("service", "ps", incomplete="w") == ["web"]
    assert words("service", "update", incomplete="") == ["api", "web"]
    assert words("node", "inspect", incomplete="n") == ["n1", "n2", "n3"]
    assert words(incomplete="ser") == ["service"]
    assert words("service", incomplete="c") == ["create"]
