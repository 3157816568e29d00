"""The commands and their options. What they do is in a module each."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from ..errors import ConfigurationError
from ..policy import ANY_SUBJECT
from ..verifier import D1Verifier
from .contract import Reports, Signer, Target, TokenTarget, check_contract
from .demo import run_demo
from .demo_oauth import run_oauth_demo
from .doctor import run_doctor
from .explain import show_verdict
from .keys import show_keys
from .material import generate, print_jwks
from .minting import mint as mint_token
from .output import ExitCode, stderr
from .sources import store_from

__all__ = ["app", "run"]

app: typer.Typer = typer.Typer(
    name="d1verify",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Kid: TypeAlias = Annotated[str | None, typer.Option("--kid", help="The key id of a single PEM.")]
CaFile: TypeAlias = Annotated[str | None, typer.Option("--ca-file", help="For a URL: a private certificate authority.")]
ClientCertificate: TypeAlias = Annotated[
    str | None, typer.Option("--client-cert", help="For a URL: a PEM file with certificate and key, for mutual TLS.")
]


def run() -> None:
    """Run the command line; a bad setting is a usage error, in one line."""
    logging.getLogger("d1verify").addHandler(logging.NullHandler())  # what the log would say, the commands print
    try:
        app()
    except ConfigurationError as error:
        stderr().print(f"Error: {error}", markup=False, soft_wrap=True)
        sys.exit(ExitCode.USAGE)


@app.callback()
def _root() -> None:
    """Authentication of the calls that Thales D1 makes to merchants' back ends.

    Exit codes: 0 verified or done, 1 refused, 2 usage, 3 keys unavailable (or the app unreachable).
    """


@app.command()
def demo(
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep the guarded server running and print a curl line for it.")
    ] = False,
    oauth: Annotated[
        bool, typer.Option("--oauth", help="With access tokens: D1 obtains one from the server and calls with it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start a guarded server on this machine, call it as D1 would and as D1 never would, and show what it answers."""
    run = run_oauth_demo if oauth else run_demo
    raise typer.Exit(run(serve=serve, as_json=as_json))


@app.command()
def keys(
    source: Annotated[str, typer.Argument(help="A URL, a file or folder, or the name of an environment variable.")],
    *,
    kid: Kid = None,
    ca_file: CaFile = None,
    client_cert: ClientCertificate = None,
    as_json: Json = False,
) -> None:
    """Load keys as the verifier would; show what it would trust, for how long, and what was skipped and why."""
    store = store_from(source, kid=kid, ca_file=ca_file, client_certificate=client_cert)
    raise typer.Exit(show_keys(source, store, as_json=as_json))


@app.command()
def doctor(
    *,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for a warning, too.")] = False,
    as_json: Json = False,
) -> None:
    """Look at a deployment from its D1VERIFY_… variables: settings, keys, files, TLS, caching, latency, clock.

    Prints one line for each check, and what to do about what is not well. No secret is printed.
    Exit codes: 0 nothing failed, 1 a check failed, 2 settings unusable, 3 keys unavailable.
    """
    raise typer.Exit(run_doctor(as_json=as_json, strict=strict))


@app.command()
def keygen(
    kid: Annotated[str, typer.Argument(help="The key id; the files are named after it.")],
    *,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write.")] = Path(),
    as_json: Json = False,
) -> None:
    """Make a P-256 key pair to test with: PEM and JWK, for the owner alone; nothing is ever overwritten."""
    raise typer.Exit(generate(kid, folder, as_json=as_json))


@app.command()
def jwks(
    files: Annotated[list[Path], typer.Argument(help="Public keys as PEM; a file's name is its key id.")],
    *,
    as_json: Json = False,  # noqa: ARG001 - it always prints JSON; the flag is for those who write it everywhere
) -> None:
    """Print the JWK Set of public keys."""
    raise typer.Exit(print_jwks(files))


