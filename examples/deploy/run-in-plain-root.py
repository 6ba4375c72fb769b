#!/usr/bin/env python3
"""Runs the stages of a Dockerfile without a container engine, in a chroot.

    examples/deploy/run-in-plain-root.py server=target/debug/vocalizer worker=target/debug/vocalizer
    examples/deploy/run-in-plain-root.py Dockerfile-gpu:worker=target/debug/vocalizer

Executes RUN, COPY, ENV, USER, VOLUME, HEALTHCHECK, ENTRYPOINT and CMD of the given stage of Dockerfile, or of the file before the colon; any
other instruction is an error. Build stages are not run, because they only run `cargo build`; the given program replaces their output.
Other stages that files are copied from are run first, each in its own root.

The base image is a minimal Debian of the same release, made by debootstrap from the mirror in this machine's apt sources and cached in
tools/plain-root of the target folder. The program runs as in a container: with a read-only root, volumes, no capabilities, its own
network, and as process 1. All mounts are in the script's own namespace and end with it.

Needs root, debootstrap and the release of the base image; otherwise prints why and exits with 0.
"""

import fcntl
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CONTEXT = HERE.parents[1]
KEPT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", CONTEXT / "target")).resolve() / "tools/plain-root"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEVICES = ["null", "zero", "full", "random", "urandom"]
# Settings for package downloads, passed through from this machine.
WAYS = ["http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL"]
# The default timeout of `docker stop`.
STOP_S = 10
# The process dies with its parent, and the PID namespace with its first process.
ALONE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
# Settings that a stage requires from its user.
GIVEN = {"worker": {"WORKER_TOKEN": "a-token-for-tests", "BACKEND_ADDR": "http://127.0.0.1:9"}}


class Stage:
    def __init__(self, base):
        self.base = base
        self.instructions = []


def parse(text):
    """Returns the stages by name."""
    lines = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    defaults, stages, stage = {}, {}, None
    for line in re.sub(r"\\\n", " ", lines).splitlines():
        word, rest = line.split(None, 1)
        if word == "ARG" and stage is None:
            name, value = rest.split("=", 1)
            defaults[name] = value
        elif word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()
            stage = stages[name] = Stage(re.sub(r"\$\{(\w+)\}", lambda found: defaults[found[1]], base))
        else:
            stage.instructions.append((word, rest))
    return stages


def options(rest):
    """Splits leading `--name=value` options from the rest."""
    found = {}
    while match := re.match(r"--([\w-]+)=(\S+)\s+", rest):
        found[match[1]] = match[2]
        rest = rest[match.end() :]
    return found, rest


def seconds(text):
    return float(re.fullmatch(r"(\d+)s", text)[1])


class Image:
    """The run settings of a stage."""

    def __init__(self, stage):
        self.env, self.user, self.volumes, self.health = {"PATH": PATH}, "0:0", [], None
        self.entrypoint, self.command = [], []
        for word, rest in stage.instructions:
            if word == "ENV":
                self.env.update(pair.split("=", 1) for pair in shlex.split(rest))
            elif word == "USER":
                self.user = rest.strip()
            elif word == "VOLUME":
                self.volumes += rest.split()
            elif word == "HEALTHCHECK":
                self.health, command = options(rest)
                self.health["command"] = json.loads(command.removeprefix("CMD"))
            elif word == "ENTRYPOINT":
                self.entrypoint = json.loads(rest)
            elif word == "CMD":
                self.command = json.loads(rest)
            elif word not in ("RUN", "COPY", "EXPOSE"):
                sys.exit(f"unsupported Dockerfile instruction: {word}")


def run(*command, **more):
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, **more)


def devices(root):
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "dev")
    for name in DEVICES:
        (root / "dev" / name).touch()
        run("mount", "--bind", f"/dev/{name}", root / "dev" / name)


