"""Where secrets and configs lie, and what their templates become."""

from __future__ import annotations

import pytest

from swarmd.agent.core.launch import Unfit
from swarmd.agent.core.task_files import Missing, TaskFile, task_files
from swarmd.model.secret import Config, Secret
from swarmd.model.spec import ContainerSpec
from swarmd.model.template import TemplateContext
from tests.support.task_files import a_config, a_secret, uses_config, uses_secret

CONTEXT = TemplateContext(service_name="web", task_slot="3")


def files(spec: ContainerSpec, *given: Secret | Config) -> tuple[TaskFile, ...]:
    return task_files(
        spec,
        CONTEXT,
        secrets={row.id: row for row in given if isinstance(row, Secret)},
        configs={row.id: row for row in given if isinstance(row, Config)},
    )


def test_names_are_meant_from_run_secrets_and_from_the_root() -> None:
    spec = ContainerSpec(
        secrets=(uses_secret("key"), uses_secret("cert", "/etc/cert", uid="5", mode=0o600)),
        configs=(uses_config("conf", "etc/conf"),),
    )
    found = files(spec, a_secret("key", b"k"), a_secret("cert", b"c"), a_config("conf", b"o"))
    assert found == (
        TaskFile(target="/run/secrets/key", data=b"k"),
        TaskFile(target="/etc/cert", data=b"c", uid=5, mode=0o600),
        TaskFile(target="/etc/conf", data=b"o"),
    )


def test_a_template_sees_the_task_and_its_other_files() -> None:
    text = b'{{.Service.Name}}.{{.Task.Slot}} {{secret "key"}} {{config "/c"}} {{env "A"}}'
    spec = ContainerSpec(
        env=("A=x=y",),
        secrets=(uses_secret("key"),),
        configs=(uses_config("t"), uses_config("c")),
    )
    found = files(
        spec, a_secret("key", b"k"), a_config("t", text, template=True), a_config("c", b"{{}}")
    )
    assert [file.data for file in found] == [b"k", b"web.3 k {{}} x=y", b"{{}}"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b'{{secret "no"}}', "no secret with the target 'no'"),
        (b'{{env "NO"}}', "no environment variable 'NO'"),
        (b"{{secret}}", "takes one argument"),
        (b"\xff{{.Task.ID}}", "no text in UTF-8"),
        (b"{{.No}}", "unknown"),
    ],
)
def test_a_template_that_cannot_be_expanded_is_refused(text: bytes, complaint: str) -> None:
    spec = ContainerSpec(configs=(uses_config("t"),))
    with pytest.raises(Unfit, match=complaint):
        files(spec, a_config("t", text, template=True))


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        (uses_secret("key", "../../etc/passwd"), "must not contain"),
        (uses_secret("key", "/run/secrets/"), "is a directory"),
        (uses_secret("key", uid="root"), "as a number"),
    ],
)
def test_targets_that_lead_elsewhere_are_refused(reference: object, complaint: str) -> None:
    spec = ContainerSpec(secrets=(reference,))  # type: ignore[arg-type]
    with pytest.raises(Unfit, match=complaint):
        files(spec, a_secret("key", b"k"))


def test_two_files_for_one_target_are_refused() -> None:
    spec = ContainerSpec(
        secrets=(uses_secret("key"),), configs=(uses_config("c", "/run/secrets/key"),)
    )
    with pytest.raises(Unfit, match="/run/secrets/key"):
        files(spec, a_secret("key", b"k"), a_config("c", b"c"))


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(Missing, match="secret key"):
        files(ContainerSpec(secrets=(uses_secret("key"),)))


def test_data_is_not_shown() -> None:
    assert "hunter2" not in repr(TaskFile(target="/a", data=b"hunter2"))
