#!/usr/bin/env python3
"""Runs the stages of a Dockerfile without a container engine: in a plain root, by chroot.

    examples/deploy/run-in-plain-root.py server=target/debug/server worker=target/debug/worker
    examples/deploy/run-in-plain-root.py Dockerfile-gpu:worker=target/debug/worker

What is run is read from the Dockerfile, or from the file that is named before the colon: RUN, COPY, ENV, USER, VOLUME,
HEALTHCHECK and ENTRYPOINT of the stage that is named; an instruction that this script does not know is an error. The stages that
build are not run, since they are `cargo build`, which `./test` does; the program that is named here takes the place of what they
leave. Any other stage that files are copied from is run before, in a root of its own.

A base image is a minimal Debian of the same release, made by debootstrap from the mirror in this machine's apt sources and kept in
tools/plain-root of the target folder. Around the program everything is as an engine would have it: a read-only root, volumes, no capabilities,
a network of its own, and the program as process 1. Every mount is made in a namespace of the script's own and ends with it.

Needs root, debootstrap and the release of the base image; says so and ends with 0 where there is less.
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
# The way to packages, where this machine has one of its own.
WAYS = ["http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL"]
# As long as `docker stop` waits where nobody says otherwise.
STOP_S = 10
# Its process ends with the one that started it, and a process id namespace with its first process.
ALONE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
# What a stage's own settings leave to whoever starts it.
GIVEN = {"worker": {"WORKER_TOKEN": "a-token-of-nobody", "BACKEND_ADDR": "http://127.0.0.1:9"}}


class Stage:
    def __init__(self, base):
        self.base = base
        self.instructions = []


def parse(text):
    """The stages, by their names."""
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
    """`--name=value` in front, and what is behind."""
    found = {}
    while match := re.match(r"--([\w-]+)=(\S+)\s+", rest):
        found[match[1]] = match[2]
        rest = rest[match.end() :]
    return found, rest


def seconds(text):
    return float(re.fullmatch(r"(\d+)s", text)[1])


class Image:
    """What a stage says of how it is run."""

    def __init__(self, stage):
        self.env, self.user, self.volumes, self.health, self.entrypoint = {"PATH": PATH}, "0:0", [], None, None
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
            elif word not in ("RUN", "COPY", "EXPOSE"):
                sys.exit(f"this script does not know the Dockerfile's {word}")


def run(*command, **more):
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, **more)


def devices(root):
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "dev")
    for name in DEVICES:
        (root / "dev" / name).touch()
        run("mount", "--bind", f"/dev/{name}", root / "dev" / name)


def build(root, stage, program, stages):
    """RUN and COPY, in their order."""
    devices(root)
    run("mount", "-t", "proc", "proc", root / "proc")
    run("mount", "--bind", "/etc/resolv.conf", root / "etc/resolv.conf")
    env = {"PATH": PATH} | {name: os.environ[name] for name in WAYS if name in os.environ}
    if "PIP_CERT" in os.environ:
        # Whom this machine trusts on its way to them; gone with the devices.
        shutil.copyfile(os.environ["PIP_CERT"], root / "dev/authorities")
        env["PIP_CERT"] = "/dev/authorities"
    user = "0:0"
    for word, rest in stage.instructions:
        if word in ("RUN", "COPY") and user != "0:0":
            sys.exit(f"this script does {word} as root alone, and not behind USER")
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
            if how.get("from") in beside(stage, stages):
                left = root.parent / how["from"] / "root" / source.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(left, target)
                shutil.copymode(left, target)
            elif "from" in how:
                # What the stage that builds says it leaves, and the name it has there.
                left = [shlex.split(rest) for word, rest in stages[how["from"]].instructions if word == "RUN"]
                if not any(source in words for words in left):
                    sys.exit(f"{how['from']} does not leave a {source}")
                shutil.copyfile(program, target)
                target.chmod(0o755)
            else:
                shutil.copyfile(CONTEXT / source, target)
                shutil.copymode(CONTEXT / source, target)
            if "chmod" in how:
                target.chmod(int(how["chmod"], 8))
            print(f"  ok      COPY {rest}", flush=True)


def loopback():
    """A new network has a loopback that is down."""
    with socket.socket() as any_socket:
        request = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def inside(root, image, command):
    """A command as the image's user, who can get nothing that others have."""
    user, group = image.user.split(":")
    fallen = ["--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    return ["chroot", str(root), "setpriv", *fallen, "--", *command]


def check(what, right, log):
    print(f"  {'ok    ' if right else 'FAILED'}  {what}", flush=True)
    if not right:
        sys.exit(log.read_text()[-3000:])


def child_of(parent):
    """The process that another one has started."""
    for _ in range(500):
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                if f"\nPPid:\t{parent}\n" in status.read_text():
                    return int(status.parent.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
        time.sleep(0.01)
    sys.exit("nothing was started")


def serve(root, image, name):
    """Starts the entrypoint, asks until it is healthy, and stops it."""
    loopback()
    run("mount", "--bind", root, root)
    run("mount", "-o", "remount,bind,ro", root)
    devices(root)
    for volume in image.volumes:
        # An engine fills a new volume with what the image has there, owners and all.
        kept = root.parent / "volumes" / volume.strip("/")
        kept.parent.mkdir(parents=True, exist_ok=True)
        run("cp", "-a", root / volume.strip("/"), kept)
        run("mount", "--bind", kept, root / volume.strip("/"))
    # A hub that never answers: weights are not what is tried here, and a worker without them lives and waits.
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
    check("unhealthy before it is started", not healthy(), log)
    unshare = ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc", "--"]
    with log.open("w") as out:
        command = unshare + inside(root, image, image.entrypoint)
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
    check(f"{image.entrypoint[0]} runs as {image.user}, as process 1", found == (user, group, "1"), log)
    check("and without capabilities", int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0, log)
    os.kill(program, signal.SIGTERM)
    began = time.monotonic()
    try:
        code = started.wait(STOP_S)
    except subprocess.TimeoutExpired:
        code = None
    check(f"SIGTERM: it ends with {code} after {time.monotonic() - began:.1f} s", code == 0, log)
    written = [path for path in (root.parent / "volumes").rglob("*") if path.is_file()]
    print(f"          in its volumes: {', '.join(sorted(path.name for path in written)) or 'nothing'}")
    check("what it wrote is its own", all(path.stat().st_uid == int(user) for path in written), log)


def skip(why):
    print(f"  skipped the Dockerfile in a plain root: {why}")
    sys.exit(0)


def debian(stage):
    """The release that the stage begins with, where it is one."""
    return re.fullmatch(r"debian:(\w+)-slim", stage.base)


def beside(stage, stages):
    """The stages that this one takes files from and that do not build."""
    taken = [options(rest)[0].get("from") for word, rest in stage.instructions if word == "COPY"]
    return [name for name in dict.fromkeys(taken) if name and debian(stages[name])]


def base_of(stage):
    """The folder with the stage's base image, or with what comes close to it."""
    image = debian(stage)
    if not image:
        sys.exit(f"this script knows no way to {stage.base}")
    suite = image[1]
    if f"VERSION_CODENAME={suite}\n" not in pathlib.Path("/etc/os-release").read_text():
        skip(f"programs that are built here are not for {suite}")
    root = KEPT / suite
    if not root.exists():
        asked = ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(SITE)", "Created-By: Packages"]
        lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
        mirror = next((line.split()[2] for line in lines if line.startswith(f"{suite} main ")), None)
        if not mirror:
            skip(f"apt's sources have no {suite}")
        shutil.rmtree(KEPT / f"{suite}.new", ignore_errors=True)
        print(f"  making a plain root of {suite}", flush=True)
        command = [*ALONE, "--", "debootstrap", "--variant=minbase", suite, KEPT / f"{suite}.new", mirror]
        with (KEPT / "log").open("w") as out:
            made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if made.returncode != 0:
            sys.exit(f"{(KEPT / 'log').read_text()[-3000:]}\ndebootstrap ended with {made.returncode}")
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
        skip("it needs root, for chroot and mounts")
    for tool in ("debootstrap", "setpriv", "unshare", "apt-get"):
        if not shutil.which(tool):
            skip(f"it needs {tool}")
    if subprocess.run([*ALONE, "--net", "--", "true"], capture_output=True).returncode != 0:
        skip("this machine does not let root make namespaces")
    # So that the folder goes when somebody ends this script.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    KEPT.mkdir(parents=True, exist_ok=True)
    for argument in sys.argv[1:]:
        stage, program = argument.split("=", 1)
        dockerfile, name = stage.split(":") if ":" in stage else ("Dockerfile", stage)
        stages = parse((HERE / dockerfile).read_text())
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            pathlib.Path(folder).chmod(0o755)
            steps = [(f"{folder}/{other}", other, "build", []) for other in beside(stages[name], stages)]
            steps += [(folder, name, "build", []), (folder, name, "serve", ["--net"])]
            for root, step, what, network in steps:
                if what == "build":
                    print(f"  the stage {step} of {dockerfile}" + (f", with {program}" if step == name else ""), flush=True)
                    pathlib.Path(root).mkdir(exist_ok=True)
                    run("cp", "-a", base_of(stages[step]), f"{root}/root")
                again = [sys.executable, __file__, "--inside", what, root, dockerfile, step, program]
                done = subprocess.run([*ALONE, *network, "--", *again])
                if done.returncode != 0:
                    sys.exit(f"  FAILED  the stage {step}")


if __name__ == "__main__":
    main()
