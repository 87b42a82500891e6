"""The tasks on object stores, against SeaweedFS."""

import base64
import hashlib
import json
import uuid
from types import SimpleNamespace
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from tidewaiter.config.errors import TaskError, TidewaiterError
from tidewaiter.config.spec import OneOf, TypedSpec, concrete
from tidewaiter.tasks.lines import in_steps
from tidewaiter.tasks.s3 import S3
from tidewaiter.tasks.s3.downloads import MoveTarget, _checksum
from tidewaiter.tasks.s3.listing import MAX_LISTED

ANY: TypeAdapter[TypedSpec] = TypeAdapter(Annotated[TypedSpec, OneOf([kind.spec for kind in S3])])


@pytest.fixture(name="lab", params=["aws.s3", "minio"])
def _lab(request, make_context, clients, connection, bucket_name, s3):
    """Runs tasks of one family on a fresh bucket, and looks at the bucket from outside."""
    endpoint = "endpointOverride" if request.param == "aws.s3" else "endpoint"
    own = {
        "region": "us-east-1",
        "accessKeyId": connection.access_key_id,
        "secretKeyId": connection.secret_key_id,
        endpoint: connection.endpoint_url,
    }
    context = make_context(stores=clients.plain)

    def spec(name, **properties):
        given = {"id": "t", "type": f"{request.param}.{name}", **own, **properties}
        return ANY.validate_python(given, by_name=False)

    async def run(name, **properties):
        if name != "Copy":
            properties = {"bucket": bucket_name, **properties}
        made = spec(name, **properties)
        (kind,) = [kind for kind in S3 if kind.spec is type(made)]
        return dict((await kind.run(made, context)).outputs)

    async def put(key, content="x", **properties):
        await s3.put_object(Bucket=bucket_name, Key=key, Body=content.encode(), **properties)

    async def keys(prefix=""):
        listed = await s3.list_objects_v2(Bucket=bucket_name, Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]

    async def text(key):
        return (await (await s3.get_object(Bucket=bucket_name, Key=key))["Body"].read()).decode()

    aws = request.param == "aws.s3"
    return SimpleNamespace(run=run, put=put, keys=keys, text=text, spec=spec, aws=aws, bucket=bucket_name, s3=s3)


AWS_ONLY = pytest.mark.parametrize("lab", ["aws.s3"], indirect=True)


