//! The SSH connector: known hosts, authentication, pooled connections, bounded exec.
