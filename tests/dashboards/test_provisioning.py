"""The provisioning files give Grafana what the boards expect of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import dashboards

FOLDER = Path(dashboards.__file__).parent / "provisioning"


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    assert found["apiVersion"] == 1
    return found


def test_the_data_sources_have_fixed_uids_and_cannot_be_edited_by_hand() -> None:
    prometheus, alertmanager = read("datasources/tidegauge.yml")["datasources"]
    assert (prometheus["type"], prometheus["uid"], prometheus["editable"]) == ("prometheus", "prometheus", False)
    assert (alertmanager["type"], alertmanager["uid"], alertmanager["editable"]) == (
        "alertmanager",
        "alertmanager",
        False,
    )
    assert prometheus["jsonData"]["alertmanagerUid"] == alertmanager["uid"]


def test_the_rate_interval_can_be_computed() -> None:
    assert read("datasources/tidegauge.yml")["datasources"][0]["jsonData"]["timeInterval"] == "15s"


def test_boards_come_from_files_only_and_changes_are_seen_on_bind_mounts() -> None:
    (provider,) = read("dashboards/tidegauge.yml")["providers"]
    assert (provider["type"], provider["allowUiUpdates"], provider["disableDeletion"]) == ("file", False, True)
    assert provider["updateIntervalSeconds"] > 10
    assert Path(provider["options"]["path"]).is_absolute()
