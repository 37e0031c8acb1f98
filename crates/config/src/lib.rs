//! Configuration, inventory and rule files: TOML in, checked types out, every error with its place.
