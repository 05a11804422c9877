"""Objects in S3 or an S3-compatible server. The only module that imports boto3, and the only one that knows its errors."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from s3transfer.exceptions import RetriesExceededError

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, SelfTrainError, UserError
from selftrain.storage.protocol import ObjectInfo, ObjectNotFound

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteTypeDef

ATTEMPTS, HASTY_ATTEMPTS = 5, 3
"""Attempts at a request, the first included, with back-off of 1, 2, 4 and 8 seconds at most in between."""
READ_SECONDS, HASTY_READ_SECONDS = 60, 10
"""How long a server may be silent while it answers."""
CONFLICT_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Pauses while another conditional write of the same key is under way (409)."""
DELETE_BATCH = 1000
"""Most keys S3 takes in one request."""
REFUSED_STATUS = frozenset({401, 403})
# AWS answers 400 when a token has expired; versitygw answers 404 and the last of these when it does not know the key.
REFUSED_CODES = frozenset({"AccessDenied", "ExpiredToken", "InvalidToken", "XAdminUserNotFound"})
REFUSED_ERRORS = (NoCredentialsError, PartialCredentialsError)
WRONG_REGION_CODES = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})

TRANSFERS = 8
# 8 parts of 16 MiB keep a 10 Gbit/s link busy. Uploads stream from disk, downloads queue 25 MiB at most, so memory
# stays far below 100 MiB; a file of more than 10,000 parts gets larger ones.
TRANSFER = TransferConfig(multipart_threshold=32 << 20, multipart_chunksize=16 << 20, max_concurrency=TRANSFERS)


