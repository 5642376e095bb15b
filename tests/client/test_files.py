"""Files are looked through before anything of them is sent."""

import gzip
import hashlib
import io
from pathlib import Path

import pytest

from ratemill.client.errors import UnreadableFile
from ratemill.client.files import opened, spooled, survey
from ratemill.client.records import RECORD_BYTES_MAX, Form

CSV = Form("csv")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.csv"


def test_a_survey_names_a_file_by_its_content_packed_or_not(path: Path):
    content = "ä,1\n".encode() * 100_000
    path.write_bytes(content)
    plain = survey(path, CSV)
    path.write_bytes(gzip.compress(content[:1_000]) + gzip.compress(content[1_000:]))
    assert survey(path, CSV) == plain
    assert (plain.size, plain.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("size", [1, 400_000, 499_999, 500_000])
def test_a_survey_knows_the_start_of_a_file(path: Path, size: int):
    content = b"abcd\n" * 100_000
    path.write_bytes(content)
    assert survey(path, CSV, start_size=size).sha256_of_start == hashlib.sha256(content[:size]).hexdigest()
    assert survey(path, CSV, start_size=500_001).sha256_of_start is None


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a\nb\xff\n", 2),
        (b"\xff\xfea\x00\n\x00", 1),
        (b"x\n" * 300_000 + b"caf\xe9\n", 300_001),
        (b"a\nb\n\xe2\x82", 3),
        (b"a\n" + b"x" * (RECORD_BYTES_MAX + 1) + b"\n", 2),
        (b"a\n" + b"x" * (3 * RECORD_BYTES_MAX), 2),
    ],
)
def test_what_cannot_be_sent_is_named_by_its_line(path: Path, content: bytes, line: int):
    path.write_bytes(content)
    with pytest.raises(UnreadableFile) as caught:
        survey(path, CSV)
    assert caught.value.line == line
    assert "nothing was sent" in str(caught.value)


def test_a_line_of_just_the_longest_length_is_sent(path: Path):
    path.write_bytes(b"a\n" + b"x" * (RECORD_BYTES_MAX - 1) + b"\nb\n")
    assert survey(path, CSV).size == RECORD_BYTES_MAX + 4


@pytest.mark.parametrize("bad", [b"[1]", b"{", b"{} {}", b'{"a":NaN}', b"x", b"[" * 5_000])
def test_a_line_that_is_no_object_is_named_before_its_request_would_be_refused(path: Path, bad: bytes):
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\n\n' + bad + b"\n")
    with pytest.raises(UnreadableFile, match="line 3"):
        survey(path, Form("jsonl", "multi"))
    survey(path, Form("jsonl"))  # as text it goes in, and is refused alone


@pytest.mark.parametrize("cut", [5, 200])
def test_a_broken_gzip_file_is_named(path: Path, cut: int):
    path.write_bytes(gzip.compress(bytes(range(128)) * 100)[:cut])
    with pytest.raises(UnreadableFile, match="broken gzip"):
        survey(path, CSV)


def test_gzip_of_several_members_is_read_whole_and_what_follows_it_is_named(path: Path):
    members = gzip.compress(b"a\n") + gzip.compress(b"b\n")
    path.write_bytes(members)
    with opened(path) as file:
        assert file.read() == b"a\nb\n"
    path.write_bytes(members + b"more")
    with pytest.raises(UnreadableFile, match="broken gzip"):
        survey(path, CSV)


def test_a_stream_that_finds_no_room_is_reported(tmp_path: Path):
    with (
        pytest.raises(UnreadableFile, match="cannot copy to"),
        spooled(io.BytesIO(b"a"), tmp_path / "x"),
    ):
        pass


def test_a_stream_is_kept_while_it_is_imported():
    with spooled(io.BytesIO(b"a\n" * 500_000)) as path, opened(path) as file:
        assert len(file.read()) == 1_000_000
    assert not path.exists()
