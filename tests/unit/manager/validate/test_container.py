"""Which surroundings of a container are accepted, and how the others are refused."""

from __future__ import annotations

import pytest

from swarmd.manager.validate.container import check_surroundings
from swarmd.model.errors import Rejection
from swarmd.model.host_access import HostAccess
from swarmd.model.spec import ContainerSpec, DnsConfig, Ulimit

FINE = ContainerSpec(
    image="nginx",
    tty=True,
    read_only=True,
    hosts=("10.0.0.1 db db.example.com", "::1 six"),
    dns_config=DnsConfig(nameservers=("10.0.0.53",), search=("example.com",)),
    sysctls={"net.core.somaxconn": "1024", "kernel.shmmax": "1"},
    capability_add=("net_admin", "ALL"),
    capability_drop=("CAP_CHOWN",),
    ulimits=(Ulimit("nofile", 10, 20), Ulimit("core", 0, -1), Ulimit("memlock", -1, -1)),
    oom_score_adj=-1000,
)


def test_what_kernels_take_is_accepted():
    check_surroundings(FINE)


def test_a_process_may_stay_on_the_network_of_its_node_and_ask_for_nothing_else():
    check_surroundings(ContainerSpec(command=("a",), host_access=HostAccess(network=True)))
    for access in (HostAccess(pid=True), HostAccess(network=True, privileged=True)):
        with pytest.raises(Rejection, match="host_access needs a container"):
            check_surroundings(ContainerSpec(command=("a",), host_access=access))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (ContainerSpec(command=("a",), tty=True), "container.tty needs a container"),
        (ContainerSpec(image="a", executor="process", read_only=True), "container.read_only needs"),
        (ContainerSpec(image="a", hosts=("db 10.0.0.1",)), "'db 10.0.0.1' is not an address"),
        (ContainerSpec(image="a", hosts=("10.0.0.1",)), "not an address followed by names"),
        (ContainerSpec(image="a", dns_config=DnsConfig(nameservers=("dns",))), "'dns' is not an"),
        (ContainerSpec(image="a", sysctls={"kernel.panic": "1"}), "not kept per container"),
        (ContainerSpec(image="a", capability_add=("net admin",)), "'net admin' is not a name"),
        (ContainerSpec(image="a", ulimits=(Ulimit("files", 1, 1),)), "'files' is unknown"),
        (ContainerSpec(image="a", ulimits=(Ulimit("nofile", 2, 1),)), "soft limit 2 is above"),
        (ContainerSpec(image="a", ulimits=(Ulimit("nofile", -1, 1),)), "soft limit -1 is above"),
        (ContainerSpec(image="a", ulimits=(Ulimit("nofile", -2, -1),)), "amounts start at 0"),
        (ContainerSpec(image="a", oom_score_adj=1001), "from -1000 to 1000"),
    ],
)
def test_what_no_kernel_takes_is_refused(spec, sentence):
    with pytest.raises(Rejection) as refusal:
        check_surroundings(spec)
    assert sentence in refusal.value.message
