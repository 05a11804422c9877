"""Answers of S3 that the contract suite's servers give too rarely to test with them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from helpers.loopback import Answer, http_server
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, SelfTrainError, UserError
from selftrain.storage import s3
from selftrain.storage.s3 import S3Store


def error(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>says secret things</Message></Error>".encode())


LOST = error(412, "PreconditionFailed")
CONFLICT = error(409, "ConditionalRequestConflict")
BROKEN = error(500, "InternalError")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(s3, "CONFLICT_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(s3, "ATTEMPTS", 1)


@pytest.fixture
def two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 2)


@contextmanager
def store_that_answers(*answers: Answer) -> Iterator[S3Store]:
    """A store whose server gives these answers in turn, and the last one for ever."""
    remaining = list(answers)
    with http_server(lambda *_: remaining.pop(0) if len(remaining) > 1 else remaining[0]) as url:
        yield S3Store("bucket", "prefix", url, "us-east-1")


def test_a_conflict_is_tried_again() -> None:
    with store_that_answers(CONFLICT, CONFLICT, Answer(200)) as store:
        assert store.create("key", b"own")
    with store_that_answers(CONFLICT, LOST) as store:
        assert not store.create("key", b"own")


def test_a_conflict_that_stays_is_the_platforms() -> None:
    with store_that_answers(CONFLICT) as store, pytest.raises(PlatformError, match="prefix/key in bucket") as caught:
        store.create("key", b"own")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE


@pytest.mark.usefixtures("two_attempts")
@pytest.mark.parametrize(("stored", "won"), [(b"own", True), (b"another's", False)])
def test_a_repeated_create_knows_its_own_object(stored: bytes, won: bool) -> None:
    with store_that_answers(BROKEN, LOST, Answer(200, stored)) as store:
        assert store.create("key", b"own") is won


@pytest.mark.usefixtures("two_attempts")
def test_a_failure_is_tried_again_and_then_reported() -> None:
    with store_that_answers(BROKEN, Answer(200, b"content")) as store:
        assert store.read("key") == b"content"
    with store_that_answers(BROKEN) as store, pytest.raises(PlatformError, match="InternalError"):
        store.read("key")


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (error(403, "AccessDenied"), UserError, Reason.STORE_ACCESS_DENIED),
        (error(403, "SignatureDoesNotMatch"), UserError, Reason.STORE_ACCESS_DENIED),
        (error(400, "ExpiredToken"), UserError, Reason.STORE_ACCESS_DENIED),
        (error(401, "Unauthorized"), UserError, Reason.STORE_ACCESS_DENIED),
        (error(404, "NoSuchBucket"), UserError, Reason.STORE_NOT_FOUND),
        (error(400, "AuthorizationHeaderMalformed"), UserError, Reason.STORE_NOT_FOUND),
        (error(501, "NotImplemented"), UserError, Reason.STORE_NOT_CONDITIONAL),
        (error(404, "SomethingElse"), PlatformError, Reason.STORE_UNAVAILABLE),
        (Answer(404, b"<html>not an S3 server</html>"), PlatformError, Reason.STORE_UNAVAILABLE),
        (error(503, "SlowDown"), PlatformError, Reason.STORE_UNAVAILABLE),
    ],
)
def test_every_answer_says_who_must_act(answer: Answer, kind: type[SelfTrainError], reason: Reason) -> None:
    with store_that_answers(answer) as store, pytest.raises(kind, match=r"bucket bucket at 127\.0\.0\.1") as caught:
        store.create("key", b"")
    assert caught.value.reason is reason
    assert "says secret things" not in str(caught.value)


def test_keys_that_could_not_be_deleted_are_reported() -> None:
    refused = b"<DeleteResult><Error><Key>prefix/key</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    with store_that_answers(Answer(200, refused)) as store, pytest.raises(UserError) as caught:
        store.delete(["key"])
    assert caught.value.reason is Reason.STORE_ACCESS_DENIED


def test_an_impossible_bucket_name_is_the_authors() -> None:
    with pytest.raises(UserError, match="no valid bucket name"):
        S3Store("not/a bucket", "", "http://127.0.0.1:9", "us-east-1").read("key")


@pytest.mark.parametrize(("endpoint", "region"), [("http://minio_svc:9000", "us-east-1"), (None, "-us")])
def test_an_endpoint_that_is_none_is_the_authors(endpoint: str | None, region: str) -> None:
    with pytest.raises(UserError, match=r"cannot be used; correct spec\.store\.endpoint") as caught:
        S3Store("bucket", "", endpoint, region)
    assert caught.value.reason is Reason.STORE_NOT_FOUND


def test_an_agent_that_gives_no_credentials_yet_is_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a node that has just started: the next pod finds it."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with http_server(lambda *_: Answer(500, b"{}")) as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
        with pytest.raises(PlatformError) as caught:
            S3Store("bucket", "", "http://127.0.0.1:9", "us-east-1").read("key")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert "CredentialRetrievalError" in str(caught.value)


def test_passwords_in_an_endpoint_are_not_shown() -> None:
    with pytest.raises(PlatformError) as caught:
        S3Store("bucket", "", "http://user:hidden@127.0.0.1:9", "us-east-1").read("key")
    assert "hidden" not in str(caught.value)


def test_a_hasty_client_gives_up_within_a_minute() -> None:
    config = S3Store("bucket", "", None, "us-east-1", hasty=True).client.meta.config
    assert config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout) < 60


def test_the_uri_has_no_slash_at_the_end() -> None:
    assert S3Store("bucket", "/a/b/", None, "us-east-1").uri == "s3://bucket/a/b"
    assert S3Store("bucket", "", None, "us-east-1").uri == "s3://bucket"
