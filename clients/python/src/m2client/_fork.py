"""A setting of gRPC without which programs can't start others on Python 3.9.

There, `subprocess` forks, and gRPC's handlers restart its threads in the child. These abort the child when
it closes its descriptors before it executes the program. Later versions of Python start programs with
`vfork`, for which no handlers run.
"""

import os
import sys

if sys.version_info < (3, 10):
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
