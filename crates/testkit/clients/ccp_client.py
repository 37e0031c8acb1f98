"""Retrieves one account with the `pyaim` package.

usage: ccp_client.py HOST:PORT ARGUMENTS CA CERT KEY

ARGUMENTS is a JSON object for `GetPassword`. Prints one line of JSON: the answer, or `error`.
"""

import json
import sys

from pyaim import CCPPasswordREST

host, arguments, ca, cert, key = sys.argv[1:]
client = CCPPasswordREST(f"https://{host}", verify=ca, cert=(cert, key), timeout=20)
try:
    print(json.dumps(client.GetPassword(**json.loads(arguments))))
except ConnectionError as error:
    print(json.dumps({"error": str(error)}))
