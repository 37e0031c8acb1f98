//! MCP's JSON: envelopes, headers, server-sent events, both eras. Pure, borrowed, byte-faithful.
