# SPDX-License-Identifier: GPL-2.0-or-later
"""A farm by ssh: dask's SSHCluster starts the scheduler and our workers; ends all of it on ctrl-C, SIGTERM or SIGHUP.

Copy it, write your hosts into it, and run it in a checkout's `.venv` that has asyncssh. docs/farm.md has the rest.
Source: https://docs.dask.org/en/stable/deploying-ssh.html
"""

import asyncio
import signal
import sys

import dask
from dask.distributed import SSHCluster

# The first one has the scheduler, each of the others a worker.
HOSTS = ["one", "one", "two", "three"]
PORT = 8786
CHECKOUT = "/srv/vdsm-packaging"
CERTIFICATES = "/etc/farm"
# As asyncssh's `connect`: port, username, client_keys, known_hosts.
SSH = {"connect_timeout": 20}
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def configure() -> None:
    """Let dask speak TLS alone, here and on all hosts."""
    pair = {"cert": f"{CERTIFICATES}/machine.pem", "key": f"{CERTIFICATES}/machine-key.pem"}
    comm = {"default-scheme": "tls", "require-encryption": True, "tls.ca-file": f"{CERTIFICATES}/ca.pem"}
    comm |= {f"tls.{role}.{part}": path for role in ("client", "scheduler", "worker") for part, path in pair.items()}
    dask.config.set({f"distributed.comm.{name}": value for name, value in comm.items()})


async def tell(process) -> None:
    """Show what a host says. Unread, it would fill the connection, and the host would wait."""
    async for line in process.stderr:
        print(line, end="", file=sys.stderr, flush=True)


def main() -> None:
    """Start the farm, and end it when we are told to."""
    # Threads that begin from here on leave these to us: half a farm cannot be ended.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    configure()
    cluster = SSHCluster(
        HOSTS,
        connect_options=SSH,
        remote_python=f"env -C {CHECKOUT} .venv/bin/python",
        scheduler_options={"port": PORT, "dashboard": False},
        worker_class="distributed.Worker",
        worker_options={
            "nthreads": 2,
            "memory_limit": 0,
            "death_timeout": 60,
            "local_directory": "/var/tmp/farm",
            "preload": ["pipeline.farm.preload"],
        },
    )
    with cluster:
        for each in (cluster.scheduler, *cluster.workers.values()):
            asyncio.run_coroutine_threadsafe(tell(each.proc), cluster.loop.asyncio_loop)
        # One that is not taken yet would not hear that the farm ends.
        cluster.wait_for_workers(len(HOSTS) - 1, timeout=60)
        print(f"the farm is up: {cluster.scheduler_address}", file=sys.stderr, flush=True)
        told = signal.sigwait(SIGNALS)
        print(f"{told.name}: the farm ends", file=sys.stderr, flush=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # dask waits long for a host that is gone


if __name__ == "__main__":
    main()
