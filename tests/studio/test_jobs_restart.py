"""What survives: kill -9, a second start, broken and foreign databases, a disk that refuses."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from procedural import ended, quick, slow, wait_for

from pipelines.errors import UserError
from pipelines.video import read_clip
from studio.jobs import Jobs
from studio.jobs.sentences import DISK_FULL, INTERRUPTED

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def other_studio(tmp_path):
    """Another process over the same folder; its first line names its three jobs once the second one runs."""
    command = [sys.executable, str(Path(__file__).with_name("studio_process.py")), str(tmp_path / "home")]
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths})
    yield process
    process.kill()
    process.wait()


def test_kill_9_loses_nothing(other_studio, open_jobs):
    done, running, queued = json.loads(other_studio.stdout.readline())
    with pytest.raises(UserError, match="Another studio is using"):
        open_jobs(start=False)
    other_studio.send_signal(signal.SIGKILL)
    other_studio.wait()

    jobs = open_jobs(start=False)
    assert [(job.id, job.state) for job in jobs.list("ada")] == [(queued, "queued"), (running, "interrupted"), (done, "done")]
    assert jobs.get("ada", running).error == INTERRUPTED
    assert len(read_clip(jobs.clip("ada", done))[0]) == 5
    jobs.start()
    assert wait_for(jobs, "ada", queued, ended).state == "done"
    again = jobs.retry("ada", running)
    wait_for(jobs, "ada", again, lambda job: job.step >= 1)
    jobs.cancel("ada", again)
    assert wait_for(jobs, "ada", again, ended).state == "cancelled"


def test_going_home_interrupts_the_running_job_and_keeps_the_rest(open_jobs):
    jobs = open_jobs()
    running, queued = jobs.submit("ada", slow()), jobs.submit("ada", quick())
    wait_for(jobs, "ada", running, lambda job: job.step >= 1)
    jobs.stop()
    with pytest.raises(UserError, match="shutting down"):
        jobs.submit("ada", quick())
    jobs = open_jobs(start=False)
    assert [job.state for job in jobs.list("ada")] == ["queued", "interrupted"]
    assert jobs.get("ada", running).step >= 1
    assert jobs.get("ada", queued).position == 0


def spoil(path: Path, how: str) -> None:
    if how == "text":
        path.write_text("this was a database once")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif how == "scrambled":
        data = bytearray(path.read_bytes())
        data[4096:8192] = os.urandom(4096)
        path.write_bytes(data)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE jobs")
            connection.execute("CREATE TABLE jobs (name TEXT)" if how == "older" else "PRAGMA user_version=999")
        connection.close()


@pytest.mark.parametrize("how", ["text", "truncated", "scrambled", "older", "newer"])
def test_a_database_that_cannot_be_read_is_set_aside_and_rebuilt(open_jobs, tmp_path, caplog, how):
    jobs = open_jobs()
    done = jobs.submit("ada", quick())
    wait_for(jobs, "ada", done, ended)
    jobs.stop()
    jobs = open_jobs(start=False)
    queued = jobs.submit("ada", quick("next"))
    jobs.stop()
    spoil(tmp_path / "home" / "jobs.sqlite", how)

    jobs = open_jobs()
    assert "it is kept as jobs-set-aside-" in caplog.text
    assert len(list((tmp_path / "home").glob("jobs-set-aside-*.sqlite"))) == 1
    assert jobs.get("ada", done).state == "done" and jobs.clip("ada", done).is_file()
    assert wait_for(jobs, "ada", queued, ended).state == "done"


def test_a_row_or_folder_that_makes_no_sense_harms_nothing_else(open_jobs, tmp_path):
    jobs = open_jobs(start=False)
    good, gone = jobs.submit("ada", quick()), jobs.submit("ada", quick("of a method that is no more"))
    jobs.stop()
    with sqlite3.connect(tmp_path / "home" / "jobs.sqlite") as connection:
        connection.execute("INSERT INTO jobs VALUES ('broken', 'ada', 'queued', '{')")
        connection.execute("UPDATE jobs SET record = replace(record, 'moving-dot', 'no-such-method') WHERE id = ?", (gone,))
        connection.execute("UPDATE jobs SET record = replace(record, '\"phase\"', '\"of_the_future\"') WHERE id = ?", (good,))
    connection.close()
    jobs = open_jobs()
    assert {job.id for job in jobs.list("ada")} == {good, gone}
    assert wait_for(jobs, "ada", good, ended).state == "done"
    assert "no method called 'no-such-method'" in wait_for(jobs, "ada", gone, ended).error
    with pytest.raises(UserError, match="no method called"):
        jobs.retry("ada", gone)


def test_a_home_that_is_no_folder_is_one_sentence(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write to its folder .*--home"):
        Jobs(tmp_path / "home", list)


def test_a_full_disk_while_saving_fails_the_job_and_the_next_one_runs(open_jobs, tmp_path):
    jobs = open_jobs(start=False)
    bad, good = jobs.submit("ada", quick()), jobs.submit("ada", quick())
    (tmp_path / "home" / "jobs" / bad / "poster.webp.part").symlink_to("/dev/full")
    jobs.start()
    job = wait_for(jobs, "ada", bad, ended)
    assert (job.state, job.error, job.has_clip) == ("failed", DISK_FULL, False)
    assert wait_for(jobs, "ada", good, ended).state == "done"


def test_a_full_disk_refuses_a_new_job_and_finishes_the_old_one(open_jobs, tmp_path):
    jobs = open_jobs(start=False)
    old = jobs.submit("ada", quick())
    jobs._ledger.database._connection.execute("PRAGMA max_page_count=1")  # SQLite's own way to be full
    with pytest.raises(UserError) as caught:
        for _ in range(5):
            jobs.submit("ada", quick("long " * 300))
    assert str(caught.value) == DISK_FULL
    known = {job.id for job in jobs.list("ada")}
    assert {path.name for path in (tmp_path / "home" / "jobs").iterdir()} == known
    jobs.start()
    assert wait_for(jobs, "ada", old, ended).state == "done"


def test_what_a_full_disk_refused_is_written_once_there_is_room(open_jobs):
    jobs = open_jobs(start=False)
    old, other = jobs.submit("ada", quick()), jobs.submit("ada", quick())
    connection = jobs._ledger.database._connection
    connection.execute("PRAGMA query_only=1")  # SQLite's own way to be read-only
    jobs.cancel("ada", old)
    assert jobs.get("ada", old).state == "cancelled"
    connection.execute("PRAGMA query_only=0")
    jobs.cancel("ada", other)
    jobs.stop()
    assert [job.state for job in open_jobs(start=False).list("ada")] == ["cancelled", "cancelled"]
