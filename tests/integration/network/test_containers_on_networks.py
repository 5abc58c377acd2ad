"""Containers on an overlay of three real daemons: names, virtual addresses, the mesh."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.swarm import Swarm, wait_until
from tests.support import images
from tests.support.containers import why_none
from tests.support.network_swarm import from_client, lacking, namespaces, network_swarm, tasks

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(lacking() or why_none()), reason=lacking() or why_none() or "-"),
]

# Answers with its own name and the address of who asks.
CGI = r"""
mkdir -p /www/cgi-bin
cat > /www/cgi-bin/who <<'END'
#!/bin/sh
asking=${REMOTE_ADDR##*:}
echo "Content-Type: text/plain"; echo; echo $(hostname) ${asking%]}
END
chmod +x /www/cgi-bin/who
exec httpd -f -h /www
"""
PATH = "/cgi-bin/who"
# What a container sees of the others: six answers, and who is behind the name of the tasks.
LOOK = f"for n in 1 2 3 4 5 6; do wget -q -O - http://web{PATH}; done; nslookup tasks.web"


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """Three daemons that have the image `box:1`."""
    with network_swarm() as made:
        archive = made.machines.directory / "box.tar"
        images.docker_archive(archive, "box:1", [images.busybox_layer()])
        for machine in made.machines.nodes():
            made.command(machine, "image", "load", str(archive))
        yield made


def test_containers_reach_each_other_by_name_and_clients_reach_them_everywhere(
    swarm: Swarm,
) -> None:
    first = swarm.machines.by_name["m1"]
    swarm.command(first, "network", "create", "front")
    swarm.command(
        *(first, "service", "create", "--name", "web", "--mode", "global", "--network", "front"),
        *("--publish", "8080:80", "--stop-grace-period", "1s", "box:1", "sh", "-c", CGI),
    )
    names = {task[:12]: task for task in tasks(swarm, "web").values()}
    assert len(names) == len(swarm.machines.nodes())

    for task in names.values():
        # One virtual address, behind which are all of them in turn; and each by itself.
        lines = swarm.command(first, "exec", task, "sh", "-c", LOOK).splitlines()
        answers = [line.split() for line in lines[:6]]
        assert sorted(name for name, _ in answers) == sorted([*names, *names])
        assert len({address for _, address in answers}) == 1
        known = {line.split()[-1] for line in lines[6:] if line.startswith("Address")}
        assert len({address for address in known if not address.startswith("127.")}) == len(names)

    # Every node answers with every container, and all of them see the client itself.
    for machine in swarm.machines.nodes():
        urls = [f"http://{machine.address}:8080{PATH}"] * len(names)
        wait_until(
            lambda urls=urls: (  # type: ignore[misc]
                sorted(filter(None, from_client(swarm, *urls)))
                == sorted(f"{name} {swarm.machines.client.address}" for name in names)
            ),
            what=f"all containers to answer through {machine.name}",
        )
    swarm.command(first, "service", "rm", "web")
    wait_until(lambda: not namespaces(swarm, "tasks"), what="the containers' namespaces to go")
