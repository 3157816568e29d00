"""Tokens of another implementation: Node's `jose` 3.19.0, by the steps of D1's guide, with keys made by openssl."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from d1verify import D1Verifier, FileKeyStore, PublicKey

from .support import REMOVE, SUBJECT, merged, refused

JOSE = "jose@3.19.0"
KID = "d1-stg-2026"
SECONDS = 120

# What D1's guide shows, with the values that a case changes as parameters.
SCRIPT = """
const { createPrivateKey } = require('crypto');
const { readFileSync } = require('fs');
const { SignJWT } = require('jose/jwt/sign');

async function mint({ key: file, kid, audience, issuer, subject, lifetime, notBefore, typ }) {
  const key = createPrivateKey(readFileSync(file));
  const header = typ ? { alg: 'ES256', kid, typ } : { alg: 'ES256', kid };
  let jwt = new SignJWT({})
    .setProtectedHeader(header)
    .setIssuedAt()
    .setIssuer(issuer)
    .setAudience(audience)
    .setExpirationTime(lifetime);
  if (subject) jwt = jwt.setSubject(subject);
  if (notBefore) jwt = jwt.setNotBefore(notBefore);
  return jwt.sign(key);
}

(async () => {
  const cases = JSON.parse(readFileSync(0));
  const tokens = {};
  for (const name of Object.keys(cases)) tokens[name] = await mint(cases[name]);
  console.log(JSON.stringify(tokens));
})();
"""

GUIDE = {"kid": KID, "audience": "stg", "issuer": "d1", "subject": SUBJECT, "lifetime": "15m"}
GOOD: dict[str, dict[str, Any]] = {
    "as in the guide": {},
    "with typ": {"typ": "JWT"},
    "audience as an array": {"audience": ["stg"]},
    "not before now": {"notBefore": "0s"},
    "a short life": {"lifetime": "1m"},
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another environment": ({"audience": "prd"}, "wrong_environment"),
    "another merchant": ({"subject": "MGW_000002"}, "wrong_subject"),
    "no subject": ({"subject": REMOVE}, "missing_claim"),
    "another issuer": ({"issuer": "d2"}, "wrong_issuer"),
    "an hour": ({"lifetime": "1h"}, "lifetime_too_long"),
    "in an hour": ({"notBefore": "1h"}, "not_yet_valid"),
    "an access token": ({"typ": "at+jwt"}, "malformed_token"),
    "another kid": ({"kid": "d1-prd-2026"}, "unknown_key"),
    "another key": ({"key": "other.pem"}, "bad_signature"),
}


def run(*command: str, cwd: Path, text: str | None = None) -> str:
    """Return what a command prints; the tests are skipped when it cannot do its work here."""
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    try:
        done = subprocess.run(
            [program, *command[1:]], cwd=cwd, input=text, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{command[0]} did not end within {SECONDS} s")
    if done.returncode != 0 and command[0] == "npm":
        pytest.skip(f"npm could not install {JOSE}: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with jose installed, two private keys, and the public key in `keys/`."""
    folder = tmp_path_factory.mktemp("node")
    keys = folder / "keys"
    keys.mkdir()
    for program in ("node", "npm"):
        run(program, "--version", cwd=folder)
    for name in ("d1.pem", "other.pem"):
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name, cwd=folder)
    run("openssl", "ec", "-in", "d1.pem", "-pubout", "-out", str(keys / f"{KID}.pem"), cwd=folder)
    (folder / "package.json").write_text("{}")
    run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", JOSE, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def tokens(workshop: Path) -> dict[str, str]:
    """Return every token of the tables, all minted by one run of Node."""
    cases = {**GOOD, **{name: changes for name, (changes, _) in REFUSED.items()}}
    requests = {name: merged({"key": "d1.pem", **GUIDE}, changes) for name, changes in cases.items()}
    (workshop / "mint.js").write_text(SCRIPT)
    minted: dict[str, str] = json.loads(run("node", "mint.js", cwd=workshop, text=json.dumps(requests)))
    return minted


@pytest.fixture(scope="session")
def stg(workshop: Path) -> D1Verifier:
    """Return a verifier for staging, with the real clock: Node's tokens are of now."""
    return D1Verifier(FileKeyStore(workshop / "keys"), audience="stg", subject=SUBJECT)


@pytest.mark.parametrize("name", GOOD)
def test_accepts_what_node_signs(tokens: dict[str, str], stg: D1Verifier, name: str) -> None:
    token = stg.verify_header(f"Bearer {tokens[name]}")
    assert (token.kid, token.issuer, token.subject, token.audience) == (KID, "d1", SUBJECT, ("stg",))
    assert token.issued_at is not None


def test_the_guide_s_token_lives_900_seconds_and_has_no_typ(tokens: dict[str, str], stg: D1Verifier) -> None:
    token = stg.verify(tokens["as in the guide"])
    assert set(token.claims) == {"iss", "aud", "sub", "exp", "iat"}
    assert token.issued_at is not None
    assert token.expires_at - token.issued_at == 900


@pytest.mark.parametrize(("name", "reason"), [(name, reason) for name, (_, reason) in REFUSED.items()])
def test_refuses_what_node_signs(tokens: dict[str, str], stg: D1Verifier, name: str, reason: str) -> None:
    assert refused(lambda: stg.verify(tokens[name])) == reason


def test_production_refuses_a_token_of_staging(tokens: dict[str, str], workshop: Path) -> None:
    prd = D1Verifier(FileKeyStore(workshop / "keys"), audience="prd", subject=SUBJECT)
    assert refused(lambda: prd.verify(tokens["as in the guide"])) == "wrong_environment"


@pytest.mark.parametrize("part", [1, 2], ids=["payload", "signature"])
def test_refuses_each_tampered_part(tokens: dict[str, str], stg: D1Verifier, part: int) -> None:
    parts, others = tokens["as in the guide"].split("."), tokens["a short life"].split(".")
    parts[part] = others[part]
    assert refused(lambda: stg.verify(".".join(parts))) == "bad_signature"


def test_the_private_key_that_openssl_writes_is_refused_as_a_key(workshop: Path) -> None:
    text = (workshop / "d1.pem").read_text()
    assert text.startswith("-----BEGIN EC PRIVATE KEY-----")
    assert refused(lambda: PublicKey.from_pem(text)) == "keys_unavailable"