class TestUpload:
    async def test_one(self, lab, files):
        """A stored file goes to the key, with what describes it."""
        uri = files.put("a;b\n", "manifest.json")
        outputs = await lab.run(
            "Upload", key="in/a.csv", contentType="text/csv", metadata={"Team": "harbour"}, **{"from": uri}
        )
        told = await lab.s3.head_object(Bucket=lab.bucket, Key="in/a.csv")

        assert (outputs["bucket"], outputs["key"]) == (lab.bucket, "in/a.csv")
        assert outputs["eTag"] == hashlib.md5(b"a;b\n").hexdigest()
        assert (told["ContentType"], told["Metadata"]) == ("text/csv", {"team": "harbour"})

    async def test_several(self, lab, files):
        """A list goes to a folder, each file under its name; JSON text says the same."""
        uris = [files.put("1", "1.yml"), files.put("2", "2.yml")]
        for at, source in enumerate((uris, json.dumps(uris))):
            outputs = await lab.run("Upload", key=f"many{at}/", **{"from": source})
            assert (await lab.keys(f"many{at}/"), list(outputs["files"])) == (
                [f"many{at}/1.yml", f"many{at}/2.yml"],
                ["1.yml", "2.yml"],
            )
            assert outputs["files"]["1.yml"]["key"] == f"many{at}/1.yml"

    async def test_named(self, lab, files):
        """A map names the objects, folders included."""
        named = {"deep/er/a.yml": files.put("1"), "b.yml": files.put("2")}
        outputs = await lab.run("Upload", key="base", **{"from": named})

        assert sorted(outputs["files"]) == ["b.yml", "deep/er/a.yml"]
        assert [await lab.text(f"base/{name}") for name in named] == ["1", "2"]

    async def test_a_list_of_one(self, lab, files):
        """It is that one, unless the key is plainly a folder."""
        uri = files.put("1", "1.yml")
        await lab.run("Upload", key="one.yml", **{"from": [uri]})
        await lab.run("Upload", key="one/", **{"from": [uri]})

        assert sorted(await lab.keys("one")) == ["one.yml", "one/1.yml"]

    @pytest.mark.parametrize(
        ("source", "reason"),
        [([], "no files to upload"), ({}, "no files to upload"), ("[]", "no files to upload"), ("[", "neither a URI"),
         ("kestra:///nothing", "there is no file"), (["kestra:///a/x", "kestra:///b/x"], "same name")],
    )  # fmt: skip
    async def test_refused(self, lab, source, reason):
        """What cannot be uploaded is said before anything is."""
        with pytest.raises(TaskError, match=reason):
            await lab.run("Upload", key="k/", **{"from": source})

    async def test_in_parts(self, lab, files):
        """A file of more than a few parts arrives whole; a checksum of the whole is no obstacle."""
        uri = files.put("")
        content = bytes(range(256)) * (40 * 4096)
        files.path(uri).write_bytes(content)
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        more = {"checksumAlgorithm": "SHA256", "checksum": checksum} if lab.aws else {}
        await lab.run("Upload", key="big", **{"from": uri}, **more)
        found = await (await lab.s3.get_object(Bucket=lab.bucket, Key="big"))["Body"].read()

        assert hashlib.sha256(found).digest() == hashlib.sha256(content).digest()

    @AWS_ONLY
    async def test_headers(self, lab, files):
        """What S3 knows of an object can be said; tags, too."""
        uri = files.put("x")
        more = {
            "cacheControl": "no-store",
            "contentLanguage": "de",
            "tagging": {"a b": "c&d"},
            "checksumAlgorithm": "CRC32_C",
        }
        await lab.run("Upload", key="k", **{"from": uri}, **more)
        told = await lab.s3.head_object(Bucket=lab.bucket, Key="k")
        tags = await lab.s3.get_object_tagging(Bucket=lab.bucket, Key="k")

        assert (told["CacheControl"], told["ContentLanguage"]) == ("no-store", "de")
        assert tags["TagSet"] == [{"Key": "a b", "Value": "c&d"}]


class TestDownload:
    async def test_one(self, lab, files):
        """The object becomes a file, named as the object is, and is described."""
        await lab.put("in/größe.csv", "a;b\n", ContentType="text/csv", Metadata={"team": "harbour"})
        outputs = await lab.run("Download", key="in/größe.csv")

        assert (files.text(outputs["uri"]), outputs["contentLength"], outputs["contentType"]) == (
            "a;b\n",
            4,
            "text/csv",
        )
        assert (outputs["metadata"], outputs["eTag"]) == ({"team": "harbour"}, hashlib.md5(b"a;b\n").hexdigest())

    async def test_nothing_there(self, lab):
        """An object that is not there is an error that names it."""
        with pytest.raises(TidewaiterError, match="in/none"):
            await lab.run("Download", key="in/none")

    @pytest.mark.parametrize("key", ["..up", ".hidden", "-rf", "a\\b", "$(x) ;y", "x" * 200])
    async def test_hostile_names(self, lab, files, key):
        """A key never says where a file goes."""
        await lab.put(key)
        outputs = await lab.run("Download", key=key)
        assert files.text(outputs["uri"]) == "x"

    @AWS_ONLY
    async def test_several(self, lab, files, log):
        """A selection gives files by key, not more than it says."""
        for key in ("in/a.txt", "in/b.json", "in/sub/c.txt", "in/sub/"):
            await lab.put(key, key)
        everything = await lab.run("Download", prefix="in/")
        direct = await lab.run("Download", prefix="in/", delimiter="/")
        texts = await lab.run("Download", regexp="in/.*[.]txt")
        few = await lab.run("Download", prefix="in/", maxFiles=1)

        assert sorted(everything["files"]) == ["in/a.txt", "in/b.json", "in/sub/c.txt"]
        assert sorted(direct["files"]) == ["in/a.txt", "in/b.json"]
        assert {key: files.text(file["uri"]) for key, file in texts["files"].items()} == {
            "in/a.txt": "in/a.txt",
            "in/sub/c.txt": "in/sub/c.txt",
        }
        assert (list(few["files"]), "maxFiles allows (1)" in log.at("WARN")[-1]) == (["in/a.txt"], True)

    @AWS_ONLY
    async def test_neither_key_nor_selection(self, lab):
        """What to download must be said."""
        with pytest.raises(TaskError, match="neither a key nor a selection"):
            await lab.run("Download")

    @AWS_ONLY
    async def test_checksum(self, lab, files):
        """The checksum that was given at the upload is compared and told; without one there is nothing to compare."""
        checksum = base64.b64encode(hashlib.sha256(b"a;b\n").digest()).decode()
        uri = files.put("a;b\n")
        await lab.run("Upload", key="with", checksumAlgorithm="SHA256", checksum=checksum, **{"from": uri})
        outputs = await lab.run("Download", key="with", validateChecksum=True)
        assert (outputs["checksumAlgorithm"], outputs["checksumValue"]) == ("SHA256", checksum)

    @AWS_ONLY
    async def test_an_old_version(self, lab, files):
        """One version of an object can be named."""
        await lab.s3.put_bucket_versioning(Bucket=lab.bucket, VersioningConfiguration={"Status": "Enabled"})
        first = (await lab.run("Upload", key="k", **{"from": files.put("1")}))["versionId"]
        await lab.run("Upload", key="k", **{"from": files.put("2")})
        outputs = await lab.run("Download", key="k", versionId=first)

        assert (files.text(outputs["uri"]), outputs["versionId"]) == ("1", first)
        for version in (await lab.s3.list_object_versions(Bucket=lab.bucket)).get("Versions", []):
            await lab.s3.delete_object(Bucket=lab.bucket, Key="k", VersionId=version["VersionId"])


