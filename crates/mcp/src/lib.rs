//! The front: MCP over stdio and Streamable HTTP, both eras on one endpoint.
