"""The spool and its upload: no event is lost or sent twice, even after a crash."""

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


def spool_with_run(fingerprint: str = "f") -> Spool:
    spool = Spool(fingerprint)
    spool.append(events.Run(name="m", time=5, tags={"fivefold.fingerprint": fingerprint}))
    return spool


def steps(spool: Spool) -> list[int]:
    return [event.step for _, event in spool.unsent_events() if isinstance(event, events.Metrics)]


def test_unsent_events_are_read_in_order() -> None:
    spool = spool_with_run()
    spool.append(metrics(1), metrics(2))
    assert steps(spool) == [1, 2]
    offsets = [offset for offset, _ in spool.unsent_events()]
    spool.mark_sent(offsets[1])
    assert steps(spool) == [2]
    assert [s.fingerprint for s in list_spools()] == ["f"]


def test_an_incomplete_last_line_is_never_sent_and_later_events_are() -> None:
    spool = spool_with_run()
    spool.append(metrics(1))
    with spool.events_file.open("ab") as file:
        file.write(b'{"kind":"metrics","st')
    assert steps(spool) == [1]
    spool.append(metrics(2))
    assert steps(spool) == [1, 2]


def test_copied_files_are_independent_of_their_source_and_of_each_other(project: Path) -> None:
    spool = spool_with_run()
    spool_paths = []
    for text in ("one", "two"):
        path = project / "same.txt"
        path.write_text(text)
        spool_paths.append(spool.copy_file(path))
        path.unlink()
    assert [spool.file_path(path).read_text() for path in spool_paths] == ["one", "two"]
    spool.delete_file(spool_paths[0])
    assert not spool.file_path(spool_paths[0]).exists()
    assert spool.file_path(spool_paths[1]).name == "same.txt"


def test_an_unreachable_server_is_reported_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{address}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(TrackingError) as error:
            list(sync())
    assert str(error.value) == (
        f"MLflow must be reachable, but no response from http://{address};"
        " start that server or unset MLFLOW_TRACKING_URI"
    )


@pytest.mark.filterwarnings("ignore::ResourceWarning")
class TestShipping:
    def test_events_are_sent_once(self) -> None:
        spool = spool_with_run()
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

    def test_a_training_without_a_final_status_is_marked_killed(self) -> None:
        spool = spool_with_run()
        spool.append(events.StatusChange(status="RUNNING", time=0))
        shipper = Shipper(spool)
        shipper.send_unsent()
        shipper.close()
        assert shipper.run_id
        assert shipper.client.get_run(shipper.run_id).info.status == "KILLED"

    def test_a_fingerprint_has_one_run(self) -> None:
        for _ in range(2):
            Shipper(spool_with_run()).send_unsent()
        client, experiment = store.open_store()
        assert len(client.search_runs([experiment])) == 1

    def test_a_spool_without_a_run_is_reported_with_the_remedy(self) -> None:
        spool = Spool("headless")
        spool.append(metrics(1))
        with pytest.raises(TrackingError) as error:
            Shipper(spool).send_unsent()
        assert str(error.value) == (
            f"the first event of {spool.events_file} must be a run, but is not;"
            f" delete {spool.folder} and run `fivefold sync`"
        )

    def test_a_run_without_training_is_marked_finished(self) -> None:
        shipper = Shipper(spool_with_run())
        shipper.send_unsent()
        shipper.close()
        assert shipper.run_id
        assert shipper.client.get_run(shipper.run_id).info.status == "FINISHED"

    def test_an_image_sent_twice_is_stored_once_under_the_name_of_mlflow(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = io.BytesIO()
        Image.new("L", (4, 4)).save(file, "PNG")
        run_logger = RunLogger("train", "m", "f")
        for _ in range(2):  # the same training twice
            log_grid = run_logger.sample_logger()
            for step in (0, 5):
                log_grid(step, file.getvalue())
            run_logger.spool.append(events.StatusChange(status="FINISHED", time=1))
        image = next(event for event in run_logger.spool.read_events() if isinstance(event, events.Image))
        run_logger.spool.append(image.model_copy(update={"step": 9, "sha256": "0"}))
        shipper = Shipper(run_logger.spool)
        shipper.send_unsent()
        damaged = run_logger.spool.file_path(image.spool_path)
        assert f"skipped: {damaged} is missing or damaged\n" in capsys.readouterr().out
        assert not list(run_logger.spool.folder.glob("files/*/*"))
        client, run_id = shipper.client, shipper.run_id
        assert run_id
        names = [Path(each.path).name for each in client.list_artifacts(run_id, "images")]
        client.log_image(run_id, Image.new("L", (4, 4)), key="samples/grid", step=7)
        mlflow_names = [Path(each.path).name for each in client.list_artifacts(run_id, "images")]
        pattern = r"samples~grid\+step\+{}\+timestamp\+\d+\+[0-9a-f-]{{36}}(\.png|\+compressed\.webp)"
        counts = {step: sum(bool(re.fullmatch(pattern.format(step), name)) for name in names) for step in (0, 5, 9)}
        assert counts == {0: 2, 5: 2, 9: 0}
        assert sum(bool(re.fullmatch(pattern.format(7), name)) for name in mlflow_names) == 2
        assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"