class TestDownloads:
    @pytest.mark.parametrize(("action", "left"), [("NONE", True), ("DELETE", False)])
    async def test_action(self, lab, files, action, left):
        """Every object becomes a file, then the action is done; folder markers are left alone."""
        for key in ("in/a", "in/b", "in/"):
            await lab.put(key, key)
        outputs = await lab.run("Downloads", prefix="in/", action=action)

        assert {key: files.text(uri) for key, uri in outputs["outputFiles"].items()} == {"in/a": "in/a", "in/b": "in/b"}
        assert [(item["key"], item["uri"], item["size"]) for item in outputs["objects"]] == [
            (key, uri, 4) for key, uri in outputs["outputFiles"].items()
        ]
        assert outputs["totalSize"] == 8
        assert await lab.keys() == (["in/", "in/a", "in/b"] if left else ["in/"])

    async def test_move(self, lab):
        """Objects go to the folder, each under its name."""
        for key in ("in/a", "in/deep/b"):
            await lab.put(key, key)
        await lab.run("Downloads", prefix="in/", action="MOVE", moveTo={"key": "/done/"})
        assert (await lab.keys("in/"), await lab.text("/done/a"), await lab.text("/done/b")) == (
            [],
            "in/a",
            "in/deep/b",
        )

    async def test_move_replaces_nothing(self, lab):
        """Where another content is already, the task fails and the object stays; its own copy is no obstacle."""
        await lab.put("in/a", "new")
        await lab.put("done/a", "old")
        with pytest.raises(TidewaiterError, match="there is an object already"):
            await lab.run("Downloads", prefix="in/", action="MOVE", moveTo={"key": "done"})
        assert (await lab.text("in/a"), await lab.text("done/a")) == ("new", "old")
        await lab.put("done/a", "new")
        await lab.run("Downloads", prefix="in/", action="MOVE", moveTo={"key": "done"})
        assert await lab.keys() == ["done/a"]

    async def test_move_onto_itself(self, lab):
        """That would delete the object."""
        await lab.put("in/a")
        with pytest.raises(TidewaiterError, match="another destination"):
            await lab.run("Downloads", prefix="in/", action="MOVE", moveTo={"key": "in"})
        assert await lab.keys() == ["in/a"]

    def test_move_needs_a_destination(self, lab):
        """Without one the flow is refused."""
        with pytest.raises(ValidationError, match="needs a destination"):
            lab.spec("Downloads", bucket="b", action="MOVE")


