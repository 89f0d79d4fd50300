"""Write the generated JSON Schema of the environment file into this directory."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_env.config.schema import json_schema

if __name__ == "__main__":
    path = Path(__file__).with_name("environment.schema.json")
    path.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(path)
