"""The userspace back end: TCP and UDP in this process, with nothing asked of the kernel.

`balancer` brings the listeners in line with the table, `tcp` and `udp` are the two kinds of
frontend, `link` carries the bytes of one connection, `reactor` delivers readiness, `binding` opens
listeners and explains what stands in the way.
"""

from swarmd.lb.proxy.balancer import ProxyBalancer, ProxyCandidate
from swarmd.lb.proxy.settings import Place, ProxySettings

__all__ = ["Place", "ProxyBalancer", "ProxyCandidate", "ProxySettings"]