class TestList:
    async def test_objects(self, lab):
        """Objects are shown as the trigger shows them, in order."""
        for key in ("in/b", "in/a", "in/sub/", "other"):
            await lab.put(key)
        objects = (await lab.run("List", prefix="in/"))["objects"]

        assert [item["key"] for item in objects] == ["in/a", "in/b", "in/sub/"]
        assert (objects[0]["etag"], objects[0]["size"]) == (hashlib.md5(b"x").hexdigest(), 1)
        assert objects[0]["lastModified"].endswith("Z")

    @pytest.mark.parametrize(
        ("selection", "expected"),
        [
            ({"filter": "FILES"}, ["a.csv", "sub/b.csv", "z"]),
            ({"filter": "DIRECTORY"}, ["sub/"]),
            ({"delimiter": "/"}, ["a.csv", "z"]),
            ({"marker": "a.csv"}, ["sub/", "sub/b.csv", "z"]),
            ({"regexp": "(?<name>.*)[.]csv"}, ["a.csv", "sub/b.csv"]),
            ({"prefix": "none"}, []),
        ],
    )
    async def test_selection(self, lab, selection, expected):
        """By kind, level, place and name."""
        for key in ("a.csv", "sub/", "sub/b.csv", "z"):
            await lab.put(key)
        assert [item["key"] for item in (await lab.run("List", **selection))["objects"]] == expected

    @AWS_ONLY
    async def test_limits_count_what_matches(self, lab, log):
        """What a rule leaves out takes no place (kestra.md D4); that there is more is said."""
        for number in range(5):
            await lab.put(f"{number}.csv")
            await lab.put(f"{number}.bad")
        for limit in ("maxKeys", "maxFiles"):
            objects = (await lab.run("List", regexp=".*csv", **{limit: 3}))["objects"]
            assert [item["key"] for item in objects] == ["0.csv", "1.csv", "2.csv"]
            assert f"{limit} allows (3)" in log.at("WARN")[-1]

    async def test_old_words_of_minio(self, lab):
        """``startAfter`` and ``recursive`` say what ``marker`` and ``delimiter`` do."""
        for key in ("a", "b", "sub/c"):
            await lab.put(key)
        words = {} if lab.aws else {"startAfter": "a", "recursive": False, "includeVersions": True}
        keys = [item["key"] for item in (await lab.run("List", **words))["objects"]]
        assert keys == (["a", "b", "sub/c"] if lab.aws else ["b"])

    async def test_a_wrong_pattern(self, lab):
        """It is an error of the task."""
        with pytest.raises(TaskError, match="regexp"):
            await lab.run("List", regexp="(")

    def test_bound(self):
        """Objects become outputs, so they are bounded in any case."""
        assert MAX_LISTED <= 10_000


