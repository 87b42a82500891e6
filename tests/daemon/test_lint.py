"""Each rule of ``tidewaiter lint`` fires where it should, at the right place, and nowhere else."""

import pytest

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.lint import RULES, Finding, lint

SHELL = "io.kestra.plugin.scripts.shell.Commands"
FLOW = "io.kestra.plugin.core.flow."
OLD_PROCESS = "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner"
S3 = "  - {id: w, type: aws.s3.Trigger, bucket: b, region: eu-west-1, "
HEAD = "id: flow\nnamespace: harbour\n"
LOG = "tasks: [{id: a, type: log.Log, message: hi}]\n"


def task(text: str) -> str:
    """A flow of one task, the lines of which are *text*."""
    return f"{HEAD}tasks:\n  - id: a\n" + "".join(f"    {line}\n" for line in text.splitlines())


def shell(command: str, more: str = "") -> str:
    return task(f"type: {SHELL}\ncommands:\n  - {command}") + more


def trigger(properties: str, more: str = "") -> str:
    return f"{HEAD}{LOG}triggers:\n{S3}{properties}}}\n{more}"


def inputs(*lines: str) -> str:
    return "inputs:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def loop(values: str, command: str) -> str:
    tasks = f"tasks: [{{id: b, type: {SHELL}, commands: ['{command}']}}]"
    return task(f'type: {FLOW}ForEach\nvalues: "{values}"\n{tasks}')


def working_directory(*tasks: str) -> str:
    children = "".join(f"      - {{id: c{n}, {text}}}\n" for n, text in enumerate(tasks))
    return f"{HEAD}tasks:\n  - id: wd\n    type: io.kestra.plugin.core.flow.WorkingDirectory\n    tasks:\n{children}"


def findings(text: str) -> list[Finding]:
    return lint(text, "flow.yaml", Expressions())


FIRES: dict[str, list[str]] = {
    "TW001": ["id: [\n§", "§", task("type: log.Log\n§mesage: hi")],
    "TW002": [
        task("type: §io.kestra.plugin.jdbc.postgresql.Query\nsql: select 1"),
        f"{HEAD}{LOG}triggers: [{{id: t, type: §io.kestra.plugin.acme.Trigger}}]\n",
    ],
    "TW101": [
        task("type: §io.kestra.core.tasks.log.Log\nmessage: hi"),
        task(f"type: {SHELL}\ncommands: [ls]\ntaskRunner: {{type: §{OLD_PROCESS}}}"),
    ],
    "TW102": [task(f"type: {SHELL}\ncommands: [ls]\n§runner: PROCESS")],
    "TW103": [working_directory("type: §io.kestra.core.tasks.storages.LocalFiles, inputs: {a: b}")],
    "TW104": [task("type: §io.kestra.core.tasks.scripts.Bash\ncommands: [ls]")],
    "TW105": [
        f"{HEAD}{LOG}§taskDefaults: []\n",
        HEAD + inputs("§name: a, type: STRING, defaults: x") + LOG,
        task("type: log.Log\nmessage: hi\nretry: {type: constant, interval: PT1S, §maxAttempt: 2}"),
    ],
    "TW106": [task(f"type: §{FLOW}EachSequential\nvalue: [a]\ntasks: [{{id: b, type: log.Log, message: hi}}]")],
    "TW107": [trigger("action: NONE, §conditions: [{type: x}]")],
    "TW108": [task(f"type: {SHELL}\ncommands: [ls]\n§outputDirectory: true")],
    "TW201": [
        task("type: log.Log\nmessage: hi\n§workerGroup: {key: fast}"),
        trigger("action: NONE, §stateTtl: P1D"),
        f"{HEAD}{LOG}§listeners: [{{tasks: []}}]\n",
    ],
    "TW301": [trigger("action: DELETE, §maxKeys: 1, filter: FILES")],
    "TW302": [trigger("action: NONE, §maxKeys: 1")],
    "TW303": [task("type: log.Log\nmessage: \"x §{{ trigger.objects[0].key | jq('.a') }}\"")],
    "TW304": [trigger("action: MOVE, prefix: raw/, regexp: 'raw/[^/]*', moveTo: {key: §raw/done/}")],
    "TW305": [trigger("action: MOVE, prefix: raw/, moveTo: §{key: done/}")],
    "TW306": [f"{HEAD}{LOG}triggers:\n  - {{id: w, type: aws.s3.Trigger, action: NONE, §bucket: b}}\n"],
    "TW401": [
        shell('echo "§{{ trigger.objects[0].key }}"'),
        shell("echo §{{ trigger['objects'][0]['key'] | upper }}"),
        shell("'§{{ read(trigger.objects[0].uri) }}'"),
        shell("'{% if true %}§{{ inputs.who }}{% endif %}'"),
        shell("'{{ flow.id }} {# {{ #} §{{ inputs.who }}'"),
        task(f"type: {SHELL}\ncommands:\n  - |\n    ls\n    rm §{{{{ trigger.body.file }}}}"),
        task("type: io.kestra.core.tasks.scripts.Bash\ncommands: ['§{{ trigger.body }}']"),
        loop("{{ trigger.objects | jq('.[].key') }}", "§{{ taskrun.value }}"),
    ],
    "TW402": [task(f'type: {SHELL}\ncommands: [ls]\ninputFiles:\n  a: "§{{{{ read(trigger.objects[0].uri) }}}}"')],
    "TW403": [task(f"type: {SHELL}\ncommands: [ls]\noutputFiles: [§'**/*.csv']")],
    "TW404": [task("type: log.Log\nmessage: '§{{ vars.x }}'") + "variables: {x: '{{ flow.id }}'}\n"],
    "TW405": [task("type: io.kestra.plugin.git.Clone\nurl: https://example.org/a\npassword: §hunter2")],
    "TW406": [trigger("action: NONE") + inputs("id: who, type: STRING").replace("{", "§{")],
    "TW407": [
        working_directory(
            "type: io.kestra.plugin.core.storage.LocalFiles, inputs: {a: b}",
            "type: §io.kestra.plugin.git.Clone, url: https://example.org/a",
        )
    ],
}
"""Flows that each rule has something to say of, at the place of the mark §."""

