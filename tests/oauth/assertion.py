"""The assertion flow (RFC 7523) as an OAuth client library that is not ours does it: Authlib.

Standard input: a JSON object with `token_endpoint`, `audience`, `issuer`, `key_id`, `secret`, `urls`.
Standard output: a JSON object with the library's version, the token response, and the status and
body that each URL answered; or, where no token is granted, with the OAuth error code.
"""

import json
import sys

import authlib
from authlib.integrations.requests_client import AssertionSession
from authlib.oauth2 import OAuth2Error

asked = json.load(sys.stdin)
session = AssertionSession(
    token_endpoint=asked["token_endpoint"],
    issuer=asked["issuer"],
    subject=asked["issuer"],
    audience=asked["audience"],
    scope=asked.get("scope"),
    key=asked["secret"],
    header={"alg": "HS256", "kid": asked["key_id"]},
)
# A proxy of the machine has no business between two processes of it.
session.trust_env = False

told = {"library": f"authlib {authlib.__version__}"}
try:
    told["token"] = dict(session.refresh_token())
except OAuth2Error as refusal:
    told["error"] = refusal.error
else:
    # The session puts the token into the header by itself.
    answers = [session.get(url) for url in asked["urls"]]
    told["answers"] = [{"status": it.status_code, "body": it.json()} for it in answers]
json.dump(told, sys.stdout)
