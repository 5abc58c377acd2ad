"""Balancing of published ports over the tasks of a service.

`core` decides (pure), back ends act: `kernel` names what a back end must do and picks one, `proxy`
is the back end that needs nothing from the kernel. Design note: docs/design/lb.md.
"""
