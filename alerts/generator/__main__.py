"""`python -m alerts.generator [directory]`: writes alerts/rules/, or the same files elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

from alerts.generator.render import RULES, write

for path in write(Path(sys.argv[1]) if len(sys.argv) > 1 else RULES):
    print(path)
