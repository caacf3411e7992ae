"""Runs rdma_topo, unchanged, many times in one process: an interpreter takes longer to start than rdma_topo to answer.

Arguments: the file. Input: one JSON object a line, {"devices": directory, "arguments": [...]}. Output: one a line,
{"status": exit code, "out": text, "err": text}.
"""

import contextlib
import io
import json
import os
import sys
import traceback
import types

NAME = "rdma_topo"


def ask(code, devices, arguments):
    os.environ["RDMA_TOPO_DEVDIR"] = devices
    sys.argv = [NAME, *arguments]
    # It looks its own commands up by importing itself.
    module = sys.modules[NAME] = types.ModuleType(NAME)
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            exec(code, module.__dict__)
        except SystemExit as end:
            status = end.code or 0
        except Exception:
            traceback.print_exc()
            status = 1
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


with open(sys.argv[1], encoding="utf-8") as file:
    program = compile(file.read(), file.name, "exec")
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(ask(program, request["devices"], request["arguments"])), flush=True)
