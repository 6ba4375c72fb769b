#!/usr/bin/env python3
"""How fast `/readyz` turns red when something fails, and green again when it is back.

    cargo build --release -p vocalizer --no-default-features --features cluster
    benches/readiness.py [--program target/release/vocalizer] [--rounds 5]

Faults: a full disk (no file may grow), an unmounted folder of files, a database that is gone (PostgreSQL), a broker that is gone
(RabbitMQ). Needs Linux, util-linux, PostgreSQL and RabbitMQ; starts private instances. The exit code is 1 when a fault takes longer than 5 s
to show, or a recovery longer than 10 s.
"""

import argparse
import contextlib
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

CI = pathlib.Path(__file__).resolve().parent.parent / ".ci"
RED_S, GREEN_S = 5, 10


def status(address):
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def seconds_until(address, wanted):
    """Seconds until `/readyz` answers with this status, and the slowest answer on the way."""
    began, slowest = time.monotonic(), 0.0
    while time.monotonic() - began < 120:
        asked = time.monotonic()
        answered = status(address)
        slowest = max(slowest, time.monotonic() - asked)
        if answered == wanted:
            return time.monotonic() - began, slowest
        time.sleep(0.02)
    raise RuntimeError(f"/readyz does not become {wanted}")


def script(name, *arguments):
    return subprocess.run([CI / name, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def server(program, *arguments):
    command = [program, "serve", "--no-worker", "--listen-addr", "127.0.0.1:0", "--worker-token", "x" * 16, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               restore_signals=False)  # SIGXFSZ stays ignored: writes fail instead.
    try:
        line = next(line for line in process.stdout if "listens on " in line)
        yield process, line.split("listens on ")[1].strip()
    finally:
        process.kill()
        process.wait()


def measure(name, address, rounds, break_it, mend_it):
    """Prints the worst round."""
    seconds_until(address, 200)
    red = green = slowest = 0.0
    for _ in range(rounds):
        break_it()
        took, slow = seconds_until(address, 503)
        red, slowest = max(red, took), max(slowest, slow)
        mend_it()
        took, slow = seconds_until(address, 200)
        green, slowest = max(green, took), max(slowest, slow)
    print(f"| {name} | {red:.2f} | {green:.2f} | {slowest:.2f} |", flush=True)
    return red <= RED_S and green <= GREEN_S


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/release/vocalizer")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print("| fault | red after s | green after s | slowest answer s |\n|---|---:|---:|---:|", flush=True)
    in_time = True
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o711)
        data = folder / "files"
        with server(args.program, "--data-dir", data) as (process, address):
            def room(limit):
                subprocess.run(["prlimit", "--pid", str(process.pid), f"--fsize={limit}:unlimited"], check=True)

            blobs, away = data / "blobs", data / "away"
            in_time &= measure("full disk", address, args.rounds, lambda: room(0), lambda: room("unlimited"))
            in_time &= measure("folder of files gone", address, args.rounds, lambda: blobs.rename(away), lambda: away.rename(blobs))
        postgres, rabbitmq = folder / "postgres", folder / "rabbitmq"
        try:
            url = script("postgres", "start", postgres).split("=", 1)[1].strip()
            broker = script("rabbitmq", "start", rabbitmq).split("=", 1)[1].splitlines()[0].strip()
            database = ("--data-dir", folder / "cluster", "--database-url", url)
            with server(args.program, *database) as (_, address):
                in_time &= measure("PostgreSQL gone", address, args.rounds,
                                   lambda: script("postgres", "kill", postgres), lambda: script("postgres", "restart", postgres))
            with server(args.program, "--data-dir", folder / "broker", "--broker-addr", broker) as (_, address):
                in_time &= measure("RabbitMQ gone", address, args.rounds,
                                   lambda: script("rabbitmq", "kill", rabbitmq), lambda: script("rabbitmq", "restart", rabbitmq))
        finally:
            script("rabbitmq", "stop", rabbitmq)
            script("postgres", "stop", postgres)
    return 0 if in_time else 1


if __name__ == "__main__":
    sys.exit(main())
