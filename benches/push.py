#!/usr/bin/env python3
"""A push against the longer of its check alone and its upload alone.

    benches/push.py [FILE...] [--runs N] [--moto] [--rate MB]

Each run makes the three things one after another, and the ratio is taken within the run. The upload alone is boto3's
(parts of 8 MiB, 4 at once), to the same server: the bucket of `tidegate simulate`, or moto_server with --moto. Of the
push count the steps from the probe to the create; the import is DigitalOcean's. boto3 and moto have to be importable
(tests/sdk/python/requirements.txt, tests/spaces/requirements.txt); TIDEGATE=PATH names the program to measure, which
should be a release build.

A benchmark is no test: it says MISS where a target is missed, and exits with 0.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

TARGET = 1.15
HERE = pathlib.Path(__file__).resolve().parent
TIDEGATE = os.environ.get("TIDEGATE", HERE.parent / "target/release/tidegate")


def wait_for(ready, child):
    for _ in range(600):
        if ready():
            return
        if child.poll() is not None:
            sys.exit("a server ended before it listened")
        time.sleep(0.05)
    sys.exit("a server does not listen")


def simulator(scratch, rate):
    env, plan = scratch / "env", scratch / "plan.toml"
    slow = f'[[bucket]]\nkind = "slow"\nrate = {rate * 1_000_000}\nforever = true\n'
    plan.write_text(slow if rate else "")
    child = subprocess.Popen(
        [TIDEGATE, "simulate", "--env-file", env, "--pace", "0", "--faults", plan],
        stderr=subprocess.DEVNULL,
    )
    wait_for(env.exists, child)
    return child, dict(line.split("=", 1) for line in env.read_text().split())


def moto(scratch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = open(scratch / "moto.log", "w")
    program = shutil.which("moto_server") or pathlib.Path(sys.executable).parent / "moto_server"
    child = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def listens():
        try:
            return urllib.request.urlopen(url + "/moto-api/").status == 200
        except OSError:
            return False

    wait_for(listens, child)
    places = {
        "SPACES_ENDPOINT_URL": url,
        "SPACES_ACCESS_KEY_ID": "id",
        "SPACES_SECRET_ACCESS_KEY": "secret",
        "SPACES_BUCKET": "images",
        "SPACES_REGION": "us-east-1",
    }
    client(places).create_bucket(Bucket="images")
    return child, places


def client(places):
    return boto3.client(
        "s3",
        endpoint_url=places["SPACES_ENDPOINT_URL"],
        region_name=places["SPACES_REGION"],
        aws_access_key_id=places["SPACES_ACCESS_KEY_ID"],
        aws_secret_access_key=places["SPACES_SECRET_ACCESS_KEY"],
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def timed(work):
    began = time.monotonic()
    result = work()
    return time.monotonic() - began, result


def check(file):
    subprocess.run([TIDEGATE, "check", "-q", file], check=True, stdout=subprocess.DEVNULL)


def upload(file, places):
    s3 = client(places)
    parts = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
    s3.upload_file(str(file), places["SPACES_BUCKET"], "alone", Config=parts)
    return s3


def push(file, places, scratch):
    command = [TIDEGATE, "push", file, "--repack", "never", "--region", "nyc3", "--format", "json", "-q"]
    command += ["--state", scratch / "state", "--interval", "100ms"]
    done = subprocess.run(command, stdout=subprocess.PIPE, env={**os.environ, **places})
    document = json.loads(done.stdout)
    if done.returncode != 0:
        sys.exit(f"the push failed: {document['error']}")
    steps = ["probe", "check", "complete", "publish", "create"]
    return sum(document["timings"][f"{step}_ms"] for step in steps) / 1000


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("files", nargs="*", type=pathlib.Path)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--moto", action="store_true")
    arguments.add_argument("--rate", type=int, default=0, help="MB a second that the simulator takes of a part")
    given = arguments.parse_args()
    files = given.files
    if not files:
        made = HERE.parent / "target/peers"
        subprocess.run([HERE / "make-disk.sh", made], check=True)
        files = [made / "disk.raw.gz", made / "disk.qcow2"]
    children = []
    scratch = pathlib.Path(tempfile.mkdtemp())
    try:
        child, places = simulator(scratch, given.rate)
        children.append(child)
        if given.moto:
            child, bucket = moto(scratch)
            children.append(child)
            places = {**places, **bucket}
        print(f"{'file':24} {'check':>7} {'upload':>7} {'push':>7}  ratio (median of {given.runs})")
        for file in files:
            rows = []
            for _ in range(given.runs):
                checked, _ = timed(lambda: check(file))
                uploaded, s3 = timed(lambda: upload(file, places))
                s3.delete_object(Bucket=places["SPACES_BUCKET"], Key="alone")
                pushed = push(file, places, scratch)
                rows.append((checked, uploaded, pushed, pushed / max(checked, uploaded)))
            middle = [statistics.median(column) for column in zip(*rows)]
            verdict = "" if middle[3] <= TARGET else f"  MISS (target {TARGET})"
            print(f"{file.name:24} {middle[0]:6.2f}s {middle[1]:6.2f}s {middle[2]:6.2f}s  {middle[3]:.2f}{verdict}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"peak resident of what ended so far, checks and pushes: {peak / 1024:.1f} MiB")
    finally:
        for child in children:
            child.terminate()
            child.wait()
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
