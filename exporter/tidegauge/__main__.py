"""`python -m tidegauge`."""

from tidegauge.cli import main

raise SystemExit(main())
