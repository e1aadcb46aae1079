"""`python -m alerts.generator`: writes alerts/rules/ and the table in alerts/README.md."""

from __future__ import annotations

from alerts.generator.parameters import Parameters
from alerts.generator.render import README, RULES, with_table, write

for path in write(RULES):
    print(path)
README.write_text(with_table(README.read_text(encoding="utf-8"), Parameters()), encoding="utf-8")
print(README)