SILENT: dict[str, list[str]] = {
    "TW001": [HEAD + LOG, task("type: io.kestra.plugin.jdbc.postgresql.Query\nsql: select 1")],
    "TW002": [HEAD + LOG, task("type: 5")],
    "TW101": [
        task("type: log.Log\nmessage: hi"),
        task(f"type: {SHELL}\ncommands: [ls]"),
        task("type: io.kestra.plugin.scripts.ruby.Commands\ncommands: [ls]"),
    ],
    "TW102": [task(f"type: {SHELL}\ncommands: [ls]\ncontainerImage: ubuntu"), shell("runner docker")],
    "TW103": [task("type: log.Log\nmessage: LocalFiles")],
    "TW104": [task(f"type: {SHELL}\ncommands: [ls]")],
    "TW105": [f"{HEAD}{LOG}pluginDefaults: []\n", HEAD + inputs("id: a, type: STRING, defaults: x") + LOG],
    "TW106": [task(f"type: {FLOW}ForEach\nvalues: [a]\ntasks: [{{id: b, type: log.Log, message: hi}}]")],
    "TW107": [trigger("action: NONE, when: '{{ object.size > 1 }}'"), trigger("action: NONE, conditions: []")],
    "TW108": [task(f"type: {SHELL}\ncommands: [ls]\noutputDirectory: false")],
    "TW201": [task("type: log.Log\nmessage: hi\nlogToFile: false"), f"{HEAD}{LOG}variables: {{workerGroup: x}}\n"],
    "TW301": [trigger("action: DELETE, maxKeys: 1"), trigger("action: DELETE, filter: FILES")],
    "TW302": [trigger("action: DELETE, maxKeys: 1")],
    "TW303": [
        task("type: log.Log\nmessage: \"{{ trigger.objects | jq('.[].key') | first }}\""),
        task('type: log.Log\nmessage: "{{ trigger.objects[0].key | upper }}"'),
    ],
    "TW304": [trigger("action: MOVE, prefix: raw/, regexp: 'raw/[^/]*', moveTo: {key: done/}")],
    "TW305": [trigger("action: MOVE, preservePath: true, moveTo: {key: d/}"), trigger("action: DELETE")],
    "TW306": [
        trigger("action: NONE"),
        trigger("action: NONE, endpointOverride: 'http://localhost:1'").replace("region: eu-west-1, ", ""),
    ],
    "TW401": [
        shell("cat {{ trigger.objects[0].uri }}"),
        shell("cat {{ trigger.objects | jq('.[].uri') | first }}"),
        shell("echo {{ trigger.objects[0].key | shq }}"),
        shell("echo {{ trigger.objects | length }}"),
        shell("echo {{ trigger.date }} {{ trigger.outputs.total }}"),
        shell("echo {{ inputs.n }}", inputs("id: n, type: INT")),
        task(f"type: {SHELL}\ncommands: [env]\nenv: {{KEY: '{{{{ trigger.objects[0].key }}}}'}}"),
        task("type: log.Log\nmessage: '{{ trigger.objects[0].key }}'"),
        shell("echo '{{ unclosed'"),
        loop("{{ trigger.objects | jq('.[].uri') }}", "{{ taskrun.value }}"),
        loop("[a, b]", "{{ taskrun.value }}"),
    ],
    "TW402": [task(f'type: {SHELL}\ncommands: [ls]\ninputFiles: {{a.csv: "{{{{ trigger.objects[0].uri }}}}"}}')],
    "TW403": [
        task(f"type: {SHELL}\ncommands: [ls]\noutputFiles: [{pattern}]") for pattern in ("'*.csv'", "'{a,**/a}'")
    ],
    "TW404": [
        task("type: log.Log\nmessage: '{{ render(vars.x) }}'") + "variables: {x: '{{ flow.id }}'}\n",
        task("type: log.Log\nmessage: '{{ vars.x }}'") + "variables: {x: plain}\n",
    ],
    "TW405": [
        task("type: io.kestra.plugin.git.Clone\nurl: https://example.org/a\npassword: \"{{ secret('PASSWORD') }}\""),
        task(f"type: {SHELL}\ncommands: [ls]\nenv: {{TOKEN_NAME: x}}"),
    ],
    "TW406": [
        trigger("action: NONE", inputs("id: who, type: STRING, defaults: me")),
        trigger("action: NONE", inputs("id: who, type: STRING, required: false")),
        HEAD + inputs("id: who, type: STRING") + LOG,
    ],
    "TW407": [
        working_directory(
            "type: io.kestra.plugin.git.Clone, url: https://example.org/a",
            "type: io.kestra.plugin.core.storage.LocalFiles, inputs: {a: b}",
        )
    ],
}
"""Flows close to those, of which the rule says nothing."""


