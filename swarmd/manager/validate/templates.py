"""The dry run of templates: a spec whose templates cannot be expanded is refused on creation."""

from __future__ import annotations

from swarmd.manager.validate.mounts import check_mounts
from swarmd.model.errors import invalid
from swarmd.model.spec import ServiceSpec
from swarmd.model.template import TemplateContext, TemplateError, expand_container

HOSTNAME_LENGTH_MAX = 253


def check_templates(spec: ServiceSpec) -> None:
    """Expand the container's templates with made-up values and this service's own labels."""
    container = spec.task_template.container_spec
    if container is None:
        return
    context = TemplateContext(
        service_id="serviceid",
        service_name=spec.name,
        service_labels=spec.labels,
        node_id="nodeid",
        node_hostname="hostname",
        platform_os="linux",
        platform_architecture="x86_64",
        task_id="taskid",
        task_name=f"{spec.name}.1.taskid",
        task_slot="1",
        task_ordinal="0",
    )
    try:
        expanded = expand_container(container, context)
    except TemplateError as error:
        raise invalid(f"container.{error}") from None
    if len(expanded.hostname) > HOSTNAME_LENGTH_MAX:
        raise invalid(
            f"container.hostname is {len(expanded.hostname)} characters long, "
            f"the limit is {HOSTNAME_LENGTH_MAX}"
        )
    if expanded.dir and not expanded.dir.startswith("/"):
        raise invalid(f"container.dir {container.dir!r} is not an absolute path")
    check_mounts(expanded)
