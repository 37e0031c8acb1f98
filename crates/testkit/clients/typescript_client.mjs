// Lists tools and calls one, with a TypeScript client library.
//
// usage: node typescript_client.mjs LIBRARY [--key KEY] [--call TOOL ARGUMENTS] http URL
//        node typescript_client.mjs LIBRARY [--call TOOL ARGUMENTS] stdio COMMAND...
//
// LIBRARY is `sdk` (@modelcontextprotocol/sdk), `client` (@modelcontextprotocol/client as it is), or
// `client-modern` (the same, told to try 2026-07-28 first). NPM_HOME is the folder above node_modules.
// Prints one line of JSON: version, tools, answer. Exit status 4: the server answered 401.

import { createRequire } from 'node:module';

const require = createRequire(`${process.env.NPM_HOME}/`);
const [library, ...words] = process.argv.slice(2);
let key, call;
while (words[0]?.startsWith('--')) {
  const option = words.shift();
  if (option === '--key') key = words.shift();
  else if (option === '--call') call = { name: words.shift(), arguments: JSON.parse(words.shift()) };
  else throw new Error(`no option ${option}`);
}
const [kind, ...rest] = words;

const sdk = library === 'sdk';
const { Client } = require(sdk ? '@modelcontextprotocol/sdk/client/index.js' : '@modelcontextprotocol/client');
const { StreamableHTTPClientTransport } = require(
  sdk ? '@modelcontextprotocol/sdk/client/streamableHttp.js' : '@modelcontextprotocol/client',
);
const { StdioClientTransport } = require(
  sdk ? '@modelcontextprotocol/sdk/client/stdio.js' : '@modelcontextprotocol/client/stdio',
);

const seen = [];
const noting = async (...request) => {
  const response = await fetch(...request);
  seen.push(response.status);
  return response;
};
const transport =
  kind === 'http'
    ? new StreamableHTTPClientTransport(new URL(rest[0]), {
        fetch: noting,
        requestInit: { headers: key ? { 'X-API-Key': key } : {} },
      })
    : new StdioClientTransport({ command: rest[0], args: rest.slice(1), env: process.env });
const options = library === 'client-modern' ? { versionNegotiation: { mode: 'auto' } } : {};
const client = new Client({ name: `testkit-${library}`, version: '1' }, options);
let version;
try {
  const set = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (chosen) => ((version = chosen), set?.(chosen));
  await client.connect(transport);
  const { tools } = await client.listTools();
  const said = { version: client.getNegotiatedProtocolVersion?.() ?? version, tools: tools.map((tool) => tool.name) };
  if (call) said.answer = await client.callTool(call);
  console.log(JSON.stringify(said));
  await client.close();
} catch (error) {
  console.error(error);
  process.exit(seen.includes(401) ? 4 : 1);
}