class S3Store:
    """Keys below `prefix` in one bucket. Credentials come from the environment or the service account, as in any AWS SDK.

    A `hasty` client is for small objects and somebody who soon asks again anyway: it gives up on a silent server within a minute.
    """

    def __init__(self, bucket: str, prefix: str, endpoint: str | None, region: str, *, hasty: bool = False) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.endpoint = endpoint
        with self._errors(""):
            self.client: S3Client = self._connected(region, _config(endpoint, hasty=hasty))

    def _connected(self, region: str, config: Config) -> "S3Client":
        """A client. It asks nobody but whoever gives credentials."""
        try:
            session = boto3.session.Session()
            return session.client("s3", endpoint_url=self.endpoint, region_name=region, config=config)
        except (ValueError, InvalidRegionError) as error:
            message = f"no client for {self._place} in region {region}: one of its names cannot be used"
            raise UserError(Reason.STORE_NOT_FOUND, message, "correct spec.store.endpoint or spec.store.region") from error

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def read(self, key: str) -> bytes:
        with self._errors(key):
            return self.client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"].read()

    def write(self, key: str, data: bytes) -> None:
        with self._errors(key):
            self.client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data)

    def create(self, key: str, data: bytes) -> bool:
        with self._errors(key):
            for pause in CONFLICT_SECONDS:
                try:
                    self.client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data, IfNoneMatch="*")
                except ClientError as error:
                    match _status(error):
                        case 412:
                            # A repeated request may meet the object of its own first attempt, whose answer was lost.
                            return _repeated(error) and self.read(key) == data
                        case 409:
                            time.sleep(pause)
                        case _:
                            raise
                else:
                    return True
        message = f"{self._name(key)} has been under conditional writes by others for {sum(CONFLICT_SECONDS):.0f} s"
        raise PlatformError(Reason.STORE_UNAVAILABLE, message, "look for a process that writes the same run")

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._errors(prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + prefix)
            for page in pages:
                for item in page.get("Contents", ()):
                    yield ObjectInfo(item["Key"].removeprefix(self.prefix), item["Size"])

    def download(self, key: str, path: Path) -> None:
        with self._errors(key), create_transfer_manager(self.client, TRANSFER) as transfers:
            transfers.download(self.bucket, self.prefix + key, str(path)).result()

    def upload(self, path: Path, key: str) -> None:
        with self._errors(key), create_transfer_manager(self.client, TRANSFER) as transfers:
            transfers.upload(str(path), self.bucket, self.prefix + key).result()

    def delete(self, keys: Iterable[str]) -> None:
        remaining = iter(keys)
        while batch := [self.prefix + key for key in islice(remaining, DELETE_BATCH)]:
            with self._errors(batch[0]):
                objects: DeleteTypeDef = {"Objects": [{"Key": key} for key in batch], "Quiet": True}
                failures = self.client.delete_objects(Bucket=self.bucket, Delete=objects).get("Errors")
                if failures:
                    raise ClientError({"Error": {"Code": failures[0].get("Code", "")}}, "DeleteObjects")

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """The one place where the SDK's errors get a meaning."""
        try:
            yield
        except ClientError as error:
            raise self._answer(error, key) from error
        except REFUSED_ERRORS as error:
            raise self._refused(type(error).__name__) from error
        except ParamValidationError as error:
            what = "is no valid bucket name or key"
            raise self._no_bucket(what) from error
        except (BotoCoreError, RetriesExceededError) as error:
            raise self._unavailable(type(error).__name__) from error

    def _answer(self, error: ClientError, key: str) -> SelfTrainError | ObjectNotFound:
        """The meaning of an answer that is not a success. Messages name the code only: texts may quote the request."""
        code, status = error.response["Error"]["Code"], _status(error)
        if code == "NoSuchKey":
            return ObjectNotFound(key)
        if code == "NoSuchBucket":
            return self._no_bucket("does not exist")
        if code in WRONG_REGION_CODES:
            return self._no_bucket(f"is not in this region ({code})")
        if code in REFUSED_CODES or status in REFUSED_STATUS:
            return self._refused(code)
        if code == "NotImplemented":
            message = f"{self._place} cannot do what a commit needs ({error.operation_name}: {code})"
            return UserError(Reason.STORE_NOT_CONDITIONAL, message, "use a store with conditional writes")
        return self._unavailable(f"{error.operation_name}: {code}")

    def _no_bucket(self, what: str) -> UserError:
        fix = "create the bucket, or correct the URI, endpoint and region of the store"
        return UserError(Reason.STORE_NOT_FOUND, f"{self._place} {what}", fix)

    def _refused(self, code: str) -> UserError:
        fix = "check the access key in the store's Secret (or the service account's role) and the bucket's policy, which has to allow "
        fix += "s3:ListBucket too: without it AWS refuses to say that an object is missing"
        return UserError(Reason.STORE_ACCESS_DENIED, f"{self._place} refused the credentials ({code})", fix)

    def _unavailable(self, what: str) -> PlatformError:
        return PlatformError(Reason.STORE_UNAVAILABLE, f"{self._place} did not answer as it should ({what})", "check endpoint and network")

    @property
    def _place(self) -> str:
        if self.endpoint is None:
            return f"bucket {self.bucket} at AWS"
        return f"bucket {self.bucket} at {urlsplit(self.endpoint).netloc.rpartition('@')[2]}"

    def _name(self, key: str) -> str:
        return f"{self.prefix}{key} in {self._place}"


def _config(endpoint: str | None, *, hasty: bool) -> Config:
    return Config(
        connect_timeout=5,
        read_timeout=HASTY_READ_SECONDS if hasty else READ_SECONDS,
        retries={"mode": "adaptive", "total_max_attempts": HASTY_ATTEMPTS if hasty else ATTEMPTS},
        max_pool_connections=2 * TRANSFERS,  # transfers, and the readers of markers beside them
        s3={"addressing_style": "path" if endpoint else "auto"},
        # Requests are signed with the SHA-256 of what they carry, and what is read is compared with its manifest. The
        # SDK's own checksums would add trailers that many S3-compatible servers cannot read.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _repeated(error: ClientError) -> bool:
    return error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
