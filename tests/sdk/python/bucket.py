"""Amazon's client for Python against the simulated bucket.

Usage: bucket.py IMAGE, with the variables of the simulator's env file set.
"""

import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = os.environ["SPACES_BUCKET"]
ENDPOINT = os.environ["SPACES_ENDPOINT_URL"]
MIB = 1 << 20


def client(**other):
    """Without checksums behind bodies, which Spaces does not take, and asking once."""
    settings = {
        "aws_access_key_id": os.environ["SPACES_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["SPACES_SECRET_ACCESS_KEY"],
    } | other
    config = Config(
        s3={"addressing_style": "path"},
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"total_max_attempts": 1},
    )
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name=os.environ["SPACES_REGION"],
        aws_access_key_id=settings["aws_access_key_id"],
        aws_secret_access_key=settings["aws_secret_access_key"],
        config=config,
    )


def refused(code, call):
    """The call has to fail with this code; where there is no body, with this status."""
    try:
        answer = call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError(f"{code} was expected: {answer}")


def anybody(key, method="HEAD"):
    """What somebody without a key sees: the status and the bytes."""
    request = urllib.request.Request(f"{ENDPOINT}/{BUCKET}/{key}", method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def api(method, path, body=None):
    """DigitalOcean's API."""
    request = urllib.request.Request(
        os.environ["DIGITALOCEAN_API_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + os.environ["DIGITALOCEAN_TOKEN"]},
    )
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


s3 = client()

# buckets
assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [BUCKET]
s3.head_bucket(Bucket=BUCKET)
refused("404", lambda: s3.head_bucket(Bucket="elsewhere"))
location = s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"]
assert location == os.environ["SPACES_REGION"], location

# objects
text = b"a body\n" * 1000
key = "tidegate/a b+c~ä&<d>/x.txt"
put = s3.put_object(
    Bucket=BUCKET, Key=key, Body=text, ContentType="text/plain", Metadata={"push": "1"}
)
assert put["ETag"] == f'"{hashlib.md5(text).hexdigest()}"'
head = s3.head_object(Bucket=BUCKET, Key=key)
assert (head["ContentLength"], head["ContentType"]) == (len(text), "text/plain"), head
assert (head["ETag"], head["Metadata"]) == (put["ETag"], {"push": "1"}), head
assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == text
part = s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=3-9")
assert (part["Body"].read(), part["ContentRange"]) == (text[3:10], f"bytes 3-9/{len(text)}")
refused("InvalidRange", lambda: s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=70000-"))
refused("NoSuchKey", lambda: s3.get_object(Bucket=BUCKET, Key="none"))
refused("404", lambda: s3.head_object(Bucket=BUCKET, Key="none"))
refused(
    "BadDigest",
    lambda: s3.put_object(Bucket=BUCKET, Key="x", Body=b"x", ContentMD5="A" * 22 + "=="),
)

# ACLs
s3.put_object(Bucket=BUCKET, Key="plain", Body=b"seen")
assert anybody("plain") == (403, b"") and anybody("none") == (403, b"")
for acl, status, grants in (("public-read", 200, 2), ("private", 403, 1)):
    s3.put_object_acl(Bucket=BUCKET, Key="plain", ACL=acl)
    assert anybody("plain")[0] == status
    assert len(s3.get_object_acl(Bucket=BUCKET, Key="plain")["Grants"]) == grants
s3.put_object(Bucket=BUCKET, Key="public", Body=b"seen", ACL="public-read")
assert anybody("public", "GET") == (200, b"seen")

# lists of objects, with pages
for number in range(5):
    s3.put_object(Bucket=BUCKET, Key=f"page/{number} ü", Body=b"")
pages = s3.get_paginator("list_objects_v2").paginate(
    Bucket=BUCKET, Prefix="page/", PaginationConfig={"PageSize": 2}
)
pages = [[entry["Key"] for entry in page["Contents"]] for page in pages]
assert pages == [["page/0 ü", "page/1 ü"], ["page/2 ü", "page/3 ü"], ["page/4 ü"]], pages
pages = s3.get_paginator("list_objects").paginate(
    Bucket=BUCKET, Prefix="page/", PaginationConfig={"PageSize": 2}
)
pages = [[entry["Key"] for entry in page["Contents"]] for page in pages]
assert pages == [["page/0 ü", "page/1 ü"], ["page/2 ü", "page/3 ü"], ["page/4 ü"]], pages
for operation in ("list_objects", "list_objects_v2"):
    pages = s3.get_paginator(operation).paginate(
        Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    folders = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
    assert folders == ["page/", "tidegate/"], folders
gone = [{"Key": f"page/{number} ü"} for number in range(3)]
deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": gone})["Deleted"]
assert [one["Key"] for one in deleted] == [one["Key"] for one in gone], deleted
refused("NotImplemented", lambda: s3.get_bucket_lifecycle_configuration(Bucket=BUCKET))
for number in range(3, 5):
    s3.delete_object(Bucket=BUCKET, Key=f"page/{number} ü")
s3.delete_object(Bucket=BUCKET, Key="page/none")
assert s3.list_objects_v2(Bucket=BUCKET, Prefix="page/")["KeyCount"] == 0

# multipart
bodies = [bytes([number]) * (5 * MIB) for number in range(3)] + [b"the end"]
made = s3.create_multipart_upload(
    Bucket=BUCKET, Key="large", ACL="public-read", ContentType="application/gzip"
)
upload = {"Bucket": BUCKET, "Key": "large", "UploadId": made["UploadId"]}
parts = [
    {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
    for number, body in enumerate(bodies, 1)
]
assert [part["ETag"] for part in parts] == [f'"{hashlib.md5(b).hexdigest()}"' for b in bodies]
pages = s3.get_paginator("list_parts").paginate(**upload, PaginationConfig={"PageSize": 3})
listed = [(part["PartNumber"], part["ETag"], part["Size"]) for page in pages for part in page["Parts"]]
assert listed == [(n, part["ETag"], len(b)) for n, (part, b) in enumerate(zip(parts, bodies), 1)]


def complete(parts):
    return lambda: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


wrong = [{"PartNumber": 1, "ETag": parts[1]["ETag"]}]
refused("InvalidPart", complete(wrong))
refused("InvalidPart", complete(parts[:3] + [{"PartNumber": 9, "ETag": parts[0]["ETag"]}]))
refused("InvalidPartOrder", complete(parts[::-1]))
s3.upload_part(**upload, PartNumber=5, Body=b"behind a small one")
small = {"PartNumber": 5, "ETag": f'"{hashlib.md5(b"behind a small one").hexdigest()}"'}
refused("EntityTooSmall", complete(parts + [small]))
refused("404", lambda: s3.head_object(Bucket=BUCKET, Key="large"))
whole = hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest()
assert complete(parts)()["ETag"] == f'"{whole}-4"'
assert anybody("large", "GET") == (200, b"".join(bodies))
assert s3.head_object(Bucket=BUCKET, Key="large")["ContentType"] == "application/gzip"
refused("NoSuchUpload", complete(parts))

# lists of uploads, with pages; aborts
uploads = []
for number in range(5):
    made = s3.create_multipart_upload(Bucket=BUCKET, Key=f"open/{number // 2}")
    uploads.append({"Key": made["Key"], "UploadId": made["UploadId"]})
pages = s3.get_paginator("list_multipart_uploads").paginate(
    Bucket=BUCKET, Prefix="open/", PaginationConfig={"PageSize": 2}
)
listed = [{"Key": u["Key"], "UploadId": u["UploadId"]} for page in pages for u in page["Uploads"]]
assert listed == sorted(uploads, key=lambda u: (u["Key"], u["UploadId"])), listed
for upload in uploads:
    s3.abort_multipart_upload(Bucket=BUCKET, **upload)
    refused("NoSuchUpload", lambda: s3.abort_multipart_upload(Bucket=BUCKET, **upload))
    refused("NoSuchUpload", lambda: s3.upload_part(Bucket=BUCKET, **upload, PartNumber=1, Body=b""))
assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)

# URLs that are good for some time
def by_url(url, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def presigned(method="get_object", seconds=60, by=s3, **other):
    return by.generate_presigned_url(
        method, Params={"Bucket": BUCKET, "Key": key} | other, ExpiresIn=seconds
    )


assert by_url(presigned()) == (200, text)
assert by_url(presigned(Key="plain")) == (200, b"seen")
assert by_url(presigned("head_object"), "HEAD") == (200, b"")
assert by_url(presigned(), "HEAD") == (403, b"")
for url, code in (
    (presigned(Key="none"), b"NoSuchKey"),
    (presigned(Bucket="elsewhere"), b"NoSuchBucket"),
    (presigned().replace("x.txt", "y.txt"), b"SignatureDoesNotMatch"),
    (presigned(by=client(aws_secret_access_key="wrong")), b"SignatureDoesNotMatch"),
    (presigned(by=client(aws_access_key_id="DO00000000000000WRONG")), b"InvalidAccessKeyId"),
):
    assert code in by_url(url)[1], (url, by_url(url))
soon = presigned(seconds=1)
time.sleep(2.5)
status, said = by_url(soon)
assert status == 403 and b"AccessDenied" in said and b"Request has expired" in said, said

# whom it refuses
refused("SignatureDoesNotMatch", client(aws_secret_access_key="wrong").list_buckets)
refused("InvalidAccessKeyId", client(aws_access_key_id="DO00000000000000WRONG").list_buckets)

# keys that the API makes
for permission, may_write, may_open in (
    ("read", False, False),
    ("readwrite", True, False),
    ("fullaccess", True, True),
):
    grants = [{"bucket": BUCKET, "permission": permission}]
    made = api("POST", "/v2/spaces/keys", {"name": permission, "grants": grants})["key"]
    own = client(
        aws_access_key_id=made["access_key"], aws_secret_access_key=made["secret_key"]
    )
    assert own.get_object(Bucket=BUCKET, Key="plain")["Body"].read() == b"seen"
    for may, call in (
        (may_write, lambda: own.put_object(Bucket=BUCKET, Key="own", Body=b"")),
        (may_open, lambda: own.put_object_acl(Bucket=BUCKET, Key="own", ACL="public-read")),
        (may_open, lambda: own.put_object(Bucket=BUCKET, Key="own", Body=b"", ACL="public-read")),
        (may_write, lambda: own.delete_object(Bucket=BUCKET, Key="own")),
    ):
        call() if may else refused("AccessDenied", call)
    listed = api("GET", "/v2/spaces/keys")["keys"]
    assert [key["access_key"] for key in listed] == [made["access_key"]]
    assert "secret_key" not in listed[0]
    api("DELETE", f"/v2/spaces/keys/{made['access_key']}")
    refused("InvalidAccessKeyId", lambda: own.get_object(Bucket=BUCKET, Key="plain"))

# an image of the bucket, from its parts to what DigitalOcean makes of it
with open(sys.argv[1], "rb") as file:
    image = file.read()
s3.put_object(Bucket=BUCKET, Key="disk.qcow2.gz", Body=image, ACL="public-read")
body = {"name": "x", "url": f"{ENDPOINT}/{BUCKET}/disk.qcow2.gz", "region": "nyc3"}
made = api("POST", "/v2/images", body)["image"]
for _ in range(100):
    now = api("GET", f"/v2/images/{made['id']}")["image"]
    if now["status"] not in ("NEW", "pending"):
        break
    time.sleep(0.25)
assert now["status"] == "available", now

for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
    s3.delete_object(Bucket=BUCKET, Key=entry["Key"])
assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0

print("boto3: buckets, objects, ACLs, multipart uploads, lists, keys, an import")
