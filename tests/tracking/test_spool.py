"""The spool: nothing is lost, nothing is sent twice, whatever ends in the middle."""

import io
import re
import socket
from pathlib import Path

import pytest
from PIL import Image

from fivefold.errors import TrackingError
from fivefold.tracking import events, store
from fivefold.tracking.reporter import RunLogger
from fivefold.tracking.shipper import Shipper
from fivefold.tracking.spool import Spool, list_spools
from fivefold.tracking.sync import sync


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def metrics(step: int) -> events.Metrics:
    return events.Metrics(step=step, time=step, values={"val/loss": float(step)})


def started(fingerprint: str = "f") -> Spool:
    spool = Spool(fingerprint)
    spool.append(events.Run(name="m", time=5, tags={"fivefold.fingerprint": fingerprint}))
    return spool


def steps(spool: Spool) -> list[int]:
    return [event.step for _, event in spool.unsent_events() if isinstance(event, events.Metrics)]


def test_events_come_back_in_order_until_they_are_sent() -> None:
    spool = started()
    spool.append(metrics(1), metrics(2))
    assert steps(spool) == [1, 2]
    offsets = [offset for offset, _ in spool.unsent_events()]
    spool.mark_sent(offsets[1])
    assert steps(spool) == [2]
    assert [s.fingerprint for s in list_spools()] == ["f"]


def test_a_torn_last_line_is_never_sent_and_hides_nothing() -> None:
    spool = started()
    spool.append(metrics(1))
    with spool.events_file.open("ab") as file:
        file.write(b'{"kind":"metrics","st')
    assert steps(spool) == [1]
    spool.append(metrics(2))
    assert steps(spool) == [1, 2]


def test_a_kept_file_outlives_its_origin_and_is_forgotten_alone(project: Path) -> None:
    spool = started()
    places = []
    for text in ("one", "two"):
        path = project / "same.txt"
        path.write_text(text)
        places.append(spool.copy_file(path))
        path.unlink()
    assert [spool.file_path(place).read_text() for place in places] == ["one", "two"]
    spool.delete_file(places[0])
    assert not spool.file_path(places[0]).exists()
    assert spool.file_path(places[1]).name == "same.txt"


def test_where_nothing_answers_the_line_says_so_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{address}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(TrackingError) as said:
            list(sync())
    assert str(said.value) == (
        f"MLflow must be reachable, but nothing answers at http://{address};"
        " start that server, or unset MLFLOW_TRACKING_URI"
    )


@pytest.mark.filterwarnings("ignore::ResourceWarning")
class TestShipping:
    def test_what_was_sent_is_not_sent_again(self) -> None:
        spool = started()
        spool.append(events.StatusChange(status="RUNNING", time=0), *(metrics(i) for i in range(1500)))
        Shipper(spool).send_unsent()
        spool.append(metrics(1500), events.StatusChange(status="FINISHED", time=7))
        shipper = Shipper(spool)
        shipper.send_unsent()
        assert list(spool.unsent_events()) == []
        run_id = shipper.run_id
        assert run_id
        points = shipper.client.get_metric_history(run_id, "val/loss")
        assert sorted(point.step for point in points) == list(range(1501))
        info = shipper.client.get_run(run_id).info
        assert (info.start_time, info.end_time) == (5, 7)

    def test_a_run_left_without_a_last_word_is_marked_killed(self) -> None:
        spool = started()
        spool.append(events.StatusChange(status="RUNNING", time=0))
        shipper = Shipper(spool)
        shipper.send_unsent()
        shipper.close()
        assert shipper.run_id
        assert shipper.client.get_run(shipper.run_id).info.status == "KILLED"

    def test_a_fingerprint_has_one_run(self) -> None:
        for _ in range(2):
            Shipper(started()).send_unsent()
        client, experiment = store.open_store()
        assert len(client.search_runs([experiment])) == 1

    def test_a_spool_without_its_run_says_what_to_do(self) -> None:
        spool = Spool("headless")
        spool.append(metrics(1))
        with pytest.raises(TrackingError, match=r"must begin with its run, but does not; remove .*headless"):
            Shipper(spool).send_unsent()

    def test_a_run_that_is_only_evaluated_is_not_called_killed(self) -> None:
        shipper = Shipper(started())
        shipper.send_unsent()
        shipper.close()
        assert shipper.run_id
        assert shipper.client.get_run(shipper.run_id).info.status == "FINISHED"

    def test_a_picture_that_is_sent_twice_is_one_and_named_as_mlflow_names_it(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = io.BytesIO()
        Image.new("L", (4, 4)).save(file, "PNG")
        report = RunLogger("train", "m", "f")
        for _ in range(2):  # a second training of the same
            tell = report.sample_logger()
            for step in (0, 5):
                tell(step, file.getvalue())
            report.spool.append(events.StatusChange(status="FINISHED", time=1))
        damaged = next(event for event in report.spool.read_events() if isinstance(event, events.Image))
        report.spool.append(damaged.model_copy(update={"step": 9, "sha256": "0"}))
        shipper = Shipper(report.spool)
        shipper.send_unsent()
        assert "is not the picture that was drawn" in capsys.readouterr().out
        assert not list(report.spool.folder.glob("files/*/*"))
        client, run_id = shipper.client, shipper.run_id
        assert run_id
        names = [Path(each.path).name for each in client.list_artifacts(run_id, "images")]
        client.log_image(run_id, Image.new("L", (4, 4)), key="samples/grid", step=7)
        theirs = [Path(each.path).name for each in client.list_artifacts(run_id, "images")]
        pattern = r"samples~grid\+step\+{}\+timestamp\+\d+\+[0-9a-f-]{{36}}(\.png|\+compressed\.webp)"
        assert [len([name for name in names if re.fullmatch(pattern.format(step), name)]) for step in (0, 5, 9)] == [
            2,
            2,
            0,
        ]
        assert len([name for name in theirs if re.fullmatch(pattern.format(7), name)]) == 2
        assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"
