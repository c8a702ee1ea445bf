"""`python -m airlock_worker`: the supervisor's process, from its arguments to its exit."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from .cgroups.outer_cgroup import OuterCgroup
from .cgroups.worker_cgroups import WorkerCgroups
from .linux import descriptors, kernel
from .supervisor import identity, probe, threads
from .supervisor.handed_certificates import HandedCertificates
from .supervisor.log import log
from .supervisor.messages import DEFAULT_DESCRIPTORS, Messages
from .supervisor.status import Fact, StatusBoard
from .supervisor.supervisor import Supervisor
from .supervisor.zygote_link import NoSpare, ZygoteLink, ensure_directory

_MAX_MESSAGE_BYTES = 128 * 1024 * 1024
_SERVER_OPTIONS = [
    # The supervisor buffers at most 128 KiB for a connection that its run does not read. gRPC's own default would let
    # these buffers grow to megabytes.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 128 * 1024),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # Callers ping the worker every 20 s, also between calls, to notice when it is frozen. gRPC must not treat that as
    # abuse and close the connection.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
]
_LAST_WORDS_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="airlock_worker", description="Runs the scripts of one Airlock project.")
    parser.add_argument("--worker-id", required=True, help="how callers name this worker")
    parser.add_argument("--listen", required=True, help="unix:/PATH/worker.sock, or HOST:PORT")
    tls = parser.add_mutually_exclusive_group()
    tls.add_argument("--tls-dir", type=Path, help="ca.pem, cert.pem and key.pem of the worker")
    tls.add_argument("--tls-stdin", action="store_true", help="the same from standard input, a line of JSON each time")
    parser.add_argument("--run-dir", required=True, help="a directory of this worker's own")
    parser.add_argument("--output-dir", help="where files with the output of paused runs are made; else the run-dir")
    parser.add_argument("--python", required=True, help="the interpreter that has the project's packages")
    parser.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE")
    parser.add_argument("--import-of", dest="distributions", action="append", default=[], metavar="DISTRIBUTION")
    parser.add_argument("--programs", default="sh,coreutils", metavar="NAME,NAME", help="of the machine, for scripts")
    parser.add_argument("--spares", type=int, default=2, help="run children kept forked ahead")
    # The default must equal ATTACH_GRACE_MS in services/common/service/grace-periods.ts, because the pool-manager keeps
    # the run's lease for that time, and the egress service its network route.
    parser.add_argument("--grace", type=float, default=60, help="seconds that a run goes on without its caller")
    parser.add_argument("--descriptors", type=Path, default=DEFAULT_DESCRIPTORS)
    options = parser.parse_args()
    if not options.listen.startswith("unix:") and options.tls_dir is None and not options.tls_stdin:
        parser.error("a network address needs --tls-dir or --tls-stdin: a caller there must show a certificate")
    sys.exit(asyncio.run(serve(options)))


async def serve(options: argparse.Namespace) -> int:
    kernel.keep_memory_out_of_core_dumps()
    descriptors.raise_limit()
    # The socket is made with a umask of 077, so that from its first moment only the worker's own user may use it.
    os.umask(0o077)
    ensure_directory(options.run_dir)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    board = StatusBoard()
    outer = OuterCgroup()
    cgroups = WorkerCgroups()
    modules, distributions = options.modules, options.distributions
    link = ZygoteLink(options.python, options.run_dir, modules, distributions, options.programs, cgroups)
    messages = Messages(options.descriptors)
    output_dir = options.output_dir or options.run_dir
    supervisor = Supervisor(
        messages,
        link,
        board,
        worker_id=options.worker_id,
        grace_s=options.grace,
        output_dir=output_dir,
        outer=outer,
    )
    stopped = _stop_signals(stdin_is_lifeline=not options.tls_stdin)
    # The zygote is started before gRPC starts its threads, because a fork in a process with threads may hang.
    problem = _start_zygote(link)
    threads.start()
    try:
        certificates = await _certificates(options, stopped)
    except identity.BadCertificates as error:
        log("error", "no caller can be served", reason=str(error))
        link.stop()
        return 1
    server = grpc.aio.server(options=_SERVER_OPTIONS)
    address = _bind(server, supervisor, options.listen, certificates)
    await server.start()
    path = options.listen.removeprefix("unix:")
    if os.path.exists(path):
        os.chmod(path, 0o600)
    log("info", "listening", address=address)
    if problem is None:
        starting = asyncio.ensure_future(_become_ready(link, cgroups, supervisor, board, options.spares))
        await asyncio.wait({stopped, link.lost}, return_when=asyncio.FIRST_COMPLETED)
        if link.lost.done() and link.ready.exception() is not None:
            # The task `starting` learns of the failed start later than this line, and puts the reason on the status
            # board. The worker waits for that here.
            told: set[asyncio.Future[Any]] = {starting, stopped}
            await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
    else:
        board.change("failed", problem)
    if not stopped.done() and link.lost.done() and link.ready.done() and link.ready.exception() is None:
        board.change("failed", f"the zygote was lost ({link.lost.result()})")
        log("error", "the zygote was lost", how=link.lost.result())
        await board.told()
    else:
        # A worker that could not get ready stays up until it is stopped, so that the pool-manager can read the reason
        # from it.
        await stopped
    lost = not stopped.done()
    if problem is None:
        link.stop()
    await supervisor.runs_ended(_LAST_WORDS_S)
    await cgroups.remove()
    board.close()
    await server.stop(0.2)
    log("info", "stopped", lost=lost)
    return 1 if lost else 0


async def _certificates(options: argparse.Namespace, stopped: asyncio.Future[str]) -> grpc.ServerCredentials | None:
    """TLS credentials for a network address; None for a Unix socket. Raises BadCertificates."""
    if options.listen.startswith("unix:"):
        return None
    if options.tls_dir is not None:
        return identity.server_credentials(identity.in_directory(options.tls_dir))
    handed = HandedCertificates()
    await handed.first(stopped)
    return identity.server_credentials(handed.latest)


def _bind(
    server: grpc.aio.Server, supervisor: Supervisor, listen: str, certificates: grpc.ServerCredentials | None
) -> str:
    """Binds the server and returns the address; on a network it ends in the actual port, and callers need a
    certificate.
    """
    server.add_generic_rpc_handlers((supervisor.handlers(check_identity=certificates is not None),))
    if certificates is None:
        server.add_insecure_port(listen)
        return listen
    port = server.add_secure_port(listen, certificates)
    return f"{listen.rsplit(':', 1)[0]}:{port}"


def _start_zygote(link: ZygoteLink) -> str | None:
    try:
        link.start()
    except OSError as error:
        return f"the project's interpreter cannot be started: {error.strerror}"
    return None


async def _become_ready(
    link: ZygoteLink, cgroups: WorkerCgroups, supervisor: Supervisor, board: StatusBoard, spares: int
) -> None:
    try:
        # This task is cancelled when the worker is stopped. The shield keeps the cancellation from `link.ready`, which
        # other code still reads.
        overhead = await asyncio.shield(link.ready)
        link.keep_spares(0, probe.LIMITS)
        posture = await probe.measure(await link.take(), cgroups, overhead)
        if link.left_out:
            log("warn", "modules are not imported beforehand", modules="; ".join(link.left_out))
            posture = replace(posture, facts=(*posture.facts, Fact("not_imported_beforehand", link.left_out)))
        link.require(posture.entered)
        supervisor.use_spares(spares)
    except (NoSpare, probe.ProbeFailed) as error:
        log("error", "cannot get ready")
        board.change("failed", str(error))
        return
    # Objects that exist now live as long as the process, so later garbage collections need not look at them.
    gc.collect()
    gc.freeze()
    board.change("ready", posture=posture)
    log("info", "ready", layers_in_force=sum(layer.in_force for layer in posture.layers))


def _stop_signals(*, stdin_is_lifeline: bool) -> asyncio.Future[str]:
    """Resolves on SIGTERM, or when standard input is closed because the parent process is gone.

    A container has no such parent: it outlives its pool-manager, whose successor takes the worker over.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[str] = loop.create_future()

    def stop(why: str) -> None:
        if not stopped.done():
            log("info", "stopping", why=why)
            stopped.set_result(why)

    def on_stdin() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop("standard input was closed")

    loop.add_signal_handler(signal.SIGTERM, stop, "SIGTERM")
    # SIGINT is ignored, because Ctrl-C at a terminal reaches the whole process group, and the parent process decides
    # whether the worker stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if stdin_is_lifeline:
        try:
            loop.add_reader(0, on_stdin)
        except PermissionError:
            log("warn", "standard input is not a pipe, so the end of the parent process will not be noticed")
    return stopped


if __name__ == "__main__":
    main()
