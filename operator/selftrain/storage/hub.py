"""Repositories of the Hugging Face Hub. The only module that imports its client; import it late, it is slow."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi, errors, hf_hub_download

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError

REFUSED_STATUS = frozenset({401, 403})


@dataclass
class HubSource:
    """One repository at one revision. The revision is looked up once, so all files are of the same commit."""

    repo: str
    kind: Literal["model", "dataset"]
    revision: str
    target: Path
    token: str | None

    def names(self) -> list[str]:
        return self._snapshot[1]

    def fetch(self, names: Iterable[str]) -> Path:
        commit, _ = self._snapshot
        with ThreadPoolExecutor(max_workers=4) as pool:
            for _ in pool.map(lambda name: self._download(commit, name), names):
                pass
        return self.target

    @cached_property
    def _snapshot(self) -> tuple[str, list[str]]:
        """Commit and names of its files."""
        hub = HfApi(token=self.token)
        with self._errors():
            info = (hub.model_info if self.kind == "model" else hub.dataset_info)(self.repo, revision=self.revision)
        return str(info.sha), sorted(file.rfilename for file in info.siblings or ())

    def _download(self, commit: str, name: str) -> None:
        with self._errors():
            hf_hub_download(self.repo, name, repo_type=self.kind, revision=commit, local_dir=self.target, token=self.token)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """The one place where the Hub's errors get a meaning."""
        try:
            yield
        except errors.GatedRepoError as error:
            message = "the repository is gated: accept its terms on the Hub and give a token of that account"
            raise PermissionError(message) from error
        except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
            message = f"no repository {self.repo} on the Hub, or it is private and needs a token"
            raise FileNotFoundError(message) from error
        except (errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as error:
            message = f"no such file or revision ({self.revision}) in {self.repo}"
            raise FileNotFoundError(message) from error
        except errors.HfHubHTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            what = f"status {status}"
            if status in REFUSED_STATUS:
                raise PermissionError(what) from error
            raise self._unavailable(what) from error
        # The last is of its HTTP client, of which there are two.
        except (OSError, errors.LocalEntryNotFoundError, errors.HTTPError) as error:  # type: ignore[attr-defined]
            raise self._unavailable(type(error).__name__) from error

    def _unavailable(self, what: str) -> PlatformError:
        message = f"the Hugging Face Hub did not give {self.repo} ({what})"
        return PlatformError(Reason.HUB_UNAVAILABLE, message, "check the network, or copy the files to the store")
