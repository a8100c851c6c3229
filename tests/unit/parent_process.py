"""A parent of processes: `python -m tests.unit.parent_process '{"name": ["-c", "…"]}'`."""

from __future__ import annotations

import asyncio
import json
import sys

from runtime.processes import Processes

STOP_S = 1.0

if __name__ == "__main__":
    sys.exit(asyncio.run(Processes(json.loads(sys.argv[1]), stop_s=STOP_S).run()))
