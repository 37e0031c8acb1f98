"""An OAuth authorization server that gives tokens for client credentials, made with the package `authlib`; or one that means no good.

usage: authorization_server.py PORT MODE LIFE      with MODE `honest`, or what is wrong with it

The client is `gateway` with the secret in the environment variable SECRET. Tokens that are good are in the file TOKENS, one on a
line; each request is a line in LOG: method and path, then what was asked as JSON, without the secret. ELSEWHERE is where a hostile
one would like the secret to be sent.
"""

import json
import os
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request  # noqa: E402
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant  # noqa: E402
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # noqa: E402
from authlib.oauth2.rfc6749.util import list_to_scope, scope_to_list  # noqa: E402

PORT, MODE, LIFE = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
TOKENS, LOG, SECRET, ELSEWHERE = (os.environ.get(name, "") for name in ("TOKENS", "LOG", "SECRET", "ELSEWHERE"))
HERE = f"http://127.0.0.1:{PORT}"


class Gateway(ClientMixin):
    def get_client_id(self):
        return "gateway"

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return list_to_scope([one for one in scope_to_list(scope) or [] if one in ("read", "write")])

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(client_secret, SECRET)

    def check_endpoint_auth_method(self, method, endpoint):
        return method in ("client_secret_basic", "client_secret_post")

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Grant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class Request(OAuth2Request):
    @property
    def form(self):
        return self.payload.data


class Server(AuthorizationServer):
    def query_client(self, client_id):
        return Gateway() if client_id == "gateway" else None

    def save_token(self, token, request):
        with open(TOKENS, "a") as file:
            file.write(token["access_token"] + "\n")

    def create_oauth2_request(self, request):
        method, uri, form, headers = request
        oauth = Request(method, uri, headers=headers)
        oauth.payload = BasicOAuth2Payload(form)
        return oauth

    def handle_response(self, status, body, headers):
        return status, body, headers

    def send_signal(self, *_, **__):
        pass


def token(grant_type, client, user=None, scope=None, expires_in=None, include_refresh_token=True):
    # Slow enough that those who wait for it wait at the same time.
    time.sleep(0.2)
    return {"token_type": "Bearer", "access_token": "at-" + secrets.token_hex(16), "expires_in": LIFE, "scope": scope}


server = Server(scopes_supported=["read", "write"])
server.register_grant(Grant)
server.register_token_generator("default", token)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self, what):
        with open(LOG, "a") as log:
            log.write(f"{self.command}:{self.path} {json.dumps(what)}\n")

    def do_GET(self):
        self.note({})
        if MODE == "not-said" or self.path != "/.well-known/oauth-authorization-server":
            return self.answer(404, {})
        issuer = ELSEWHERE if MODE == "other-issuer" else HERE
        endpoint = f"{ELSEWHERE}/token" if MODE == "endpoint-elsewhere" else f"{HERE}/token"
        self.answer(200, {"issuer": issuer, "token_endpoint": endpoint, "grant_types_supported": ["client_credentials"], "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]})

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = dict(parse_qsl(text, keep_blank_values=True))
        shown = {name: value for name, value in form.items() if name != "client_secret"}
        self.note({**shown, "head": "Authorization" in self.headers, "body": "client_secret" in form})
        bearer = {"access_token": "at-hostile", "token_type": "Bearer"}
        if MODE == "redirect":
            self.answer(307, b"", [("Location", f"{ELSEWHERE}/token")])
        elif MODE == "page":
            self.answer(200, b"<html></html>")
        elif MODE == "flood":
            self.answer(200, b" " * 1_000_000 + json.dumps(bearer).encode())
        elif MODE == "other-type":
            self.answer(200, {**bearer, "token_type": "mac"})
        elif MODE == "line":
            self.answer(200, {**bearer, "access_token": "at-x\r\nX-Evil: 1"})
        elif MODE == "tells":
            self.answer(400, {"error": f"x {SECRET}", "error_description": SECRET})
        else:
            headers = {name.title(): value for name, value in self.headers.items()}
            self.answer(*server.create_token_response(("POST", HERE + self.path, form, headers)))


ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
