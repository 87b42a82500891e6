"""Clone a git repository into the working directory (kestra.md §1.11, reliability.md §4.4)."""

import asyncio
import contextlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import Text
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.files import confined_directory
from tidewaiter.tasks.gitremote import Remote, bare_url, git_environment, masked
from tidewaiter.tasks.process import process_runner
from tidewaiter.tasks.runner import Command, Runner, Stream

_TOLD = 5
_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")
_ALL_BRANCHES = "+refs/heads/*:refs/remotes/origin/*"


class Clone(Remote):
    """
    Put the files of a repository into the working directory, or into *directory* below it.

    *commit* beats *tag*, which beats *branch*; without any, the repository's own default branch is taken. *depth*
    counts for branches only. Only the wanted branch is fetched unless *cloneAllBranches* is true.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.git.Clone",)

    branch: Dynamic[Text | None] = None
    """The branch, or a tag of that name."""
    directory: Dynamic[Text | None] = None
    """Where to put the files, below the working directory; its top without it."""
    depth: Dynamic[Annotated[int, Field(ge=1)]] = 1
    """How many commits of a branch's history to fetch."""
    commit: Dynamic[Text | None] = None
    """The commit, by 4 to 64 hexadecimal digits."""
    tag: Dynamic[Text | None] = None
    """The tag."""
    clone_all_branches: Dynamic[bool | None] = None
    """Fetch all branches."""
    no_tags: Dynamic[bool] = False
    """Fetch no tags."""
    clone_submodules: Dynamic[bool | None] = None
    """Fetch submodules, too."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tag is not None and self.no_tags is True:
            raise PydanticCustomError("value_error", "noTags cannot be used together with tag")
        return self


async def run_clone(spec: Clone, context: TaskContext) -> Result:
    """
    Do a `Clone` task. The target may hold other files already; those in the repository replace them.

    Raises:
        TaskError: the URL or a reference is not acceptable, the target is a repository already, or git failed.
    """
    url = bare_url(spec, context)
    target = await asyncio.to_thread(confined_directory, context.workdir, spec.directory or ".")
    if (target / ".git").exists() or (target / ".git").is_symlink():
        raise TaskError(f"there is a git repository in '{spec.directory or '.'}' already", "clone into another one")
    with tempfile.TemporaryDirectory(dir=context.scratch, prefix="git-") as private, contextlib.ExitStack() as undo:
        # Without this a half-made repository would stop the next attempt.
        undo.callback(shutil.rmtree, target / ".git", ignore_errors=True)
        env = git_environment(spec, context, Path(private))
        await _clone(spec, _Git(target, env, process_runner(context), context), url)
        undo.pop_all()
    return Result(outputs={"directory": str(target)})


async def _clone(spec: Clone, git: "_Git", url: str) -> None:
    await git("init", "--quiet", "--template=")
    await git("remote", "add", "--", "origin", url)
    name = await _fetch(spec, git)
    if spec.clone_submodules:
        await git("submodule", "update", "--init", "--recursive", "--depth", "1")
    commit = (await git("rev-parse", "HEAD"))[0]
    git.context.log("INFO", f"checked out commit {commit} ({name}) of {masked(url)}")


async def _fetch(spec: Clone, git: "_Git") -> str:
    """Fetch and check out what is wanted; say what it is."""
    if spec.commit:
        return await _fetch_commit(spec, git, spec.commit)
    if spec.tag:
        return await _fetch_tag(spec, git, await _checked(git, spec.tag))
    if spec.branch is None:
        return await _fetch_branch(spec, git, await _default_branch(git))
    branch = await _checked(git, spec.branch.removeprefix("refs/heads/"))
    try:
        return await _fetch_branch(spec, git, branch)
    except TaskError as error:
        if "find remote ref" not in error.message:
            raise
    return await _fetch_tag(spec, git, branch)


async def _fetch_commit(spec: Clone, git: "_Git", commit: str) -> str:
    if not _COMMIT.fullmatch(commit):
        raise TaskError(f"{commit!r} is not a commit id", "write 4 to 64 hexadecimal digits")
    await git("fetch", "--quiet", *_tags(spec), "--", "origin", _ALL_BRANCHES)
    await git("checkout", "--quiet", "--force", "--detach", commit, "--")
    return "detached"


async def _fetch_tag(spec: Clone, git: "_Git", tag: str) -> str:
    others = (_ALL_BRANCHES,) if spec.clone_all_branches else ()
    await git("fetch", "--quiet", "--no-tags", "--", "origin", f"+refs/tags/{tag}:refs/tags/{tag}", *others)
    await git("checkout", "--quiet", "--force", "--detach", f"refs/tags/{tag}", "--")
    return f"tag {tag}"


async def _fetch_branch(spec: Clone, git: "_Git", branch: str) -> str:
    wanted = _ALL_BRANCHES if spec.clone_all_branches else f"+refs/heads/{branch}:refs/remotes/origin/{branch}"
    await git("fetch", "--quiet", "--depth", str(spec.depth), *_tags(spec), "--", "origin", wanted)
    await git("checkout", "--quiet", "--force", "-B", branch, "--track", f"refs/remotes/origin/{branch}", "--")
    return f"branch {branch}"


def _tags(spec: Clone) -> tuple[str, ...]:
    return ("--no-tags",) if spec.no_tags else ()


async def _default_branch(git: "_Git") -> str:
    lines = await git("ls-remote", "--symref", "--", "origin", "HEAD")
    match = re.match(r"ref: refs/heads/(\S+)\tHEAD", lines[0]) if lines else None
    if match is None:
        raise TaskError("the repository has no default branch", "name a branch")
    return await _checked(git, match[1])


async def _checked(git: "_Git", name: str) -> str:
    """Give *name* if it can be the name of a branch or tag, and so is neither an option nor a refspec."""
    if name.startswith("-") or await git.code("check-ref-format", f"refs/heads/{name}"):
        raise TaskError(f"{name!r} is not the name of a branch or tag")
    return name


@dataclass(slots=True)
class _Git:
    """Runs git commands in one directory."""

    directory: Path
    env: Mapping[str, str]
    runner: Runner
    context: TaskContext
    _said: dict[Stream, list[str]] = field(default_factory=dict)

    async def __call__(self, *arguments: str) -> list[str]:
        """Run one command and give the lines of its output; TaskError with git's last words if it fails."""
        if await self.code(*arguments):
            raise _failed(arguments[0], self._said["stderr"][-_TOLD:])
        return self._said["stdout"]

    async def code(self, *arguments: str) -> int:
        """Run one command and give its exit code."""
        self._said = {"stdout": [], "stderr": []}
        command = Command(("git", *arguments), self.directory, self.env)
        return (await self.runner.run(command, self._hear)).code

    def _hear(self, stream: Stream, line: str) -> None:
        self._said[stream].append(line)
        if stream == "stderr":
            self.context.log("DEBUG", masked(line))


def _failed(command: str, said: list[str]) -> TaskError:
    reason = masked(" / ".join(filter(None, map(str.strip, said)))) or "no reason given"
    return TaskError(f"git {command} failed: {reason}", _hint(reason))


def _hint(reason: str) -> str | None:
    hints = {
        "not allowed": "the operator can add the protocol to git.allowed_protocols",
        "could not read Username": "the repository is private or does not exist: give username and password",
        "Authentication failed": "check username and password",
        "Permission denied (publickey)": "give privateKey, and its passphrase if it has one",
        "Host key verification failed": "the host's key has changed; the operator can remove it from cache/known_hosts",
        "certificate": "give trustedCaPemPath",
    }
    return next((hint for sign, hint in hints.items() if sign in reason), None)