def build(root, stage, program, stages):
    """Executes RUN and COPY in order."""
    devices(root)
    run("mount", "-t", "proc", "proc", root / "proc")
    run("mount", "--bind", "/etc/resolv.conf", root / "etc/resolv.conf")
    env = {"PATH": PATH} | {name: os.environ[name] for name in WAYS if name in os.environ}
    if "PIP_CERT" in os.environ:
        # This machine's CA certificates for pip; removed with the device mount.
        shutil.copyfile(os.environ["PIP_CERT"], root / "dev/authorities")
        env["PIP_CERT"] = "/dev/authorities"
    user = "0:0"
    for word, rest in stage.instructions:
        if word in ("RUN", "COPY") and user != "0:0":
            sys.exit(f"{word} after USER is not supported")
        if word == "USER":
            user = rest
        elif word == "ENV":
            env.update(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "RUN":
            log = root.parent / "log"
            with log.open("w") as out:
                command = ["chroot", root, "/bin/sh", "-c", rest]
                done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            check(f"RUN {' '.join(rest.split())}", done.returncode == 0, log)
        elif word == "COPY":
            how, paths = options(rest)
            source, target = paths.split()
            target = root / (target + pathlib.Path(source).name if target.endswith("/") else target).lstrip("/")
            if how.get("from") in copied_stages(stage, stages):
                left = root.parent / how["from"] / "root" / source.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(left, target)
                shutil.copymode(left, target)
            elif "from" in how:
                # Check that the build stage creates a file of this name.
                left = [shlex.split(rest) for word, rest in stages[how["from"]].instructions if word == "RUN"]
                if not any(source in words for words in left):
                    sys.exit(f"{how['from']} does not create {source}")
                shutil.copyfile(program, target)
                target.chmod(0o755)
            else:
                shutil.copyfile(CONTEXT / source, target)
                shutil.copymode(CONTEXT / source, target)
            if "chmod" in how:
                target.chmod(int(how["chmod"], 8))
            print(f"  ok      COPY {rest}", flush=True)


def loopback():
    """Brings up the loopback interface of the new network namespace."""
    with socket.socket() as any_socket:
        request = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def inside(root, image, command):
    """Returns a command that runs as the image's user without privileges."""
    user, group = image.user.split(":")
    fallen = ["--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    return ["chroot", str(root), "setpriv", *fallen, "--", *command]


def check(what, right, log):
    print(f"  {'ok    ' if right else 'FAILED'}  {what}", flush=True)
    if not right:
        sys.exit(log.read_text()[-3000:])


def child_of(parent):
    """Returns the child process of another process."""
    for _ in range(500):
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                if f"\nPPid:\t{parent}\n" in status.read_text():
                    return int(status.parent.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
        time.sleep(0.01)
    sys.exit("no process was started")


def serve(root, image, name):
    """Starts the entrypoint, waits until it is healthy, and stops it."""
    loopback()
    run("mount", "--bind", root, root)
    run("mount", "-o", "remount,bind,ro", root)
    devices(root)
    for volume in image.volumes:
        # Like a container engine, fill a new volume with the image's files and owners.
        kept = root.parent / "volumes" / volume.strip("/")
        kept.parent.mkdir(parents=True, exist_ok=True)
        run("cp", "-a", root / volume.strip("/"), kept)
        run("mount", "--bind", kept, root / volume.strip("/"))
    # A hub that never responds: this does not test weights, and a worker stays alive while it waits for them.
    hub = socket.create_server(("127.0.0.1", 0))
    env = image.env | GIVEN.get(name, {}) | {"VOCALIZER_HUB": "http://127.0.0.1:{}".format(hub.getsockname()[1])}
    log = root.parent / "log"

    def healthy():
        command = inside(root, image, image.health["command"])
        try:
            asked = subprocess.run(command, env=image.env, capture_output=True, timeout=seconds(image.health["timeout"]))
        except subprocess.TimeoutExpired:
            return False
        return asked.returncode == 0

    log.write_text("")
    check("the root is read-only", os.statvfs(root).f_flag & os.ST_RDONLY, log)
    check("unhealthy before the start", not healthy(), log)
    unshare = ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc", "--"]
    with log.open("w") as out:
        command = unshare + inside(root, image, image.entrypoint + image.command)
        started = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    began, patience = time.monotonic(), seconds(image.health["start-period"])
    while not (well := healthy()) and started.poll() is None and time.monotonic() - began < patience:
        time.sleep(0.1)
    check(f"{shlex.join(image.health['command'])}: healthy after {time.monotonic() - began:.1f} s", well, log)
    program = child_of(started.pid)
    lines = pathlib.Path(f"/proc/{program}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    user, group = image.user.split(":")
    found = (status["Uid"].split()[0], status["Gid"].split()[0], status["NSpid"].split()[-1])
    check(f"{shlex.join(image.entrypoint + image.command)} runs as {image.user}, as process 1", found == (user, group, "1"), log)
    check("no capabilities", int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0, log)
    os.kill(program, signal.SIGTERM)
    began = time.monotonic()
    try:
        code = started.wait(STOP_S)
    except subprocess.TimeoutExpired:
        code = None
    check(f"SIGTERM: exits with {code} after {time.monotonic() - began:.1f} s", code == 0, log)
    written = [path for path in (root.parent / "volumes").rglob("*") if path.is_file()]
    print(f"          files in its volumes: {', '.join(sorted(path.name for path in written)) or 'nothing'}")
    check("its files belong to its user", all(path.stat().st_uid == int(user) for path in written), log)


def skip(why):
    print(f"  skipped running the Dockerfile in a chroot: {why}")
    sys.exit(0)


def debian(stage):
    """Returns the Debian release of the stage's base image, if it has one."""
    return re.fullmatch(r"debian:(\w+)-slim", stage.base)


def copied_stages(stage, stages):
    """Returns the non-build stages that this one copies files from."""
    taken = [options(rest)[0].get("from") for word, rest in stage.instructions if word == "COPY"]
    return [name for name in dict.fromkeys(taken) if name and debian(stages[name])]


def base_of(stage):
    """Returns the folder with a substitute for the stage's base image."""
    image = debian(stage)
    if not image:
        sys.exit(f"unsupported base image: {stage.base}")
    suite = image[1]
    if f"VERSION_CODENAME={suite}\n" not in pathlib.Path("/etc/os-release").read_text():
        skip(f"programs built on this machine do not match {suite}")
    root = KEPT / suite
    if not root.exists():
        asked = ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(SITE)", "Created-By: Packages"]
        lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
        mirror = next((line.split()[2] for line in lines if line.startswith(f"{suite} main ")), None)
        if not mirror:
            skip(f"no {suite} mirror in the apt sources")
        shutil.rmtree(KEPT / f"{suite}.new", ignore_errors=True)
        print(f"  creating a root of {suite}", flush=True)
        command = [*ALONE, "--", "debootstrap", "--variant=minbase", suite, KEPT / f"{suite}.new", mirror]
        with (KEPT / "log").open("w") as out:
            made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if made.returncode != 0:
            sys.exit(f"{(KEPT / 'log').read_text()[-3000:]}\ndebootstrap exited with {made.returncode}")
        (KEPT / f"{suite}.new").rename(root)
    return root


def main():
    if sys.argv[1] == "--inside":
        what, folder, dockerfile, name, program = sys.argv[2:]
        stages = parse((HERE / dockerfile).read_text())
        root = pathlib.Path(folder) / "root"
        if what == "build":
            build(root, stages[name], program, stages)
        else:
            serve(root, Image(stages[name]), name)
        return
    if os.geteuid() != 0:
        skip("needs root, for chroot and mounts")
    for tool in ("debootstrap", "setpriv", "unshare", "apt-get"):
        if not shutil.which(tool):
            skip(f"needs {tool}")
    if subprocess.run([*ALONE, "--net", "--", "true"], capture_output=True).returncode != 0:
        skip("cannot create namespaces on this machine")
    # Exit normally on SIGTERM, so that the temporary folder is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    KEPT.mkdir(parents=True, exist_ok=True)
    for argument in sys.argv[1:]:
        stage, program = argument.split("=", 1)
        dockerfile, name = stage.split(":") if ":" in stage else ("Dockerfile", stage)
        stages = parse((HERE / dockerfile).read_text())
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            pathlib.Path(folder).chmod(0o755)
            steps = [(f"{folder}/{other}", other, "build", []) for other in copied_stages(stages[name], stages)]
            steps += [(folder, name, "build", []), (folder, name, "serve", ["--net"])]
            for root, step, what, network in steps:
                if what == "build":
                    print(f"  stage {step} of {dockerfile}" + (f", with {program}" if step == name else ""), flush=True)
                    pathlib.Path(root).mkdir(exist_ok=True)
                    run("cp", "-a", base_of(stages[step]), f"{root}/root")
                again = [sys.executable, __file__, "--inside", what, root, dockerfile, step, program]
                done = subprocess.run([*ALONE, *network, "--", *again])
                if done.returncode != 0:
                    sys.exit(f"  FAILED  stage {step}")


if __name__ == "__main__":
    main()
