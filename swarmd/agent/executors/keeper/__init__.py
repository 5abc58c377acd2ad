"""The keeper: one small process per node that is the parent of all its process tasks.

Tasks have to outlive the daemon, keep logging meanwhile, and have their exact exit status known
afterwards; only a parent can do that. So the daemon starts a keeper, speaks to it over a unix
socket (`protocol`), and may be killed and started again at will. The keeper holds the log pipes,
reaps, keeps the grace period of a stop, and writes every exit to a file, so that even its own
death loses no exit it has seen. It imports little and no asyncio: forking it must stay cheap.
See docs/design/agent.md.
"""
