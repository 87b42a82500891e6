"""Cloning git repositories, from real local repositories and against hostile ones."""

import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.context import GitSettings, TaskContext
from tidewaiter.tasks.git import Clone, run_clone
from tidewaiter.tasks.gitremote import bare_url, git_environment, masked

LOCAL = GitSettings(allowed_protocols=("https", "ssh", "file"))
IDENTITY = {f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(directory: Path, *arguments: str) -> str:
    """Run git as the owner of a repository."""
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", **IDENTITY}
    command = ("git", "-c", "protocol.file.allow=always", *arguments)
    return subprocess.check_output(command, cwd=directory, env=env, text=True, stderr=subprocess.STDOUT).strip()


def commit(directory: Path, **files: str) -> str:
    for name, content in files.items():
        (directory / name).write_text(content)
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--allow-empty", "-m", "change")
    return git(directory, "rev-parse", "HEAD")


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    """A repository with two commits on ``trunk``, the first tagged ``v1``, and a branch ``feature``."""
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch", "trunk")
    commit(path, file="one")
    git(path, "tag", "v1")
    commit(path, file="two", other="other")
    git(path, "checkout", "--quiet", "-b", "feature")
    commit(path, file="feature")
    git(path, "checkout", "--quiet", "trunk")
    return path


@pytest.fixture(name="context")
def _context(make_context: Callable[..., TaskContext]) -> TaskContext:
    return make_context(git=LOCAL)


def clone(url: object, **properties: Any) -> Clone:
    given = {"id": "t", "type": "io.kestra.plugin.git.Clone", "url": str(url), **properties}
    return Clone.model_validate(given, by_name=False)


class TestWhatIsCheckedOut:
    async def test_default_branch(self, context, repository, log):
        """Without a branch the repository's own default is taken, shallowly, and the log says which commit it was."""
        result = await run_clone(clone(repository), context)

        assert result.outputs == {"directory": str(context.workdir)}
        assert (context.workdir / "file").read_text() == "two"
        assert git(context.workdir, "rev-list", "--count", "HEAD") == "1"
        assert git(repository, "rev-parse", "trunk") in log.at("INFO")[0]

    @pytest.mark.parametrize(
        ("given", "content", "head"),
        [
            ({"branch": "feature"}, "feature", "feature"),
            ({"branch": "refs/heads/feature"}, "feature", "feature"),
            ({"branch": "v1"}, "one", "HEAD"),
            ({"tag": "v1"}, "one", "HEAD"),
            ({"branch": "trunk", "depth": 2, "cloneAllBranches": True}, "two", "trunk"),
        ],
    )
    async def test_branch_and_tag(self, context, repository, given, content, head):
        """A branch is checked out as such, a tag detached; a tag may be named as the branch."""
        await run_clone(clone(repository, **given), context)

        assert (context.workdir / "file").read_text() == content
        assert git(context.workdir, "rev-parse", "--abbrev-ref", "HEAD") == head

    async def test_commit(self, context, repository):
        """A commit beats a branch and may be abbreviated."""
        first = git(repository, "rev-parse", "v1")
        await run_clone(clone(repository, commit=first[:12], branch="feature"), context)

        assert git(context.workdir, "rev-parse", "HEAD") == first

    @pytest.mark.parametrize(
        "given",
        [
            {"branch": "gone"},
            {"tag": "gone"},
            {"commit": "0123456789"},
            {"commit": "HEAD"},
            {"commit": "--all"},
            {"branch": "--upload-pack=x"},
            {"tag": "-f"},
            {"branch": "a:b"},
            {"branch": "a..b"},
            {"tag": "*"},
        ],
    )
    async def test_references_that_do_not_exist_or_could_not(self, context, repository, given):
        """A missing or impossible reference is an error, and leaves no half-made repository."""
        with pytest.raises(TaskError):
            await run_clone(clone(repository, **given), context)

        assert not (context.workdir / ".git").exists()

    async def test_retry_after_failure(self, context, repository):
        """What failed can be tried again in the same directory."""
        with pytest.raises(TaskError):
            await run_clone(clone(repository, branch="gone"), context)

        assert (await run_clone(clone(repository), context)).state == "SUCCESS"

    async def test_submodules(self, context, repository, tmp_path):
        """Submodules come only when asked for."""
        outer = tmp_path / "outer"
        git(tmp_path, "init", "--quiet", str(outer))
        git(outer, "submodule", "--quiet", "add", str(repository), "inner")
        commit(outer)
        await run_clone(clone(outer, directory="without"), context)
        await run_clone(clone(outer, directory="with", cloneSubmodules=True), context)

        assert not (context.workdir / "without/inner/file").exists()
        assert (context.workdir / "with/inner/file").read_text() == "two"


class TestWhere:
    async def test_directory(self, context, repository):
        """The repository can go into a directory below the working directory."""
        result = await run_clone(clone(repository, directory="a/b"), context)

        assert result.outputs["directory"] == str(context.workdir / "a/b")
        assert (context.workdir / "a/b/file").read_text() == "two"

    async def test_not_empty(self, context, repository):
        """Files that are there already stay, those of the repository replace their namesakes."""
        (context.workdir / "file").write_text("old")
        (context.workdir / "data.csv").write_text("kept")
        await run_clone(clone(repository), context)

        assert [(context.workdir / name).read_text() for name in ("file", "data.csv")] == ["two", "kept"]

    @pytest.mark.parametrize("directory", ["../out", "/tmp/out", "link"])
    async def test_outside(self, context, repository, tmp_path, directory):
        """A directory outside the working directory is refused."""
        (context.workdir / "link").symlink_to(tmp_path)
        with pytest.raises(TaskError, match="directory"):
            await run_clone(clone(repository, directory=directory), context)

    async def test_configuration_planted_in_the_target(self, context, repository, tmp_path):
        """A .git that an uploader put there is not used: its configuration could run programs."""
        (context.workdir / ".git").mkdir()
        (context.workdir / ".git" / "config").write_text(f"[core]\nfsmonitor = touch {tmp_path}/hacked\n")
        with pytest.raises(TaskError, match="already"):
            await run_clone(clone(repository), context)

        assert not (tmp_path / "hacked").exists()


class TestHostile:
    @pytest.mark.parametrize(
        "url",
        ["--upload-pack=touch {}/hacked", "ext::sh -c touch% {}/hacked", "fd::17", "", "https://x/\ny", "a b::c"],
    )
    async def test_urls_that_are_none(self, context, tmp_path, url):
        """What git would take for an option or a helper to run is refused."""
        with pytest.raises(TaskError, match="no URL"):
            await run_clone(clone(url.format(tmp_path)), context)

        assert not (tmp_path / "hacked").exists()

    @pytest.mark.parametrize(
        "url", ["/some/path", "file:///some/path", "http://host/x", "git://host/x", "./x", "FTP://x/y"]
    )
    async def test_protocols_not_allowed(self, make_context, url):
        """Only the operator's protocols may be used; the error says which and how to change it."""
        with pytest.raises(TaskError, match=r"https, ssh.*git\.allowed_protocols"):
            await run_clone(clone(url), make_context())

    async def test_instead_of(self, make_context, repository, tmp_path):
        """The operator's file can lead a URL elsewhere, if that protocol is allowed, too."""
        config = tmp_path / "gitconfig"
        config.write_text(f'[url "{repository}"]\n\tinsteadOf = https://git.invalid/team/project\n')
        wanted = clone("https://git.invalid/team/project")
        with pytest.raises(TaskError, match="allowed_protocols"):
            await run_clone(wanted, make_context(git=GitSettings(config_file=config)))

        allowed = GitSettings(allowed_protocols=("https", "file"), config_file=config)
        assert (await run_clone(wanted, make_context(git=allowed))).state == "SUCCESS"

    async def test_host_configuration_is_not_read(self, context, repository, tmp_path, monkeypatch):
        """Neither the daemon's home nor its variables configure git."""
        (tmp_path / ".gitconfig").write_text(f"[core]\nfsmonitor = touch {tmp_path}/hacked\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
        await run_clone(clone(repository), context)

        assert not (tmp_path / "hacked").exists()
        assert not (tmp_path / "elsewhere").exists()

    async def test_links_in_a_repository(self, context, repository):
        """A symbolic link in a repository arrives as a file that holds its target."""
        (repository / "link").symlink_to("/etc/passwd")
        commit(repository)
        await run_clone(clone(repository), context)

        assert not (context.workdir / "link").is_symlink()
        assert (context.workdir / "link").read_text() == "/etc/passwd"

    @pytest.mark.parametrize(
        "name",
        [
            "core.sshCommand",
            "core.hooksPath",
            "url.x.insteadOf",
            "include.path",
            "alias.x",
            "credential.helper",
            "protocol.ext.allow",
            "filter.x.smudge",
            "CORE.fsmonitor",
        ],
    )
    async def test_configuration_by_the_flow(self, context, repository, name):
        """A flow cannot set configuration that runs programs or opens protocols."""
        with pytest.raises(TaskError, match=name):
            await run_clone(clone(repository, gitConfig={name: "x"}), context)

    async def test_harmless_configuration_by_the_flow(self, context, repository):
        """Other configuration counts."""
        commit(repository, text="a\nb\n")
        await run_clone(clone(repository, gitConfig={"core.autocrlf": True}), context)

        assert (context.workdir / "text").read_bytes() == b"a\r\nb\r\n"

    def test_tag_without_tags(self):
        """A tag and noTags contradict each other."""
        with pytest.raises(ValidationError, match="noTags"):
            clone("https://x/y", tag="v1", noTags=True)


class _Demanding(http.server.BaseHTTPRequestHandler):
    """A git server that wants a password and notes what it is sent."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(name="server")
def _server() -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    handler = type("Handler", (_Demanding,), {"seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


class TestCredentials:
    @pytest.fixture(name="context")
    def _context(self, make_context: Callable[..., TaskContext]) -> TaskContext:
        return make_context(git=GitSettings(allowed_protocols=("http",)))

    @pytest.mark.parametrize("in_url", [True, False])
    async def test_password_reaches_the_server(self, context, server, log, in_url):
        """User and password are sent to the server, wherever they are written, and are in no message."""
        host, seen = server
        given = {} if in_url else {"username": "me", "password": "s3cr3t"}
        url = f"http://me:s3cr3t@{host}/x" if in_url else f"http://{host}/x"
        with pytest.raises(TaskError) as error:
            await run_clone(clone(url, **given), context)

        assert "Basic bWU6czNjcjN0" in seen
        assert "s3cr3t" not in f"{error.value}{log.records}"
        assert not list(context.scratch.rglob("*password*"))

    async def test_no_password(self, context, server):
        """Without a password the error says that one is needed."""
        with pytest.raises(TaskError, match="give username and password"):
            await run_clone(clone(f"http://{server[0]}/x"), context)

    def test_nothing_secret_in_arguments_or_environment(self, context, tmp_path):
        """The environment names files that only the owner can read."""
        spec = clone("https://u:pw-1@host/x", privateKey="key-1", passphrase="phrase-1")
        (tmp_path / "private").mkdir()
        env = git_environment(spec, context, tmp_path / "private")

        assert not [value for value in env.values() if "pw-1" in value or "key-1" in value or "phrase-1" in value]
        assert {file.stat().st_mode & 0o077 for file in (tmp_path / "private").iterdir()} == {0}

    @pytest.mark.parametrize(
        ("prompt", "answer"),
        [
            ("Username for 'https://host:8443': ", "u"),
            ("Password for 'https://u@host:8443': ", "p'w"),
            ("Password for 'https://u@evil.invalid': ", ""),
            ("Password for 'https://host:8443.evil.invalid': ", ""),
            ("Password for 'https://host': ", ""),
        ],
    )
    def test_password_is_for_its_host_only(self, context, tmp_path, prompt, answer):
        """A submodule or a redirect to another host does not get the password."""
        env = git_environment(clone("https://u:p%27w@host:8443/x"), context, tmp_path)
        asked = subprocess.run((env["GIT_ASKPASS"], prompt), capture_output=True, text=True, check=False)

        assert asked.stdout == answer

    def test_url_without_credentials(self, make_context):
        """Credentials are taken out of the URL that git is given."""
        assert bare_url(clone("https://u:p@host:1/x?y"), make_context()) == "https://host:1/x?y"
        assert bare_url(clone("git@host:team/x.git"), make_context()) == "git@host:team/x.git"

    def test_masked(self):
        """A message shows no credentials."""
        assert masked("fatal: 'https://u:p@host/x' and ssh://git@h/") == "fatal: 'https://***@host/x' and ssh://***@h/"
