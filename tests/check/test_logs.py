"""`tidegauge check` explains the common mistakes from the actual logs, and is calm where there are none."""

from __future__ import annotations

import gzip
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.check.logs import NOW, PREDICTIONS, Place, Record, feedback, prediction, stamp
from tests.processes import tidegauge_command


def test_healthy_logs_get_a_short_and_calm_report(place: Place) -> None:
    assert (
        place.report()
        == """\
the logs, by a sample of at most the first and last MB of the 10 newest files of each source
  predictions: 241 records accepted, 0 refused, of 1 file; 2026-01-05T10:00:00Z to 2026-01-05T12:00:00Z
  feedback: 201 records accepted, 0 refused, of 1 file; 2026-01-05T10:20:00Z to 2026-01-05T12:00:00Z

Nothing looks wrong.
"""
    )


def test_the_command_succeeds_with_warnings_and_writes_nothing(place: Place) -> None:
    place.answer(lambda number: feedback(number, label="fraud" if number % 5 == 0 else "ok"))
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in place.directory.rglob("*")}
    done = tidegauge_command("check", "--config.file", place.configuration)
    assert done.returncode == 0, done.stderr
    assert "tidegauge.yml: valid" in done.stdout
    assert "positive label" in done.stdout
    after = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in place.directory.rglob("*")}
    assert after == before


# --- labels and scores ------------------------------------------------------------------------------------------------


def test_labels_that_never_equal_the_positive_label_are_listed(place: Place) -> None:
    place.answer(lambda number: feedback(number, label="fraud" if number % 5 == 0 else "legitimate"))
    said = place.only()
    assert 'None of 201 labels of channel outcome is the positive label "1"' in said
    assert '"legitimate" 160 times, "fraud" 41 times' in said
    assert "Set positive_label to the one of these" in said


def test_a_positive_label_in_other_words_is_suggested(place: Place) -> None:
    place.answer(lambda number: feedback(number, label=number % 5 == 0))
    assert '-> If "true" is the positive class, set `positive_label: "true"`' in place.only()


def test_a_positive_label_in_another_case_is_suggested(place: Place) -> None:
    place.reconfigure('positive_label: "1"', "positive_label: Fraud")
    place.answer(lambda number: feedback(number, label="fraud" if number % 5 == 0 else "ok"))
    place.predict(lambda number: prediction(number, prediction="Fraud" if number % 4 == 0 else "ok"))
    assert '-> If "fraud" is the positive class, set `positive_label: "fraud"`' in place.only()


def test_predictions_that_never_equal_the_positive_label_are_listed(place: Place) -> None:
    place.predict(lambda number: prediction(number, prediction="block" if number % 4 == 0 else "pass"))
    said = place.only()
    assert 'None of 241 predictions is the positive label "1". Seen: "pass" 180 times, "block" 61 times.' in said


def test_a_label_besides_silence_ought_to_be_the_positive_one(place: Place) -> None:
    place.reconfigure("maturity: 1h", 'maturity: 1h\n        no_feedback: "0"')
    place.answer(lambda number: feedback(number, label="fraud"), range(240, 40, -10))
    assert 'None of 20 labels of channel outcome is the positive label "1". Seen: "fraud" 20 times.' in place.only()


def test_few_labels_without_a_positive_one_are_no_reason_to_worry(place: Place) -> None:
    place.answer(lambda number: feedback(number, label="0"))
    assert place.findings() == []


def test_classes_that_the_logs_spell_differently_are_named(place: Place) -> None:
    place.reconfigure('task: binary\n    positive_label: "1"', "task: multiclass")
    place.predict(lambda number: prediction(number, prediction="CAT" if number % 2 else "DOG", score=None))
    place.answer(lambda number: feedback(number, label="cat" if number % 2 else "dog"))
    said = place.only()
    assert "None of 201 labels of channel outcome is a class that the model answers" in said
    assert '"CAT" 120 times' in said and '"cat" 100 times' in said


def test_scores_outside_0_to_1_are_reported_with_their_range(place: Place) -> None:
    place.predict(lambda number: prediction(number, score=number % 100))
    said = place.only()
    assert "scores are outside 0 to 1 (from 0 to 99)" in said
    assert "divide them by 100" in said
    place.predict(lambda number: prediction(number, score=number % 7 - 3.5))
    assert "1 / (1 + exp(-x))" in place.only()


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_glob_that_matches_nothing_says_what_is_there(place: Place) -> None:
    place.reconfigure("logs/feedback.jsonl", "logs/feedback.json")
    said = place.only()
    assert f"No file matches {place.logs}/feedback.json: {place.logs} exists and holds no file feedback.json" in said
    assert '(did you mean "feedback.jsonl"?)' in said


