"""Whether the commands in deploy/ and action.yml have options that tidegate knows, and agree on their shards."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

root, tidegate = Path(sys.argv[1]), sys.argv[2]


def known(command, arguments):
    """All options of the arguments are in the help of the command."""
    help_text = subprocess.run([tidegate, *command, "--help"], capture_output=True, text=True, check=True).stdout
    for option in re.findall(r"--[a-z-]+", " ".join(arguments)):
        assert re.search(rf"{option}\b", help_text), f"{command} has no {option}"


job = yaml.safe_load((root / "deploy/kubernetes/fleet.yaml").read_text())
container = job["spec"]["template"]["spec"]["containers"][0]
command, *arguments = container["args"]
known([command], arguments)
assert f"--shard=$(JOB_COMPLETION_INDEX)/{job['spec']['completions']}" in arguments, arguments

# Reports of two runs never lie in one folder: that of an earlier one would stand for a shard that left none.
(keep,) = [one for one in job["spec"]["template"]["spec"]["initContainers"] if one["name"] == "keep"]
assert '/fleet/reports "bucket:$BUCKET/reports/$RUN"' in keep["args"][0], keep
(run,) = [one["valueFrom"]["fieldRef"]["fieldPath"] for one in keep["env"] if one["name"] == "RUN"]
assert run == "metadata.labels['batch.kubernetes.io/controller-uid']", run
page = (root / "docs/kubernetes.md").read_text()
assert 'reports/$run" "reports/$run"' in page and '"reports/$run"/shard-*.json' in page

fleet = yaml.safe_load((root / "deploy/github/fleet.yml").read_text())
shards = fleet["jobs"]["check"]["strategy"]["matrix"]["shard"]
steps = [step for one in fleet["jobs"].values() for step in one["steps"]]
action = yaml.safe_load((root / "action.yml").read_text())
for step in steps:
    given = step.get("with", {})
    if step.get("uses", "").startswith("OWNER/tidegate@"):
        assert set(given) <= set(action["inputs"]), given
        if "arguments" in given:
            known(["check"], [given["arguments"]])
            assert f"/{len(shards)} " in given["arguments"], given
    if "run" in step:
        program, *command = step["run"].split()
        assert program == "tidegate", step
        known(command[:2], command[2:])
assert shards == list(range(len(shards))), shards
known(["check"], [action["inputs"]["arguments"]["default"]])
for step in action["runs"]["steps"]:
    assert ("run" in step) == ("shell" in step), step
    assert "${{" not in step.get("run", ""), "text of others in a command"

hooks = yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text())
for hook in hooks:
    program, command, *options = hook["entry"].split()
    assert program == "tidegate", hook
    known([command], options)

# The migration table: what it names are options of a push.
table = (root / "docs/packer.md").read_text().split("## From `digitalocean-import`")[1]
rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| `")]
assert len(rows) > 10, rows
known(["push"], rows)
