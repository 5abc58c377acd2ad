"""`make demo`: a swarm of five nodes is born, serves, loses its leader and a worker, and heals.

Its tasks are containers where they can be, which takes root, containerd, runc and busybox; else
processes. KEEP=1 leaves it running and says how to use it and how to end it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from demo import image
from demo.machines import Machine, machines
from demo.swarm import CommandFailed, Swarm, wait_until

MANAGERS = ("manager-1", "manager-2", "manager-3")
WORKERS = ("worker-1", "worker-2")
REPLICAS = 6
PORT = 8080
WHOAMI = Path(__file__).with_name("whoami.py")
FETCH = (
    "import sys, urllib.request as r;"
    "print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=2).read().decode().strip())"
)


def main() -> None:
    keep = os.environ.get("KEEP") == "1"
    begun = time.monotonic()
    with machines([*MANAGERS, *WORKERS], keep=keep) as made:
        swarm = Swarm(made)
        try:
            show(swarm)
            say(f"done in {time.monotonic() - begun:.1f} s")
        except (CommandFailed, TimeoutError) as error:
            keep = False
            print(f"Error: {error}", file=sys.stderr)
            sys.exit(1)
        finally:
            if keep:
                explain_keeping(swarm)
            else:
                swarm.stop()


def show(swarm: Swarm) -> None:
    made = swarm.machines
    if made.in_namespaces:
        say("five machines: network namespaces joined by a bridge, 10.99.0.11 to 10.99.0.15")
    else:
        say(f"five machines on loopback addresses instead of network namespaces: {made.reason}")
    first = made.by_name[MANAGERS[0]]
    step("one command founds the swarm, one per machine joins it", lambda: form(swarm, first))
    print(swarm.command(first, "node", "ls"))
    containers = runs_containers(swarm, first)
    if containers:
        step(f"every machine is given the image {image.NAME}", lambda: hand_out(swarm))
    step(
        f"a service of {REPLICAS} tasks, published on port {PORT}",
        lambda: print(create(swarm, first, containers=containers), end=""),
    )
    print(swarm.command(first, "service", "ps", "web"))
    say("every node answers, whether or not it runs a task:")
    for machine in made.nodes():
        print(f"    http://{machine.address}:{PORT}/  ->  {fetch_soon(swarm, machine)}")
    look_inside(swarm, first)
    asked = lose_leader(swarm, first)
    lose_worker(swarm, asked)
    print(swarm.command(asked, "node", "ls"))


def form(swarm: Swarm, first: Machine) -> None:
    swarm.init(first)
    for name in MANAGERS[1:]:
        swarm.join(swarm.machines.by_name[name], first, "manager")
    for name in WORKERS:
        swarm.join(swarm.machines.by_name[name], first, "worker")
    wait_until(
        lambda: len(swarm.json(first, "info")["RemoteManagers"]) == len(MANAGERS),
        what="all managers to be members",
    )


def runs_containers(swarm: Swarm, machine: Machine) -> bool:
    """Whether tasks are containers here; if not, why is said."""
    info = swarm.json(machine, "info")
    if info["Runtime"] != "containerd":
        say(f"tasks are processes: {info['RuntimeReason']}")
        return False
    if image.busybox() is None:
        say("tasks are processes: there is no busybox (package busybox-static) for an image")
        return False
    return True


def hand_out(swarm: Swarm) -> None:
    """Give every machine the image, as there is no registry to pull it from."""
    root = image.write_root(swarm.machines.directory / "whoami.tar")
    for machine in swarm.machines.nodes():
        swarm.command(machine, "image", "import", str(root), image.NAME)


def create(swarm: Swarm, machine: Machine, *, containers: bool) -> str:
    serve = (image.NAME, "sh", "-c", image.SERVE)
    program = serve if containers else ("--process", "--", sys.executable, str(WHOAMI))
    return swarm.command(
        machine,
        *("service", "create", "--name", "web", "--replicas", str(REPLICAS)),
        *("--publish", f"{PORT}:80", "--stop-grace-period", "1s"),
        *("--env", "TASK={{.Task.Name}}", "--env", "MACHINE={{.Node.Hostname}}"),
        *program,
    )


def look_inside(swarm: Swarm, machine: Machine) -> None:
    """Tasks are looked into from any manager, wherever they run."""
    say("any manager looks into any task, wherever it runs:")
    shell = 'echo "hello from inside, I am process $$ of $TASK"'
    print(f"    {swarm.command(machine, 'exec', 'web.1', 'sh', '-c', shell).strip()}")
    print(swarm.command(machine, "stats", "--no-stream", "web"))
    say("    and reads what they all print, in the order of time:")
    print(swarm.command(machine, "service", "logs", "--tail", "1", "--timestamps", "web"))


def lose_leader(swarm: Swarm, asked: Machine) -> Machine:
    """Kill the machine that leads; returns a manager that lives."""
    leader = swarm.leader(asked)
    if leader is None:
        raise CommandFailed("no manager leads although all run")
    alive = next(swarm.machines.by_name[n] for n in MANAGERS if n != leader.name)
    say(f"{leader.name} leads; its power is cut (kill -9, tasks included) ...")
    swarm.kill(leader)
    begun = time.monotonic()
    wait_until(lambda: scaled(swarm, alive), what="a write accepted by another manager")
    say(f"    another manager accepted a write {time.monotonic() - begun:.2f} s later")
    wait_until(lambda: running(swarm, alive) == REPLICAS + 1, what="its tasks to run elsewhere")
    say(f"    all {REPLICAS + 1} tasks ran again {time.monotonic() - begun:.2f} s after the cut")
    return alive


def lose_worker(swarm: Swarm, asked: Machine) -> None:
    worker = swarm.machines.by_name[WORKERS[0]]
    say(f"{worker.name}'s power is cut ...")
    swarm.kill(worker)
    begun = time.monotonic()
    wait_until(lambda: down(swarm, asked) == 2, what="the loss to be noticed")
    say(f"    noticed after {time.monotonic() - begun:.2f} s")
    wait_until(lambda: running(swarm, asked) == REPLICAS + 1, what="its tasks to run elsewhere")
    say(f"    all {REPLICAS + 1} tasks ran again {time.monotonic() - begun:.2f} s after the cut")
    survivors = [m for m in swarm.machines.nodes() if m.name in swarm.daemons]
    for machine in survivors:
        print(f"    http://{machine.address}:{PORT}/  ->  {fetch_soon(swarm, machine)}")


def scaled(swarm: Swarm, machine: Machine) -> bool:
    try:
        swarm.command(machine, "service", "scale", "--detach", f"web={REPLICAS + 1}")
    except CommandFailed:
        return False
    return True


def running(swarm: Swarm, machine: Machine) -> int:
    """How many tasks of the service run on nodes that are not down."""
    try:
        service = swarm.rows(machine, "service", "ls")[0]
    except CommandFailed:
        return 0
    if down(swarm, machine) < len(swarm.machines.nodes()) - len(swarm.daemons):
        return 0
    return int(str(service["Replicas"]).split("/")[0])


def down(swarm: Swarm, machine: Machine) -> int:
    return sum(
        str(node["Status"]).lower().startswith("down") for node in swarm.rows(machine, "node", "ls")
    )


def fetch_soon(swarm: Swarm, machine: Machine) -> str:
    """What the machine's published port answers, asked by the client until it does."""
    answer = ""

    def answered() -> bool:
        nonlocal answer
        url = f"http://{machine.address}:{PORT}/"
        done = swarm.machines.client.run([sys.executable, "-c", FETCH, url])
        answer = done.stdout.strip()
        return done.returncode == 0

    wait_until(answered, what=f"an answer from {machine.name}", timeout_s=20)
    return answer


def explain_keeping(swarm: Swarm) -> None:
    first = next(m for m in swarm.machines.nodes() if m.name in swarm.daemons)
    say("the swarm stays up; use it:")
    print(f"    .venv/bin/swarmd --state-dir {first.state_dir} node ls")
    curl = swarm.machines.client.command(["curl", f"http://{first.address}:{PORT}/"])
    print(f"    {' '.join(curl)}")
    say("and end it:")
    for name in swarm.daemons:
        machine = swarm.machines.by_name[name]
        print(f"    .venv/bin/swarmd --state-dir {machine.state_dir} stop --tasks")
    if swarm.machines.in_namespaces:
        print(f"    for n in $(ip netns list | grep -o '{swarm.machines.tag}[^ ]*'); do")
        print("        ip netns del $n")
        print("    done")
    print(f"    rm -r {swarm.machines.directory}")


def step(title: str, act: Callable[[], None]) -> None:
    say(title + " ...")
    begun = time.monotonic()
    act()
    say(f"    {time.monotonic() - begun:.1f} s")


def say(text: str) -> None:
    print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)


if __name__ == "__main__":
    main()
