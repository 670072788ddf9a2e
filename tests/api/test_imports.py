"""`POST /v1/imports` and `GET /v1/imports/{import_id}`."""

import pytest

from api.people import SECRET, Lines, Person, lines, problem

JUNE = lines("DE123", "2026-06-01;-12.50;Coffee", "2026-06-02;1000;Salary")


async def test_a_new_file_is_created_at_its_location(ann: Person) -> None:
    """A file that is new answers 201, and its Location gives the same report."""
    made = await ann.upload(JUNE, "june.lines")
    assert made.status_code == 201
    report = made.json()
    assert (report["added"], report["skipped"], report["filename"]) == (2, 0, "june.lines")
    assert report.pop("already_imported") is False
    assert made.headers["location"] == f"/v1/imports/{report['import_id']}"
    assert (await ann.get(made.headers["location"])).json() == report


async def test_the_same_file_again_is_not_imported_twice(ann: Person) -> None:
    """The same bytes answer 200 with the report of then, and add no row."""
    first = (await ann.upload(JUNE)).json()
    again = await ann.upload(JUNE, "copy of june.lines")
    assert again.status_code == 200
    assert "location" not in again.headers
    assert again.json() == {**first, "already_imported": True}
    assert len((await ann.get("/v1/transactions")).json()["items"]) == 2


@pytest.mark.parametrize(
    ("code", "status"),
    [("file_truncated", 422), ("file_unreadable", 422), ("format_unknown", 415), ("file_too_large", 413)],
)
async def test_a_refusal_of_the_core_is_answered_by_its_kind(ann: Person, code: str, status: int) -> None:
    """The reader's failure becomes a problem with its own code and message, and nothing is stored."""
    body = problem(await ann.upload(f"FAIL;{code}".encode()), status, code)
    assert body["detail"] == f"failed as asked: {code}"
    assert (await ann.get("/v1/accounts")).json()["items"] == []


async def test_a_file_of_no_known_format_is_not_supported(ann: Person) -> None:
    """A file that no reader recognizes answers 415 and names the formats there are."""
    assert "lines" in problem(await ann.upload(b"what is this"), 415, "format_unknown")["detail"]


async def test_an_empty_file_is_refused(ann: Person) -> None:
    """A part of no bytes is not a statement."""
    problem(await ann.upload(b""), 422, "file_empty")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", None]
)
async def test_another_content_type_is_not_supported(ann: Person, content_type: str | None) -> None:
    """Only multipart/form-data is read."""
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await ann.http.post("/v1/imports", content=b"file=1", headers=headers)
    assert "multipart/form-data" in problem(answer, 415, "media_type_unsupported")["detail"]


@pytest.mark.parametrize(
    "files",
    [
        [("other", ("a", JUNE))],
        [("file", ("a", JUNE)), ("file", ("b", JUNE))],
        [("file", ("a", JUNE)), ("note", (None, b"hello"))],
        [("file", (None, JUNE))],
    ],
    ids=["another name", "two files", "a field beside", "no filename"],
)
async def test_the_body_has_exactly_the_part_file(ann: Person, files: list[tuple[str, tuple[str, bytes]]]) -> None:
    """A part that is missing, additional or no file is refused, and nothing is imported."""
    body = problem(await ann.http.post("/v1/imports", files=files), 422, "request_invalid")
    assert body["errors"][0]["pointer"] == "#/file"
    assert (await ann.get("/v1/accounts")).json()["items"] == []


@pytest.mark.parametrize(
    ("filename", "kept"),
    [("/home/ann/june.lines", "june.lines"), ("Juni-Übersicht.lines", "Juni-Übersicht.lines"), ("", None)],
)
async def test_a_filename_is_kept_for_people(ann: Person, filename: str, kept: str | None) -> None:
    """The last part of the name is kept as it was sent, in UTF-8 as browsers send it."""
    disposition = f'Content-Disposition: form-data; name="file"; filename="{filename}"'
    body = f"--b\r\n{disposition}\r\n\r\n".encode() + JUNE + b"\r\n--b--\r\n"
    headers = {"content-type": 'multipart/form-data; boundary="b"; charset=undefined'}
    answer = await ann.http.post("/v1/imports", content=body, headers=headers)
    assert (answer.status_code, answer.json()["filename"]) == (201, kept)


PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", PART + b"x\r\n--b--\r\n"),
        ("multipart/form-data; boundary=", PART + b"x\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"no boundary here"),
        ("multipart/form-data; boundary=b", PART + b"x\r\n--bx--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\n\x00\x01: bad\r\n\r\nx\r\n--b--\r\n"),
    ],
    ids=["no boundary", "empty boundary", "not begun", "never ended", "bad header"],
)
async def test_a_malformed_body_is_the_callers_error(ann: Person, content_type: str, body: bytes) -> None:
    """Bytes that are no multipart answer 400."""
    answer = await ann.http.post("/v1/imports", content=body, headers={"content-type": content_type})
    problem(answer, 400, "multipart_malformed")


@pytest.mark.parametrize("body", [b"", PART, PART + b"LINES;A\n2026-01-01;1;x"], ids=["empty", "header", "half"])
async def test_a_body_cut_short_is_not_imported(ann: Person, body: bytes) -> None:
    """A part that does not end is not taken for the whole file."""
    headers = {"content-type": "multipart/form-data; boundary=b"}
    problem(await ann.http.post("/v1/imports", content=body, headers=headers), 400, "multipart_malformed")
    assert (await ann.get("/v1/accounts")).json()["items"] == []


async def test_a_bug_is_answered_without_a_word_of_it(
    ann: Person, reader: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception answers 500 with nothing internal, runs once, and is logged once under the request's id."""
    answer = await ann.upload(b"EXPLODE")
    problem(answer, 500, "internal_server_error")
    for leak in (SECRET, "RuntimeError", "Traceback", ".py"):
        assert leak not in answer.text
    assert reader.reads == 1
    log = caplog.text
    assert log.count("request failed") == 1
    assert log.count("RuntimeError: ") == 1
    assert answer.headers["request-id"] in log
    assert ann.token not in log


async def test_an_unknown_import_is_not_found(ann: Person) -> None:
    """An id that was never given out answers 404."""
    problem(await ann.get("/v1/imports/0198a000-0000-7000-8000-000000000000"), 404, "import_not_found")


async def test_a_profile_is_handed_on(ann: Person) -> None:
    """The part beside the file goes to the reader that it names; here no reader takes any."""
    problem(await ann.upload(JUNE, profile='format = "lines"'), 422, "profile_invalid")
    problem(await ann.upload(JUNE, profile="no toml"), 422, "profile_invalid")
    assert (await ann.get("/v1/accounts")).json()["items"] == []


async def test_an_imported_file_is_read_again(ann: Person) -> None:
    """The kept bytes are read once more: the report is new, the rows are those there were."""
    made = (await ann.upload(JUNE)).json()
    before = (await ann.get("/v1/transactions")).json()["items"]
    again = await ann.post(f"/v1/imports/{made['import_id']}/readings", {})
    assert again.status_code == 200
    report = again.json()
    assert (report["import_id"], report["already_imported"]) == (made["import_id"], False)
    assert (report["added"], report["skipped"], report["filename"]) == (0, 2, made["filename"])
    assert (await ann.get("/v1/transactions")).json()["items"] == before
    refused = await ann.post(f"/v1/imports/{made['import_id']}/readings", {"profile": "no toml"})
    problem(refused, 422, "profile_invalid")


async def test_nobody_reads_anothers_file_again(ann: Person, bob: Person) -> None:
    """To anybody else the import is not there."""
    made = (await ann.upload(JUNE)).json()
    problem(await bob.post(f"/v1/imports/{made['import_id']}/readings", {}), 404, "import_not_found")