def test_a_glob_below_a_directory_that_is_not_there_names_the_part_that_is(place: Place) -> None:
    place.reconfigure("logs/feedback.jsonl", "log/outcomes/*.jsonl")
    said = place.only()
    assert f"{place.directory} exists and holds no directory log; it holds" in said
    assert '(did you mean "logs"?)' in said


def test_a_glob_through_a_file_says_so(place: Place) -> None:
    place.reconfigure("logs/feedback.jsonl", "logs/feedback.jsonl/*.jsonl")
    assert f"{place.logs}/feedback.jsonl is a file, not a directory" in place.only()


def test_a_directory_in_place_of_its_files_is_named(place: Place) -> None:
    place.reconfigure("logs/feedback.jsonl", "logs")
    assert f"{place.logs} is a directory. -> Name the files in it: {place.logs}/*.jsonl" in place.only()


def test_a_link_that_leads_nowhere_is_named(place: Place) -> None:
    (place.logs / "feedback.jsonl").unlink()
    (place.logs / "feedback.jsonl").symlink_to("gone.jsonl")
    assert f"{place.logs}/feedback.jsonl is a link to gone.jsonl, which is not there" in place.only()


def test_a_recursive_glob_says_from_where_on_nothing_fits(place: Place) -> None:
    place.reconfigure("logs/feedback.jsonl", "logs/**/outcome-*.jsonl")
    assert f"nothing below {place.logs} fits **/outcome-*.jsonl" in place.only()


def test_a_directory_that_this_user_may_not_list_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place.logs and real(path, mode))
    place.reconfigure("logs/feedback.jsonl", "logs/outcomes-*.jsonl")
    said = place.only()
    assert f"the directory {place.logs} (d" in said
    assert "may not be listed by this user" in said and "setfacl" in said


def test_a_file_that_this_user_may_not_read_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open
    barred = str(place.logs / "feedback.jsonl")

    def deny(path: str, *arguments: int, **options: int) -> int:
        if path == barred:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", deny)
    said = place.only()
    assert f"cannot read {barred}: Permission denied" in said
    assert "Let this user" in said


def test_a_file_in_utf16_is_named(place: Place) -> None:
    (place.logs / "feedback.jsonl").write_bytes("{}\n".encode("utf-16"))
    assert "is UTF-16" in place.only()


# --- times ------------------------------------------------------------------------------------------------------------


def test_timestamps_that_are_all_in_the_future_are_explained(place: Place) -> None:
    ahead = timedelta(days=400)
    place.predict(lambda number: prediction(number, timestamp=stamp(NOW + ahead - timedelta(seconds=number))))
    place.answer(lambda number: feedback(number, after=ahead + timedelta(minutes=20)))
    said = " ".join(place.findings())
    assert "All 241 timestamps are in the future, up to 2027-02-09T12:00:00Z" in said
    assert "(this machine's clock says 2026-01-05T12:00:00Z)" in said


@pytest.mark.parametrize("offset", [timedelta(hours=1), timedelta(hours=-5), timedelta(hours=5, minutes=30)])
def test_timestamps_in_local_time_without_an_offset_are_recognised(place: Place, offset: timedelta) -> None:
    def local(record: Record) -> Record:
        moment = datetime.fromisoformat(record["timestamp"]) + offset
        return {**record, "timestamp": moment.strftime("%Y-%m-%d %H:%M:%S")}

    place.predict(lambda number: local(prediction(number)))
    place.answer(lambda number: local(feedback(number)))
    for said in place.findings():
        assert "By the look of it they are in local time" in said
        assert "ahead of" in said if offset > timedelta() else "behind" in said
        assert "Say `timezone:` in the source" in said
    assert len(place.findings()) == 2


def test_logs_of_long_ago_ask_for_the_log_clock(place: Place) -> None:
    then = timedelta(days=3000)
    place.predict(lambda number: prediction(number, timestamp=stamp(NOW - then - timedelta(seconds=30 * number))))
    place.answer(lambda number: feedback(number, after=timedelta(minutes=20) - then))
    said = place.only()
    assert "The newest prediction is of 2017-10-19T12:00:00Z, 3000d ago" in said
    assert "counted as late and not used" in said
    assert "set `clock: log`" in said
    place.configure("clock: log\n" + place.configuration.read_text())
    assert place.findings() == []


