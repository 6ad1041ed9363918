"""Write the shipped catalogue and JSON Schema from the installed torch: ``make schema``."""

from __future__ import annotations

import json
from pathlib import Path

from paramtool import language as spec
from paramtool.language.catalog import FILE
from paramtool.language.json_schema import json_schema
from paramtool.network.signatures import catalog

folder = Path(spec.__path__[0])
found = catalog()
(folder / FILE).write_text(found.to_json(), "utf-8")
(folder / "schema.json").write_text(json.dumps(json_schema(found), indent=1) + "\n", "utf-8")
