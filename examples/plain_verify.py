"""Verify without a framework: an `Authorization` header's value in, the answer to the call out.

Settings come from the `D1VERIFY_…` variables: D1VERIFY_AUDIENCE, D1VERIFY_SUBJECT and one
of D1VERIFY_KEYS_PATH, D1VERIFY_KEYS and D1VERIFY_JWKS_URL. Give it the merchant gateway id
of the path and, on standard input, the header's value; the command line is for all to see,
so no token belongs there.

    python examples/plain_verify.py MGW_000001 < authorization.txt

It ends with 0 if the call is D1's, and with 1 if it is not, having printed what to answer.
"""

from __future__ import annotations

import sys

from d1verify import D1Verifier, KeyStoreError, Refusal, TokenError, refusal


def answer_to(verifier: D1Verifier, authorization: str | None, merchant_gateway_id: str) -> Refusal | None:
    """Return the refusal to send, or None if the call may go on."""
    try:
        token = verifier.verify_header(authorization)
        token.require_subject(merchant_gateway_id)
    except (TokenError, KeyStoreError) as error:
        return refusal(error)
    return None


def main() -> int:
    """Run the example; return the exit status."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and one argument
        print("usage: plain_verify.py MERCHANT_GATEWAY_ID < AUTHORIZATION", file=sys.stderr)
        return 2
    value = sys.stdin.readline().rstrip("\r\n")
    refused = answer_to(D1Verifier.from_env(), value or None, sys.argv[1])
    if refused is None:
        print("accepted")
        return 0
    print(f"HTTP/1.1 {refused.status}")
    for name, content in refused.headers:
        print(f"{name}: {content}")
    print()
    print(refused.body.decode())
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