def test_feedback_slower_than_its_maturity_says_the_delays(place: Place) -> None:
    place.predict(prediction, range(600, -1, -1))
    place.answer(lambda number: feedback(number, after=timedelta(minutes=90 + number % 60)), range(600, 299, -1))
    said = place.only()
    assert "takes 1h59m in the median" in said
    assert "its maturity is 1h" in said
    assert "-> Set `maturity: 3h` or more." in said


def test_feedback_dated_before_its_prediction_is_reported(place: Place) -> None:
    place.answer(lambda number: feedback(number, after=timedelta(minutes=-10)))
    said = place.only()
    assert "all 201 feedback records are dated before their prediction, by 10m in the median" in said


# --- ids and names ----------------------------------------------------------------------------------------------------


def test_ids_in_another_form_are_shown_side_by_side(place: Place) -> None:
    place.answer(lambda number: feedback(number, prediction_id=str(number)))
    said = place.only()
    assert "None of 201 ids of feedback is an id of 241 predictions" in said
    assert 'Feedback: "240", "239", "238" and 198 more. Predictions: "req-240"' in said
    assert "are the same after what precedes their last" in said


def test_ids_in_another_case_are_recognised(place: Place) -> None:
    place.answer(lambda number: feedback(number, prediction_id=f"REQ-{number}"))
    assert "differ only in upper and lower case" in place.only()


def test_ids_of_something_else_are_reported(place: Place) -> None:
    place.answer(lambda number: feedback(number, prediction_id=f"order/{number + 5000}/x"))
    assert "Have both logs write the same id" in place.only()


def test_ids_that_repeat_are_reported(place: Place) -> None:
    place.predict(lambda number: prediction(number, prediction_id=f"user-{number % 50}"))
    place.answer(lambda number: feedback(number, prediction_id=f"user-{number % 50}"))
    said = place.findings()[0]
    assert "191 of 241 predictions bear an id that came before, and are not used" in said
    assert '"user-0" 5 times' in said


def test_models_that_are_not_configured_are_listed(place: Place) -> None:
    place.predict(lambda number: prediction(number, model="frauds" if number % 2 else "churn"))
    said = place.findings()[0]
    assert "refused as unknown_model" in said
    assert 'Models seen: "churn" 121 times, "frauds" 120 times.' in said
    assert '(did you mean "fraud"?)' in said


def test_channels_that_are_not_configured_are_listed(place: Place) -> None:
    place.answer(lambda number: feedback(number, channel="chargeback"))
    said = place.only()
    assert 'Channels seen: "chargeback" 201 times' in said and 'Configured: "outcome"' in said


# --- fields -----------------------------------------------------------------------------------------------------------


def test_a_missing_field_names_the_key_that_is_there_instead(place: Place) -> None:
    place.answer(lambda number: {"id": f"req-{number}", **feedback(number, prediction_id=None)})
    said = place.only()
    assert "All 201 lines are refused as missing_prediction_id" in said
    assert f"The first is {place.logs}/feedback.jsonl, line 1." in said
    assert "The records have `id`: if that is it, add `fields: {prediction_id: id}` to the source." in said


def test_predictions_without_an_id_cannot_be_joined(place: Place) -> None:
    place.predict(lambda number: {"request": {"id": f"req-{number}"}, **prediction(number, prediction_id=None)})
    said = place.only()
    assert "None of 241 predictions has a prediction_id, so no feedback can be joined to them" in said
    assert "`fields: {prediction_id: request.id}`" in said


def test_records_without_a_version_are_told_what_becomes_of_them(place: Place) -> None:
    place.predict(lambda number: {**prediction(number, version=None), "model_version": "v7"})
    said = place.only()
    assert 'counted as version "unknown"' in said
    assert "`fields: {version: model_version}`" in said
    place.reconfigure("predictions.jsonl\n", "predictions.jsonl\n    version: v1\n")
    assert place.findings() == []


def test_a_mapping_that_yields_nothing_suggests_a_path_that_does(place: Place) -> None:
    place.reconfigure("predictions.jsonl\n", "predictions.jsonl\n    fields: {latency_ms: timing.latncy}\n")
    place.predict(lambda number: {**prediction(number), "timing": {"latency": 12.5}})
    said = place.only()
    assert '`fields` maps latency_ms to "timing.latncy", and none of 241 records has that.' in said
    assert '-> Map it to "timing.latency".' in said


def test_a_slice_that_is_never_there_suggests_one_that_is(place: Place) -> None:
    place.reconfigure("slices: [country]", "slices: [contry]")
    said = place.only()
    assert 'None of 241 records has the slice "contry".' in said
    assert 'The records have "features.country": correct the name under slices.' in said


