"""Go on only in the environment that was recorded: `python verify_env.py .venv && .venv/bin/python train.py`."""

import shutil
import subprocess
import sys

EXPECTED = "sha256:"  # what `sanctity fingerprint --env .venv` printed on the day that all was well

sanctity = shutil.which("sanctity")  # from pipx or `uv tool`: outside of what it looks at
if sanctity is None:
    print("verify_env: sanctity is not there: uv tool install . in a clone of it", file=sys.stderr)
    sys.exit(3)  # not 1: nothing drifted, it is not known
environment = sys.argv[1] if len(sys.argv) > 1 else ".venv"
sys.exit(subprocess.run([sanctity, "verify", EXPECTED, "--env", environment], check=False).returncode)
