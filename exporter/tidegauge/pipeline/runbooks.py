"""Which alert is about what the page shows, so that its links lead to the runbook that a notification leads to.

The alerts themselves are in the rules of alerts/.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegauge.assess.verdicts import MISSED, SILENT
from tidegauge.config.links import fill
from tidegauge.config.settings import Links

ALERTS: Mapping[str, str] = {
    MISSED: "ModelObjectiveMissed",
    SILENT: "ModelFeedbackSilent",
    "permission_denied": "TidegaugeReadErrors",
    "unreadable": "TidegaugeReadErrors",
    "read_errors": "TidegaugeReadErrors",
    "truncated_gzip": "TidegaugeReadErrors",
    "corrupt_gzip": "TidegaugeReadErrors",
    "deleted_unread": "TidegaugeLosingRecords",
    "lost_unknown": "TidegaugeLosingRecords",
    "lost_bytes": "TidegaugeLosingRecords",
    "lag": "TidegaugeLagging",
    "save_failed": "TidegaugeSaveFailing",
    "reload_failed": "TidegaugeReloadFailed",
    "series_dropped": "TidegaugeDroppingSeries",
    "sampling": "TidegaugeSampling",
    "folded": "TidegaugeFoldingValues",
    "release_regressed": "ModelReleaseRegressed",
    "release_undecided": "ModelReleaseUndecided",
    "degrading": "ModelDegrading",
    "slice_degrading": "ModelSliceDegrading",
    "breach_forecast": "ModelObjectiveBreachForecast",
    "feature_broken": "ModelFeatureBroken",
    "schema_changed": "ModelSchemaChanged",
    "score_drift": "ModelScoreDrift",
    "input_drift": "ModelInputDrift",
}
"""By the verdict of a version or the code of a problem."""
RECORDS = "records_"
"""How codes of records that are not used begin; what follows is the reason."""
REFUSED = "TidegaugeRejectingRecords"
DUPLICATE = f"{RECORDS}duplicate"
"""Not used either, but no alert is about it: services repeat themselves when they try again."""


def alert(code: str) -> str | None:
    """The alert about a verdict or a problem; None if no alert is."""
    return REFUSED if code.startswith(RECORDS) and code != DUPLICATE else ALERTS.get(code)


def runbook(links: Links, code: str) -> str | None:
    """Where the page leads from a verdict or a problem; None if no alert is about it, or no link is configured."""
    name = alert(code)
    return None if name is None else fill(links.runbook, alert=name)
