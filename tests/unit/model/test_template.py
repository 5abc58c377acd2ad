"""Templates: what expands, and which sentence a fault gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.model.spec import ContainerSpec
from swarmd.model.template import TemplateContext, TemplateError, expand, expand_container

CONTEXT = TemplateContext(
    service_id="sid",
    service_name="web",
    service_labels={"tier": "front", "team-a": "x"},
    node_id="nid",
    node_hostname="alpha",
    platform_os="linux",
    platform_architecture="x86_64",
    task_id="tid",
    task_name="web.3.tid",
    task_slot="3",
)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("{{.Service.ID}}/{{ .Service.Name }}", "sid/web"),
        ("{{.Node.ID}} {{.Node.Hostname}}", "nid alpha"),
        ("{{.Node.Platform.OS}}-{{.Node.Platform.Architecture}}", "linux-x86_64"),
        ("{{.Task.ID}} {{.Task.Name}} {{.Task.Slot}}", "tid web.3.tid 3"),
        ('{{index .Service.Labels "team-a"}}', "x"),
        ("{{index .Service.Labels `tier`}}", "front"),
        ("{{.Service.Labels.tier}}", "front"),
        ('{{join "-" .Service.Name .Task.Slot "z"}}', "web-3-z"),
        ('{{join "," }}', ""),
        ('{{"a }} \\"b\\""}}', 'a }} "b"'),
        ("a {{- .Task.Slot -}} b", "a3b"),
        ("a {{- .Task.Slot }} b", "a3 b"),
        ("} } {.Task.Slot}", "} } {.Task.Slot}"),
    ],
)
def test_templates_expand(text, expanded):
    assert expand(text, CONTEXT) == expanded


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{{", "without closing"),
        ("{{.Task.Slot", "without closing"),
        ("{{}}", "is empty"),
        ("{{.Task.Sloth}}", "'.Task.Sloth' is unknown"),
        ("{{env HOME}}", "function 'env' is unknown"),
        ('{{index .Service.Labels "no"}}', "label 'no'"),
        ("{{.Service.Labels.no}}", "label 'no'"),
        ('{{index .Node.Labels "a"}}', "index takes .Service.Labels"),
        ('{{index .Service.Labels "a" "b"}}', "index takes .Service.Labels"),
        ('{{join "," (.Task.ID)}}', "unknown"),
        ("{{`a}}", "quote that does not end"),
    ],
)
def test_faults_are_named(text, complaint):
    with pytest.raises(TemplateError, match=complaint.replace("(", r"\(")):
        expand(text, CONTEXT)


@given(st.text())
def test_any_text_expands_or_is_refused(text):
    refusal = ""
    try:
        assert isinstance(expand(text, CONTEXT), str)
    except TemplateError as error:
        refusal = str(error) or "without a reason"
    assert refusal != "without a reason"


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_is_left_alone(text):
    assert expand(text, CONTEXT) == text


def test_a_container_is_expanded_where_templates_are_allowed():
    spec = ContainerSpec(
        image="i:{{.Task.Slot}}",
        env=("A={{.Task.Slot}}", "B", "{{.Task.ID}}=x"),
        hostname="h{{.Task.Slot}}",
        command=("run", "{{.Service.Name}}"),
        args=("{{.Node.Hostname}}",),
        dir="/srv/{{.Task.Slot}}",
    )
    assert expand_container(spec, CONTEXT) == ContainerSpec(
        image="i:{{.Task.Slot}}",
        env=("A=3", "B", "{{.Task.ID}}=x"),
        hostname="h3",
        command=("run", "web"),
        args=("alpha",),
        dir="/srv/3",
    )


def test_a_fault_in_a_container_names_the_field():
    with pytest.raises(TemplateError, match=r"^env LEVEL: template value"):
        expand_container(ContainerSpec(env=("LEVEL={{.What}}",)), CONTEXT)
