"""OAuth 2.0 as clients and JWT libraries that are not ours do it: Authlib, and PyJWT beside it.

Standard input: a JSON object with `issuer`, and what to do:
  `key_id` and `secret`: get access tokens by client credentials (RFC 6749 section 4.4) in either way to
      authenticate, ask about each (RFC 7662), verify it against the published keys (RFC 7517), and revoke
      all but the last (RFC 7009); with `audience`, the last one is for that;
  `introspector`: the id and secret of a key that may ask about tokens;
  `verify`: pairs of a token and its audience, to be verified against the published keys, and against
      those in `jwks` if they are given.
Standard output: a JSON object with what came of it. A refusal is an answer; all else is a failure.
"""

import json
import os
import sys

# A proxy of the machine has no business between two processes of it, nor does TLS on loopback.
os.environ["NO_PROXY"] = "*"
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import authlib
import jwt
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

asked = json.load(sys.stdin)
issuer = asked["issuer"]
http = requests.Session()
http.trust_env = False


def get(url):
    answer = http.get(url)
    answer.raise_for_status()
    return answer.json()


metadata = AuthorizationServerMetadata(get(get_well_known_url(issuer, external=True)))
metadata.validate()
told = {
    "libraries": f"authlib {authlib.__version__}, pyjwt {jwt.__version__}",
    "metadata": metadata,
    "jwks": get(metadata["jwks_uri"]),
}


def session(key_id, secret, method="client_secret_basic"):
    it = OAuth2Session(
        key_id,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
    )
    it.trust_env = False
    return it


def by_pyjwt(token, audience, jwks):
    """The claims, or nothing if the library does not take the token."""
    required = {"require": ["exp", "iat", "iss", "sub", "aud", "jti"]} if audience else {}
    try:
        if jwks is None:
            client = jwt.PyJWKClient(metadata["jwks_uri"])
            key = client.get_signing_key_from_jwt(token).key
        else:
            kid = jwt.get_unverified_header(token)["kid"]
            keys = {it.key_id: it.key for it in jwt.PyJWKSet.from_dict(jwks).keys}
            key = keys[kid]
        return jwt.decode(
            token, key, algorithms=["EdDSA"], audience=audience, issuer=issuer, options=required
        )
    except (jwt.PyJWTError, KeyError):
        return None


def by_authlib(token, audience, jwks):
    """The same by the other library."""
    keys = JsonWebKey.import_key_set(jwks if jwks is not None else told["jwks"])
    wanted = {"iss": {"essential": True, "value": issuer}}
    if audience:
        wanted["aud"] = {"essential": True, "value": audience}
    try:
        claims = JsonWebToken(["EdDSA"]).decode(token, keys, claims_options=wanted)
        claims.validate()
        return dict(claims)
    except (JoseError, ValueError):
        return None


def verified(token, audience, jwks=None):
    """What both libraries make of a token, and of the same with another signature."""
    head, claims, signature = token.split(".")
    bent = signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
    forged = f"{head}.{claims}.{bent}"
    return {
        "pyjwt": by_pyjwt(token, audience, jwks),
        "authlib": by_authlib(token, audience, jwks),
        "forged": by_pyjwt(forged, audience, jwks) or by_authlib(forged, audience, jwks),
    }


if "key_id" in asked:
    introspector = session(*asked["introspector"])

    def introspected(token, who=introspector):
        url = metadata["introspection_endpoint"]
        answer = who.introspect_token(url, token=token, token_type_hint="access_token")
        return answer.json()

    told["runs"] = []
    for method in ("client_secret_basic", "client_secret_post", "client_secret_basic"):
        is_last = len(told["runs"]) == 2
        key = session(asked["key_id"], asked["secret"], method)
        more = {"resource": asked["audience"]} if is_last and "audience" in asked else {}
        if "scope" in asked:
            more["scope"] = asked["scope"]
        run = {"method": method}
        told["runs"].append(run)
        try:
            url = metadata["token_endpoint"]
            token = key.fetch_token(url, grant_type="client_credentials", **more)
        except OAuthError as refusal:
            run["error"] = refusal.error
            continue
        text = token["access_token"]
        run["token"] = dict(token)
        run["verified"] = verified(text, more.get("resource", issuer))
        run["elsewhere"] = verified(text, "https://nobody.example")
        run["introspected"] = introspected(text)
        run["by_itself"] = introspected(text, key)
        if not is_last:
            url = metadata["revocation_endpoint"]
            answer = key.revoke_token(url, token=text, token_type_hint="access_token")
            run["revoked"] = [answer.status_code, answer.text]
            run["afterwards"] = introspected(text)

told["verify"] = [
    {
        "now": verified(token, audience),
        "then": verified(token, audience, asked["jwks"]) if "jwks" in asked else None,
    }
    for token, audience in asked.get("verify", [])
]
json.dump(told, sys.stdout)