class TestCopyAndDelete:
    @pytest.mark.parametrize("delete", [False, True])
    async def test_copy(self, lab, delete):
        """The copy replaces what is there; the source stays unless it is to be deleted."""
        await lab.put("from", "new")
        await lab.put("to", "old")
        source = {"bucket": lab.bucket, "key": "from"}
        outputs = await lab.run("Copy", to={"key": "to"}, delete=delete, **{"from": source})

        assert (outputs["bucket"], outputs["key"], outputs["eTag"]) == (
            lab.bucket,
            "to",
            hashlib.md5(b"new").hexdigest(),
        )
        assert (await lab.text("to"), await lab.keys("from")) == ("new", [] if delete else ["from"])

    async def test_copy_onto_itself(self, lab):
        """With deletion nothing would be left, so that is refused."""
        await lab.put("k")
        with pytest.raises(TaskError, match="onto itself"):
            await lab.run("Copy", delete=True, **{"from": {"bucket": lab.bucket, "key": "k"}})
        assert await lab.keys() == ["k"]

    async def test_copy_of_nothing(self, lab):
        """The error names the source."""
        with pytest.raises(TidewaiterError, match="none"):
            await lab.run("Copy", to={"key": "to"}, **{"from": {"bucket": lab.bucket, "key": "none"}})

    async def test_delete(self, lab):
        """What is deleted is gone, and deleting it again is no error."""
        await lab.put("k")
        for _ in range(2):
            outputs = await lab.run("Delete", key="k")
            assert (outputs["bucket"], outputs["key"], outputs["deleteMarker"]) == (lab.bucket, "k", None)
        assert await lab.keys() == []

    @pytest.mark.parametrize("concurrent", [None, 3])
    async def test_delete_list(self, lab, concurrent):
        """All that matches is deleted and counted."""
        for number in range(7):
            await lab.put(f"in/{number}", "12")
        await lab.put("out")
        more = {"concurrent": concurrent} if concurrent else {}
        assert await lab.run("DeleteList", prefix="in/", **more) == {"count": 7, "size": 14}
        assert await lab.keys() == ["out"]

    @AWS_ONLY
    async def test_delete_list_is_limited(self, lab):
        """Not more than maxKeys are deleted."""
        for number in range(5):
            await lab.put(f"{number}")
        assert await lab.run("DeleteList", maxKeys=3, concurrent=2) == {"count": 3, "size": 3}
        assert await lab.keys() == ["3", "4"]

    async def test_delete_list_of_nothing(self, lab):
        """It is an error only if it is to be."""
        assert await lab.run("DeleteList", prefix="none") == {"count": 0, "size": 0}
        with pytest.raises(TaskError, match="errorOnEmpty"):
            await lab.run("DeleteList", prefix="none", errorOnEmpty=True)


async def test_create_bucket(lab):
    """A new bucket can be used at once; on MinIO one that is there is no error."""
    name = f"test-{uuid.uuid4()}"
    assert (await lab.run("CreateBucket", bucket=name))["bucket"] == name
    await lab.s3.head_bucket(Bucket=name)
    if lab.aws:
        with pytest.raises(TidewaiterError, match=name):
            await lab.run("CreateBucket", bucket=name)
    else:
        await lab.run("CreateBucket", bucket=name)
    await lab.s3.delete_bucket(Bucket=name)


async def test_wrong_credentials(lab):
    """They are refused, and shown nowhere."""
    with pytest.raises(TidewaiterError) as caught:
        await lab.run("List", secretKeyId="n0t-the-secret")
    assert "n0t-the-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("checksums", "compared"),
    [
        ({"SHA256": "x4KBu7VbZMPAMeW3+RlWQwHdSIa1tCO0BFgXwNAYBxU="}, None),
        ({"SHA1": "EfatjsUqLYSuq9w3f+TDCG5AQmA="}, None),
        ({"CRC32": "jNyUgw=="}, None),
        ({"CRC32C": "AAAAAA==", "SHA256": "AAAA-2"}, {}),
        ({}, {}),
    ],
)
async def test_checksums(tmp_path, checksums, compared):
    """What can be compared is, and a difference is an error; a checksum of parts or of another kind cannot be."""
    (tmp_path / "f").write_bytes(b"x")
    work = in_steps(_checksum(tmp_path / "f", "k", SimpleNamespace(checksums=checksums)))
    if compared is None:
        with pytest.raises(TaskError, match="upload it again"):
            await work
    else:
        assert await work == compared


@pytest.mark.parametrize(("folder", "expected"), [("done", "done/x"), ("/done//", "/done/x"), ("", "x")])
def test_keys_of_moved_objects(folder, expected):
    """The folder may end with a slash or not (kestra.md Q3)."""
    assert MoveTarget(key=folder).key_of("in/deep/x") == expected


def test_templates():
    """Every property may be an expression, nested ones, too."""
    given = {
        "id": "t",
        "type": "aws.s3.Copy",
        "from": {"bucket": "{{ b }}", "key": "{{ k }}"},
        "to": {"key": "{{ t }}"},
    }
    spec = concrete(ANY.validate_python(given, by_name=False), lambda source: source.strip("{} ") * 2)
    assert (spec.from_.bucket, spec.from_.key, spec.to.key) == ("bb", "kk", "tt")
