"""What the machine does: models, methods, evaluation. Knows no web framework; usable as a library and from the command line."""

import os

# Threads that wait for each other should sleep: by default they spin, and while anything else runs on the machine (a web
# server, a browser) a step takes ten times as long. OpenMP reads this when torch is imported, so it is set here, before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
