#!/usr/bin/env python3
"""An ACP adapter as it was before it had providers/set: no_providers.py ADAPTER [ARGUMENT …]. Its answer to initialize loses that capability; all
else passes."""
import subprocess
import sys
import threading

adapter = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def from_client():
    for line in sys.stdin.buffer:
        adapter.stdin.write(line)
        adapter.stdin.flush()
    adapter.stdin.close()


threading.Thread(target=from_client, daemon=True).start()
for line in adapter.stdout:
    sys.stdout.buffer.write(line.replace(b'"providers":{}', b'"without":{}'))
    sys.stdout.buffer.flush()
sys.exit(adapter.wait())