@app.command()
def mint(
    *,
    key: Annotated[Path, typer.Option("--key", help="A private P-256 key as PEM.")],
    kid: Annotated[str, typer.Option("--kid", help="The key id to name.")],
    aud: Annotated[str, typer.Option("--aud", help="The environment.")] = "stg",
    sub: Annotated[str, typer.Option("--sub", help="The merchant gateway id.")] = "MGW_000001",
    lifetime: Annotated[int, typer.Option("--lifetime", help="Seconds until it expires.")] = 600,
    claim: Annotated[list[str] | None, typer.Option("--claim", help="NAME=VALUE, as JSON or text.")] = None,
    as_json: Json = False,
) -> None:
    """Print a test token, signed with a key of your own. It says that it is a test token."""
    raise typer.Exit(
        mint_token(key, kid=kid, audience=aud, subject=sub, lifetime=lifetime, claims=claim or [], as_json=as_json)
    )


@app.command()
def verify(
    *,
    source: Annotated[str | None, typer.Option("--keys", help="Where the keys are, as for `keys`.")] = None,
    kid: Kid = None,
    aud: Annotated[str | None, typer.Option("--aud", help="The environment.")] = None,
    sub: Annotated[str | None, typer.Option("--sub", help="The merchant gateway id, or * for any.")] = None,
    as_json: Json = False,
) -> None:
    """Read a token from standard input and show which of the six steps it passes.

    What no option says comes from the D1VERIFY_… variables.
    """
    overrides: dict[str, Any] = {}
    if source is not None:
        overrides["store"] = store_from(source, kid=kid)
    elif kid is not None:
        raise ConfigurationError("--kid goes with --keys; beside the variables it is D1VERIFY_KID")
    if aud is not None:
        overrides["audience"] = aud
    if sub is not None:
        overrides["subject"] = ANY_SUBJECT if sub == "*" else sub
    verifier = D1Verifier.from_env(**overrides)
    raise typer.Exit(show_verdict(sys.stdin.read(16_384).strip(), verifier, as_json=as_json))


@app.command()
def contract(
    url: Annotated[str, typer.Argument(help="The guarded URL; the merchant gateway id may be in its path.")],
    *,
    key: Annotated[Path, typer.Option("--key", help="A private P-256 key as PEM; the app trusts its public half.")],
    kid: Annotated[str, typer.Option("--kid", help="The id under which the app knows the key.")],
    aud: Annotated[str, typer.Option("--aud", help="The environment.")] = "stg",
    sub: Annotated[str, typer.Option("--sub", help="The merchant gateway id.")] = "MGW_000001",
    leeway: Annotated[float, typer.Option("--leeway", help="The clock difference that the app tolerates.")] = 30,
    method: Annotated[str, typer.Option("--method", help="The method to call with.")] = "POST",
    body: Annotated[Path | None, typer.Option("--body", help="A file to send as the body; {} by default.")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", help="A further header, NAME:VALUE.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write JSON to this file; - for standard output.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only the case with this id.")] = None,
    token_url: Annotated[
        str | None, typer.Option("--token-url", help="Where D1 obtains access tokens, if the URL is guarded by those.")
    ] = None,
    client_id: Annotated[str | None, typer.Option("--client-id", help="D1's client id at the token URL.")] = None,
    client_secret_file: Annotated[
        Path | None, typer.Option("--client-secret-file", help="A file with the secret that goes with it.")
    ] = None,
) -> None:
    """Send every call of the contract to a running app, in whatever language it is written.

    With --token-url: obtains an access token there, sends every request of the token endpoint's
    own contract to it, and calls the guarded URL with the access token and with what is none.

    Shows which answers were not the expected ones, and what each would let an attacker do.
    Exit codes: 0 all as expected, 1 some not, 2 usage, 3 unreachable.
    """
    target = Target(url=url, method=method, body=body, headers=header or ())
    signer = Signer(key=key, kid=kid, audience=aud, subject=sub, leeway=leeway)
    reports = Reports(junit=junit, json=json_file)
    tokens = TokenTarget.of(token_url, client_id=client_id, secret_file=client_secret_file)
    raise typer.Exit(check_contract(target, signer, reports, only or (), tokens))