@pytest.mark.parametrize(("code", "marked"), [(code, text) for code, texts in FIRES.items() for text in texts])
def test_a_rule_fires(code: str, marked: str) -> None:
    """It points at the very place."""
    before, _, after = marked.partition("§")
    place = (code, before.count("\n") + 1, len(before) - before.rfind("\n"))

    assert place in [(found.code, found.line, found.column) for found in findings(before + after)]


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in SILENT.items() for text in texts])
def test_a_rule_is_silent(code: str, text: str) -> None:
    """What only looks similar is no finding."""
    assert code not in [found.code for found in findings(text)]


def test_every_rule_is_tried_both_ways() -> None:
    """No rule is without its two tests, and no code is given twice."""
    codes = [rule.code for rule in RULES]
    assert (sorted(FIRES), sorted(SILENT), len(set(codes))) == (sorted(codes), sorted(codes), len(codes))


def test_what_is_outside_is_told_once() -> None:
    """The type says it all: validation does not repeat it."""
    assert [found.code for found in findings(task("type: io.kestra.plugin.dbt.cli.DbtCLI"))] == ["TW002"]


def test_a_remedy_for_text_in_a_command_is_ready_to_use() -> None:
    """The very expression moves into ``env``."""
    [found] = findings(shell("echo {{ trigger.body.file }}"))
    assert 'env: {FILE: "{{ trigger.body.file }}"}' in (found.remedy or "")


def test_findings_are_in_order_of_place() -> None:
    """As one reads the file."""
    found = findings(task(f"type: {SHELL}\nrunner: PROCESS\ncommands: ['{{{{ trigger.body }}}}']"))
    assert [finding.code for finding in found] == ["TW102", "TW401"]


@pytest.mark.parametrize(
    "text", ["- 1\n", "id: x\ntasks: 5\ntriggers: {a: 1}\ninputs: [1]\nvariables: x\n", "tasks: [[]]\n"]
)
def test_nonsense_is_no_reason_to_fail(text: str) -> None:
    """A file of another shape is a finding like any other."""
    assert "TW001" in [found.code for found in findings(text)]
