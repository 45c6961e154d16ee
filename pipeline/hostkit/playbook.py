# SPDX-License-Identifier: GPL-2.0-or-later
"""The kit as an Ansible playbook: the tasks are the same for every state, and what they type is in its variables.

Hosts have a Python that no current Ansible can use, so everything goes through their shell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pipeline.hostkit import yamltext
from pipeline.hostkit.comments import comment
from pipeline.hostkit.steps import Kit, Step, Way
from pipeline.hostkit.yamltext import Value

_TASKS = Path(__file__).with_name("play.yml")
_HEAD = """\
---
# {about}. Made with it and for it: take it anew for another state.
#
#   ansible-playbook -i hosts.example.org, -u root hosts.yml
#   -e go=back              to the vendor's packages, with -e to=previous to our release before
#   -e maintenance=yes      nobody is asked whether the hosts are ready
#   -e go_on=yes            nobody is asked after the first host
#   -e at_once=2            as many at a time, after the first
#   -e keep_repository=yes  on the way back, the repository stays in use
#   -e baseurl=https://...  where hosts find the repository, in place of what the mirror says
#
{warnings}# With `-b` for users who are not root. All that is typed on hosts is below `vars`;
# hosts.txt has the same for people.
- name: Take hosts to another release, the first one alone
  hosts: all
  gather_facts: false
  serial: [1, "{{{{ at_once | default(1) }}}}"]
  any_errors_fatal: true
  max_fail_percentage: 0
  vars:
"""
_EXPRESSIONS = {
    "wanted": "{{ 'upgrade' if go | default('upgrade') == 'upgrade' else to | default('vendor') }}",
    "address": "{{ baseurl | default(known_address) | regex_replace('/+$', '') }}",
    "nothing_to_do": "nothing to do",
    "unless_done": (
        "baseurl={{ address | quote }}\n"
        "if {{ item.unless }}; then echo {{ nothing_to_do | quote }}; else\n{{ item.command }}\nfi"
    ),
}


def text(kit: Kit) -> str:
    """The playbook of a kit."""
    values: dict[str, Value] = {
        "known_address": kit.base_url,
        "warnings": kit.warnings,
        "before": kit.before,
        "after": kit.after,
        "installed": _step(kit.installed),
        "idle": _steps(kit.idle),
        "key": {name: _step(step) for name, step in zip(("put", "compare", "trust"), kit.key, strict=True)},
        "repository_file": _step(kit.repository),
        "repository_elsewhere": _step(kit.repository_elsewhere),
        "fresh": _step(kit.fresh),
        "ways": {name: _way(way) for name, way in kit.ways.items()},
        "switch_off": _step(kit.off),
    }
    expressions = "".join(f"    {name}: {json.dumps(value)}\n" for name, value in _EXPRESSIONS.items())
    made = "\n".join(yamltext.lines(values, "    "))
    warnings = "".join(f"{comment(f'WARNING: {each}')}\n#\n" for each in kit.warnings)
    return (
        f"{_HEAD.format(about=kit.about, warnings=warnings)}{expressions}{made}\n{_TASKS.read_text(encoding='utf-8')}"
    )


def nothing(about: str, why: str) -> str:
    """A playbook that says why there is nothing to do, and fails."""
    told = json.dumps(why)
    return (
        f"---\n# {about}\n- name: Nothing to take hosts to\n  hosts: all\n  gather_facts: false\n  tasks:\n"
        f"    - name: Say why\n      ansible.builtin.fail:\n        msg: {told}\n      run_once: true\n"
    )


def _way(way: Way) -> Value:
    return {
        "told": way.told,
        "versions": way.versions,
        "first": _steps(way.first),
        "move": _step(way.move),
        "newer": _steps(way.newer),
        "arrived": _steps(way.arrived),
        "running": _steps(way.running),
    }


def _steps(steps: Iterable[Step]) -> list[Value]:
    return [_step(step) for step in steps]


def _step(step: Step) -> Value:
    made: dict[str, Value] = {"title": step.title, "command": step.command}
    if step.unless:
        made["unless"] = step.unless
    return {**made, "prints": step.prints, "mend": step.mend}
