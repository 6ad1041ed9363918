"""Write what ships of the installed torch, and check the table of structure against it: ``make schema``."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from paramtool import language as spec
from paramtool import structure
from paramtool.language.catalog import FILE
from paramtool.language.json_schema import json_schema
from paramtool.network.class_facts import class_facts
from paramtool.network.signatures import catalog
from paramtool.structure.facts import FILE as FACTS

folder = Path(spec.__path__[0])
found = catalog()
(folder / FILE).write_text(found.to_json(), "utf-8")
(folder / "schema.json").write_text(json.dumps(json_schema(found), indent=1) + "\n", "utf-8")

facts = class_facts()
file = Path(structure.__path__[0]) / FACTS
file.write_text(facts.to_json(), "utf-8")
tests = Path(__file__).parent.parent / "tests" / "test_structure.py"
checked = subprocess.run([sys.executable, "-m", "pytest", "-q", str(tests)], check=False)  # the slow ones too
if checked.returncode:
    file.write_text(replace(facts, torch="").to_json(), "utf-8")  # no version: torch is asked for everything
    sys.exit(f"the table of structure is not checked against torch {facts.torch}: the tests failed")
