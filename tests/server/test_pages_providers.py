"""Signing in at a provider: a small OpenID Connect issuer on loopback that the test writes."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from board_world import SMALL, make_world


class Issuer(ThreadingHTTPServer):
    """Says who somebody is to a client with the right secret, code and PKCE verifier."""

    client_id, client_secret = "board", "a secret of the client"

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.person: dict = {}
        self.codes: dict[str, dict] = {}
        self.refused: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sign(self, claims: dict) -> str:
        import jwt

        return jwt.encode(claims, self.key, "RS256", headers={"kid": "1"})

    def jwks(self) -> dict:
        from jwt.algorithms import RSAAlgorithm

        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}


class _Handler(BaseHTTPRequestHandler):
    server: Issuer

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, body: dict, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self) -> None:
        own, path, asked = (
            self.server,
            urlsplit(self.path).path,
            parse_qs(urlsplit(self.path).query),
        )
        if path == "/.well-known/openid-configuration":
            ends = ("authorization", "token", "userinfo")
            body = {f"{one}_endpoint": f"{own.address}/{one}" for one in ends}
            self.answer({"issuer": own.address, "jwks_uri": f"{own.address}/jwks", **body})
        elif path == "/jwks":
            self.answer(own.jwks())
        elif path == "/authorization":
            code = secrets.token_urlsafe(8)
            own.codes[code] = {key: values[0] for key, values in asked.items()}
            back = urlencode({"code": code, "state": asked["state"][0]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri'][0]}?{back}")
            self.end_headers()
        elif path == "/userinfo":
            self.answer(own.person)

    def do_POST(self) -> None:
        own = self.server
        raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {key: values[0] for key, values in parse_qs(raw).items()}
        asked = own.codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{own.client_id}:{own.client_secret}".encode()).decode()
        knows = form.get("client_secret") == own.client_secret
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or not (knows or self.headers.get("Authorization") == f"Basic {basic}"):
            own.refused.append("client or code")
            return self.answer({"error": "invalid_grant"}, 400)
        if asked.get("code_challenge") != challenge:
            own.refused.append("pkce")
            return self.answer({"error": "invalid_grant"}, 400)
        claims = {
            **own.person,
            "iss": own.address,
            "aud": own.client_id,
            "iat": int(time.time()),
            "exp": int(time.time()) + 60,
            **({"nonce": asked["nonce"]} if "nonce" in asked else {}),
        }
        token = {"access_token": "x", "token_type": "Bearer", "id_token": own.sign(claims)}
        return self.answer(token)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    server = Issuer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def board(config, tmp_path, issuer, settings_board):
    (config.keys / "lab.secret").write_text(issuer.client_secret)
    one = {
        "name": "lab",
        "title": "The Lab",
        "issuer": issuer.address,
        "client_id": "board",
        "client_secret": "file:keys/lab.secret",
    }
    settings_board(config, {"oidc": [one]})
    return make_world(config, tmp_path, text=SMALL)


@pytest.fixture
def settings_board(monkeypatch):
    from django.conf import settings

    from acsbench.server.sign_in.config import SignIn

    def changed(config, sign_in: dict) -> None:
        made = config.model_copy(update={"sign_in": SignIn.model_validate(sign_in)})
        monkeypatch.setattr(settings, "BOARD", made)

    return changed


def come(issuer: Issuer, person: dict, client=None, **wrong):
    """Follow the button to the issuer and back, as a browser does."""
    from urllib.request import HTTPRedirectHandler, build_opener

    from django.test import Client

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *args: object) -> None:
            return None

    issuer.person = person
    client = client or Client()
    there = client.get("/account/oidc/lab/login/")
    assert there.status_code == 302, there.content.decode()
    assert there["Location"].startswith(issuer.address)
    try:
        build_opener(Stay).open(there["Location"], timeout=10)
    except OSError as redirect:
        back = urlsplit(redirect.headers["Location"])
        redirect.close()
    query = {key: values[0] for key, values in parse_qs(back.query).items()} | wrong
    return client, client.get(f"{back.path}?{urlencode(query)}")


NEW = {"sub": "n-1", "email": "new@example.org", "email_verified": True, "name": "Nadia New"}


def test_somebody_new_gets_an_account_and_the_same_one_again(board, issuer) -> None:
    from acsbench.server.models import Account, Audit, Identity

    _client, answer = come(issuer, NEW)
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    account = Account.objects.get(email="new@example.org")
    assert (account.name, account.email_verified_at is not None) == ("Nadia New", True)
    assert Identity.objects.get(provider="lab", subject="n-1").account == account
    assert Audit.objects.filter(action="identity.linked").count() == 1
    _, again = come(issuer, {**NEW, "email": "changed@example.org"})
    assert again["Location"] == "/account/"
    assert Account.objects.filter(identities__subject="n-1").count() == 1
    from django.test import Client

    assert "Sign in with The Lab" in Client().get("/account/login/").content.decode()


def test_a_verified_email_is_linked_to_the_account_it_belongs_to(board, issuer) -> None:
    client, answer = come(issuer, {**NEW, "email": "ADA@example.org"})
    assert answer["Location"] == "/account/"
    assert "ada@example.org" in client.get("/account/").content.decode()


def test_an_email_that_is_not_verified_is_linked_to_nobody(board, issuer) -> None:
    from acsbench.server.models import Account, Identity

    before = Account.objects.count()
    client, _answer = come(issuer, {**NEW, "email": "ada@example.org", "email_verified": False})
    assert client.get("/account/").status_code == 302
    assert (Account.objects.count(), Identity.objects.count()) == (before, 0)


def test_the_boards_own_identities_find_their_accounts(board, issuer) -> None:
    from acsbench.server.models import Identity

    Identity.objects.create(account=board.accounts["bob"], provider="lab", subject="b-7")
    client, answer = come(issuer, {"sub": "b-7", "name": "Bob"})
    assert answer["Location"] == "/account/"
    assert "bob@example.org" in client.get("/account/").content.decode()


@pytest.mark.parametrize(
    "wrong", [{"state": "another"}, {"code": "another"}], ids=["state", "code"]
)
def test_a_foreign_answer_signs_nobody_in(board, issuer, wrong: dict) -> None:
    client, answer = come(issuer, NEW, **wrong)
    assert answer.status_code in (200, 302, 401, 403)
    assert client.get("/account/").status_code == 302


def test_a_closed_board_makes_no_accounts(config, tmp_path, issuer, settings_board) -> None:
    from acsbench.server.models import Account

    (config.keys / "lab.secret").write_text(issuer.client_secret)
    one = {
        "name": "lab",
        "issuer": issuer.address,
        "client_id": "board",
        "client_secret": "file:keys/lab.secret",
    }
    settings_board(config, {"open": False, "oidc": [one]})
    client, _ = come(issuer, NEW)
    assert client.get("/account/").status_code == 302
    assert not Account.objects.exists()


def test_a_provider_without_issuer_or_secret_is_refused_with_the_way_out(config) -> None:
    from acsbench.errors import ConfigError
    from acsbench.server.config import load_config
    from acsbench.server.sign_in.config import OidcProvider, client_secret

    known = OidcProvider(name="orcid", client_id="x", client_secret="env:NOT_THERE_AT_ALL")
    assert known.server == "https://orcid.org"
    with pytest.raises(ConfigError, match="NOT_THERE_AT_ALL"):
        client_secret(known, config.data)
    text = '[[sign_in.oidc]]\nname = "lab"\nclient_id = "x"\nclient_secret = "in the open"\n'
    (config.data / "board.toml").write_text(text)
    with pytest.raises(ConfigError, match="client_secret"):
        load_config(config.data)
