"""A studio's queue in a process of its own, to be killed: one job done, one running, one queued."""

import json
import sys
import time
from pathlib import Path

from procedural import draw, ended, quick, slow, wait_for

from studio.jobs import Jobs

jobs = Jobs(Path(sys.argv[1]), draw)
jobs.start()
ids = [jobs.submit("ada", request) for request in (quick(), slow(), quick())]
wait_for(jobs, "ada", ids[0], ended)
wait_for(jobs, "ada", ids[1], lambda job: job.step >= 1)
print(json.dumps(ids), flush=True)
time.sleep(120)
