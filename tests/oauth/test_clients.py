from __future__ import annotations

import copy
import hmac
import pickle
from hashlib import sha256
from typing import Any

import pytest

from d1verify import ConfigurationError
from d1verify.oauth import Client
from d1verify.oauth._clients import Clients, Credentials, basic_credentials
from tests.support import SUBJECT

from .support import CLIENT_ID, SECRET, basic, call, client_form, make_endpoint, registered_client


def found(clients: Clients, client_id: str, secret: str) -> bool:
    return clients.authenticate([Credentials(client_id, secret.encode())]) is not None


def test_finds_a_client_by_either_of_its_secrets_while_one_replaces_the_other() -> None:
    clients = Clients([registered_client(secrets=["old", "new"])])
    assert found(clients, CLIENT_ID, "old")
    assert found(clients, CLIENT_ID, "new")
    assert not found(clients, CLIENT_ID, "older")
    assert not found(Clients([registered_client(secrets=["new"])]), CLIENT_ID, "old")


def test_each_secret_is_that_of_one_client() -> None:
    clients = Clients([registered_client(), registered_client(client_id="other", secrets="another")])
    assert not found(clients, "other", SECRET)
    assert not found(clients, CLIENT_ID, "another")


@pytest.mark.parametrize("client_id", [CLIENT_ID, "nobody", "two"])
def test_a239_an_unknown_id_costs_what_a_wrong_secret_costs(client_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = Clients([registered_client(), registered_client(client_id="two", secrets=["a", "b"])])
    compared = []
    compare = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    assert clients.authenticate(basic_credentials(basic(client_id, "wrong")[1])) is None
    assert compared == [(32, 32)] * 4


@pytest.mark.parametrize("verdict", [True, False])
def test_a207_secrets_are_compared_in_constant_time_and_in_no_other_way(
    monkeypatch: pytest.MonkeyPatch, *, verdict: bool
) -> None:
    compared: list[bytes] = []

    def deciding(one: bytes, other: bytes) -> bool:
        compared.extend((one, other))
        return verdict

    clients = Clients([registered_client()])
    monkeypatch.setattr(hmac, "compare_digest", deciding)
    assert found(clients, CLIENT_ID, SECRET) is verdict
    assert found(clients, CLIENT_ID, "wrong") is verdict
    # Digests of one length, as bytes: neither the secret's length nor its alphabet (a str raises) makes a difference.
    assert {(type(one), len(one)) for one in compared} == {(bytes, 32)}


def test_a239_an_unknown_id_and_a_wrong_secret_get_the_same_answer() -> None:
    endpoint = make_endpoint()
    unknown = call(endpoint, client_form(), basic("nobody", SECRET))
    wrong = call(endpoint, client_form(), basic(CLIENT_ID, "wrong"))
    assert unknown == wrong
    assert unknown.error == (401, "invalid_client")


@pytest.mark.parametrize("secrets", ["", " ", [""], ["good", ""], ["good", "\t"], [], ["a", "b", "c"], None, b"x", [7]])
def test_a240_an_empty_secret_or_none_or_three_is_a_mistake_of_the_developers(secrets: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        registered_client(secrets=secrets)


@pytest.mark.parametrize("client_id", ["", " ", "dö", "a\nb", None, 7])
def test_refuses_a_client_id_that_is_not_printable_ascii(client_id: Any) -> None:
    with pytest.raises(ConfigurationError, match="client_id"):
        registered_client(client_id=client_id)


@pytest.mark.parametrize("subject", ["", " ", "*", None, ["MGW_000001"]])
def test_refuses_a_subject_that_is_not_one_merchant_gateway_id(subject: Any) -> None:
    with pytest.raises(ConfigurationError, match="subject"):
        registered_client(subject=subject)


def test_a_client_keeps_no_secret_shows_nothing_and_never_changes() -> None:
    client = Client(client_id=CLIENT_ID, secrets=SECRET, subject=SUBJECT)
    assert client.digests[0] == sha256(SECRET.encode()).digest()
    assert repr(client) == "<Client>"
    with pytest.raises(AttributeError):
        client.subject = "MGW_000002"
    with pytest.raises(AttributeError):
        del client.subject
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(client)


def test_a_replacement_character_is_no_client_id() -> None:
    clients = Clients([registered_client(client_id="?")])
    assert not found(clients, "\ufffd", SECRET)
    assert not found(clients, "%ff", SECRET)
