import hashlib

import pytest

from maskstream.stream.viewers.rtsp.auth import REALM, Challenge, Credentials

WANTED = Credentials("viewer", 'p"@:% s')


def answered(challenge, *, user="viewer", password='p"@:% s', method="PLAY", uri="rtsp://h/a"):
    nonce = challenge.header.split('nonce="')[1].split('"')[0]

    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()

    proof = md5(f"{md5(f'{user}:{REALM}:{password}')}:{nonce}:{md5(f'{method}:{uri}')}")
    return (
        f'Digest username="{user}", realm="{REALM}", nonce="{nonce}", uri="{uri}", '
        f'response="{proof}"'
    )


def test_the_right_password_is_let_in_and_a_wrong_one_is_not():
    challenge = Challenge()
    assert challenge.is_met(WANTED, "PLAY", answered(challenge))
    assert not challenge.is_met(WANTED, "PLAY", answered(challenge, password="guess"))
    assert not challenge.is_met(WANTED, "PLAY", answered(challenge, user="root"))


def test_an_answer_is_good_for_its_method_and_connection_alone():
    challenge = Challenge()
    assert not challenge.is_met(WANTED, "SETUP", answered(challenge))
    assert not Challenge().is_met(WANTED, "PLAY", answered(challenge))


@pytest.mark.parametrize(
    "header", ["", "Digest", "Basic dmlld2VyOnA=", 'Digest username="viewer"', "\xff\xfe = ,,,"]
)
def test_what_is_no_answer_is_not_let_in(header):
    assert not Challenge().is_met(WANTED, "PLAY", header)


def test_a_password_is_not_shown_with_its_object():
    assert "p" not in repr(Credentials("viewer", "p@ss")).partition("viewer")[2]