def test_features_under_another_key_suggest_the_mapping(place: Place) -> None:
    place.predict(lambda number: {**prediction(number, features=None), "inputs": prediction(number)["features"]})
    assert all("`fields: {features: inputs}`" in said for said in place.findings())
    assert len(place.findings()) == 2  # the slice and the feature


def test_a_slice_with_too_many_values_is_reported(place: Place) -> None:
    place.predict(lambda number: prediction(number, features={"amount": 1, "country": f"user-{number}"}))
    said = place.only()
    assert 'The slice country has at least 241 values; beyond 50 (max_slice_values) they fold into "other".' in said


def test_swapped_sources_are_recognised(place: Place) -> None:
    place.reconfigure("predictions: logs/predictions.jsonl", "predictions: logs/feedback.jsonl")
    place.reconfigure("feedback: logs/feedback.jsonl", "feedback: logs/predictions.jsonl")
    said = place.findings()
    assert "These lines look like feedback" in said[0]
    assert "These lines look like predictions" in said[1]


def test_refused_lines_are_counted_by_reason_with_a_place(place: Place) -> None:
    spoiled = [prediction(number) if number % 10 else '{"prediction_id": "torn' for number in PREDICTIONS]
    place.write("predictions.jsonl", spoiled)
    said = place.only()
    assert "25 of 241 lines are refused as invalid_json. The line is not one JSON value" in said
    assert "predictions.jsonl, line 1." in said


def test_a_rare_bad_line_is_counted_and_nothing_more(place: Place) -> None:
    place.write("predictions.jsonl", [*(prediction(number) for number in PREDICTIONS), "{"])
    assert place.findings() == []
    assert "241 records accepted, 1 refused, of 1 file (1 invalid_json)" in place.report()


# --- the sample -------------------------------------------------------------------------------------------------------


def test_large_logs_are_sampled_at_both_ends_without_false_alarms(place: Place) -> None:
    filler = "x" * 2_000
    place.predict(lambda number: {**prediction(number), "filler": filler}, range(4000, -1, -1))
    place.answer(lambda number: feedback(number), range(3000, 1000, -1))
    assert place.findings() == []
    accepted = int(place.report().split(" records accepted")[0].rpartition(" ")[2].replace(",", ""))
    assert 2 * 400 < accepted < 2 * 550


def test_a_bad_line_at_the_end_of_a_large_log_is_placed_by_its_byte(place: Place) -> None:
    good = [{**prediction(number), "filler": "x" * 2_000} for number in range(2000, 0, -1)]
    file = place.write("predictions.jsonl", [*good, *(["{"] * 20)])
    said = place.only()
    place_said = int(said.split("predictions.jsonl, byte ")[1].split(".")[0])
    assert file.read_bytes()[place_said : place_said + 2] == b"{\n"


def test_compressed_logs_are_looked_into(place: Place) -> None:
    plain = place.logs / "predictions.jsonl"
    place.reconfigure("predictions.jsonl", "predictions.jsonl*")
    (place.logs / "predictions.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert "predictions: 241 records accepted" in place.report()


def test_only_the_newest_files_are_looked_into(place: Place) -> None:
    place.reconfigure("logs/predictions.jsonl", "logs/p-*.jsonl")
    for day in range(12):
        record = prediction(day) if day < 10 else {"unlike": "the others"}
        place.write(f"p-{day}.jsonl", [record] * 1, NOW - timedelta(days=day))
    assert "predictions: 10 records accepted, 0 refused, of 12 files" in place.report()


def test_what_records_hold_cannot_command_the_terminal(place: Place) -> None:
    place.predict(lambda number: {"id\x1b[2J": number, **prediction(number, prediction_id=None, model="\x1b[31mred")})
    place.answer(lambda number: {"\x1b]0;id\x07": 1, **feedback(number, prediction_id=None)})
    said = place.report()
    assert "unknown_model" in said and "missing_prediction_id" in said
    assert all(char.isprintable() or char == "\n" for char in said)


def test_no_line_yet_is_no_mistake(place: Place) -> None:
    place.write("feedback.jsonl", [])
    assert place.findings() == []
    assert "feedback: no line yet in 1 file" in place.report()


def test_a_check_of_large_logs_takes_seconds(place: Place) -> None:
    place.reconfigure("logs/predictions.jsonl", "logs/p-*.jsonl")
    content = place.write("p-0.jsonl", (prediction(number) for number in range(12_000))).read_bytes()
    for day in range(1, 12):
        (place.logs / f"p-{day}.jsonl").write_bytes(content)
    started = time.process_time()
    place.report()
    assert time.process_time() - started < 10  # 1.5 s where it was measured
