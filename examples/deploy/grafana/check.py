#!/usr/bin/env python3
"""Checks that the dashboard and the alerts use existing metrics in valid Prometheus expressions."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
failed = 0


def check(what, right, seen=""):
    global failed
    print(f"  {'ok    ' if right else 'FAILED'}  {what}{'' if right else f': {seen}'}")
    failed += not right


def in_code():
    """Returns the names of metrics in the sources, without the suffixes added by the exposition format."""
    names = set()
    for folder in ("vocalizer-http/src", "examples/src"):
        for file in (ROOT / folder).rglob("*.rs"):
            text = file.read_text()
            for name in re.findall(r'\.register\(\s*"(\w+)"', text):
                names.add(f"vocalizer_{name}")
            for name, unit in re.findall(r'\.register_with_unit\(\s*"(\w+)",[^;]*?Unit::(\w+)', text, re.S):
                names.add(f"vocalizer_{name}_{unit.lower()}")
            names |= {f"vocalizer_{name}" for name in re.findall(r'Metric::Counters \{\s*name: "(\w+)"', text)}
            names |= {f"vocalizer_{name}_info" for name in re.findall(r'Metric::Info \{\s*name: "(\w+)"', text)}
            # Metrics made by `seconds` in workers.rs.
            names |= {f"vocalizer_{name}_seconds" for name in re.findall(r'\bseconds\("(\w+)"', text)}
    return names


def bare(name):
    return re.sub(r"_(total|bucket|sum|count)$", "", name)


def used(text):
    # Remove quoted strings: label values are not metric names.
    return set(re.findall(r"\bvocalizer_[a-z_]+", re.sub(r'"[^"]*"', '""', text)))


def main():
    dashboard = json.loads((HERE / "vocalizer.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    numbers = [panel["id"] for panel in dashboard["panels"]]
    check("the dashboard is JSON with unique panel IDs", panels and len(set(numbers)) == len(numbers))
    places = [tuple(panel["gridPos"][key] for key in "xywh") for panel in dashboard["panels"]]
    overlap = [
        (a, b)
        for i, a in enumerate(places)
        for b in places[i + 1 :]
        if a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
    ]
    check("panels do not overlap", not overlap and all(x + w <= 24 for x, _, w, _ in places), overlap)
    asked = [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
    check("every panel has a query", all(expr.strip() for _, expr in asked))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    strange = {name for _, expr in asked for name in re.findall(r"\$(\w+)", expr)} - variables
    check("every variable is defined", not strange, strange)

    known = in_code()
    alerts = (HERE.parent / "prometheus" / "alerts.yaml").read_text()
    exprs = "\n".join(line for line in alerts.splitlines() if not re.match(r"\s*(summary|description|runbook):", line))
    wanted = used(exprs) | {name for _, expr in asked for name in used(expr)}
    unknown = {name for name in wanted if bare(name) not in known}
    check(f"all {len(wanted)} metrics exist in the code", not unknown, sorted(unknown))
    shown = {bare(name) for name in wanted}
    check("all metrics in the code are used", known <= shown, sorted(known - shown))

    if shutil.which("promtool"):
        with tempfile.TemporaryDirectory() as folder:
            rules = pathlib.Path(folder) / "rules.json"  # JSON is YAML
            filled = [re.sub(r"\$\w+", "x", expr) for _, expr in asked]
            record = [{"record": f"check:{i}", "expr": expr} for i, expr in enumerate(filled)]
            rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": record}]}))
            said = subprocess.run(["promtool", "check", "rules", "--lint=none", rules], capture_output=True, text=True)
            check(f"all {len(asked)} expressions are valid", said.returncode == 0, said.stdout + said.stderr)
    else:
        print("  skipped checking expressions: needs promtool (package prometheus)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
